"""Checks of a provider's plugin: of its data, and of what its methods return or raise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from types import NoneType
from typing import Any, ParamSpec, TypeVar

from keyturn import errors
from keyturn._common.redaction import Redaction
from keyturn._http.request import TokenRequest
from keyturn._http.values import DEFECT, defect
from keyturn._http.values import translate_errors as translate
from keyturn._providers import later
from keyturn._providers.provider import Provider
from keyturn._providers.settings import Settings
from keyturn._secret import Secret
from keyturn._token import Token

P = ParamSpec("P")
T = TypeVar("T")

_is_string = str.__instancecheck__


def secrets_in(provider: Any, *known: object) -> list[Secret]:
    """Return the secrets of a connection.

    Args:
        provider: The provider.
        known: The objects with secrets: settings, requests, responses and tokens.
    """
    found = list[Secret]()
    for each in known:
        if isinstance(each, TokenRequest):
            with contextlib.suppress(errors.KeyturnError):  # what they are may be what failed
                found += translate(f"provider {provider.name}", each.secrets)
        elif isinstance(each, Token):
            found.append(Secret(each.access_token))
        elif isinstance(each, Settings):
            found += [value for value in vars(each).values() if isinstance(value, Secret)]
        else:  # few calls have a response
            read = later.responses()
            if isinstance(each, read.Response):
                found += read.received_tokens(each, provider, provider.token_status)
    return found


def redaction(provider: Any, *known: object) -> Redaction:
    """Return the redactor for the secrets of a connection; see `secrets_in`."""
    return Redaction(secrets_in(provider, *known))


def translate_errors(name: str, work: Callable[[], T], secrets: Iterable[Secret] = ()) -> T:
    """Return the result of `work`; translate what it raises to one of keyturn's errors.

    Args:
        name: The provider's name.
        work: Runs the provider's code, and nothing else.
        secrets: The secrets that the code knows, which must not be shown.

    Raises:
        keyturn.errors.KeyturnError: `work` failed.
    """
    try:
        return translate(f"provider {name}", work)
    except errors.KeyturnError as error:
        failure = error
    raise Redaction(secrets).error(failure)


def calling(
    method: Callable[P, T], *types: type, fits: Callable[[Any], bool] | None = None
) -> Callable[P, T]:
    """Return a function that calls a provider's own method of that name.

    Args:
        method: The method of `Provider`; the function takes the provider, and its arguments.
        types: The types that the result may have.
        fits: Returns whether a result of such a type is valid.
    """
    name = method.__name__

    def call(*arguments: P.args, **_: P.kwargs) -> T:
        provider: Any = arguments[0]
        try:
            found: T = getattr(provider, name)(*arguments[1:])
            if isinstance(found, types) and (fits is None or fits(found)):
                return found
            failure = _wrong(provider, name, found)
        except errors.KeyturnError as error:
            failure = error
        except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
            failure = defect(f"provider {provider.name}", error)
        raise redaction(provider, *arguments[1:]).error(failure)

    return call


def _wrong(provider: Provider[Any], method: str, found: object) -> errors.KeyturnError:
    return errors.KeyturnError(
        f"provider {provider.name} returned a wrong {type(found).__name__} from {method}.",
        hint=DEFECT,
    )


for_settings = calling(Provider.for_settings, Provider)
token_request = calling(Provider.token_request, TokenRequest)
authorization = calling(
    Provider.authorization, tuple, fits=lambda pair: len(pair) == 2 and all(map(_is_string, pair))
)
api_request_headers = calling(
    Provider.api_request_headers,
    Mapping,
    fits=lambda headers: all(map(_is_string, chain(*headers.items()))),
)
api_url_for = calling(Provider.api_url_for, str, NoneType)
token_rejected = calling(Provider.token_rejected, bool)


def warnings(provider: Provider[Any], settings: Settings) -> list[str]:
    """Return the provider's warnings about these settings."""
    secrets = secrets_in(provider, settings)

    # A generator runs here, and not where the warnings are logged.
    def work() -> Any:
        given = provider.warnings(settings)
        return list(given) if hasattr(given, "__iter__") else given

    found = translate_errors(provider.name, work, secrets)
    if isinstance(found, list) and all(map(_is_string, found)):
        return [*map(Redaction(secrets).text, found)] if found else []
    raise _wrong(provider, "warnings", found)
