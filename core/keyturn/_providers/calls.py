"""Calling a provider's methods: a wrong result and any exception become one of keyturn's errors."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from keyturn import errors
from keyturn._http.request import TokenRequest
from keyturn._http.response import OAuthError
from keyturn._http.values import DEFECT, defect
from keyturn._http.values import translate_errors as translate
from keyturn._providers.provider import Provider
from keyturn._token import Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._providers.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

_is_string = str.__instancecheck__


def translate_errors(name: str, work: Callable[[], T]) -> T:
    """Return what `work` returns; what it raises becomes one of keyturn's errors.

    Args:
        name: The provider's name.
        work: Runs the provider's code, and nothing else.

    Raises:
        keyturn.errors.KeyturnError: `work` failed.
    """
    return translate(f"provider {name}", work)


def _calling(
    method: Callable[P, T], *types: type, fits: Callable[[Any], bool] | None = None
) -> Callable[P, T]:
    """Return a function that calls a provider's own method of that name.

    Args:
        method: The method of `Provider`; the function takes the provider, and its arguments.
        types: What the result must be an instance of one of.
        fits: Whether a result of such a type is right.
    """
    name = method.__name__

    def call(*arguments: P.args, **_: P.kwargs) -> T:
        provider: Any = arguments[0]
        failure: errors.KeyturnError
        try:
            found: T = getattr(provider, name)(*arguments[1:])
            if isinstance(found, types) and (fits is None or fits(found)):
                return found
            failure = _wrong(provider, name, found)
        except errors.KeyturnError as error:
            failure = error
        except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
            failure = defect(f"provider {provider.name}", error)
        raise failure.with_traceback(None)

    return call


def _wrong(provider: Provider[Any], method: str, found: object) -> errors.KeyturnError:
    return errors.KeyturnError(
        f"provider {provider.name} returned a wrong {type(found).__name__} from {method}.",
        hint=DEFECT,
    )


for_settings = _calling(Provider.for_settings, Provider)
token_request = _calling(Provider.token_request, TokenRequest)
read_error = _calling(Provider.read_error, OAuthError, NoneType)
read_token = _calling(Provider.read_token, Token)
authorization = _calling(
    Provider.authorization, tuple, fits=lambda pair: len(pair) == 2 and all(map(_is_string, pair))
)
api_request_headers = _calling(
    Provider.api_request_headers,
    Mapping,
    fits=lambda headers: all(map(_is_string, chain(*headers.items()))),
)
api_url_for = _calling(Provider.api_url_for, str, NoneType)
token_rejected = _calling(Provider.token_rejected, bool)
revocation_request = _calling(Provider.revocation_request, TokenRequest, NoneType)


def warnings(provider: Provider[Any], settings: Settings) -> list[str]:
    """Return the provider's warnings about these settings."""
    # A generator runs here, and not where the warnings are logged.
    found = translate_errors(provider.name, lambda: list(provider.warnings(settings)))
    if all(map(_is_string, found)):
        return found
    raise _wrong(provider, "warnings", found)
