"""Calling a provider's methods: a wrong result and any exception become one of keyturn's errors."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar

from keyturn import errors
from keyturn._http.request import TokenRequest
from keyturn._http.response import OAuthError
from keyturn._providers.provider import Provider
from keyturn._token import Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._http.response import Response
    from keyturn._providers.settings import Settings

T = TypeVar("T")

_DEFECT = "This is a defect of the provider: report it to the provider's authors."


def for_settings(provider: Provider[Any], settings: Settings) -> Provider[Any]:
    """Return the provider as it behaves for these settings."""
    found: Provider[Any] = _call(provider, "for_settings", (Provider,), settings)
    return found


def token_request(provider: Provider[Any], settings: Settings) -> TokenRequest:
    """Return the whole token request for these settings, fingerprint excepted."""
    found: TokenRequest = _call(provider, "token_request", (TokenRequest,), settings)
    return found


def read_error(
    provider: Provider[Any], settings: Settings, response: Response
) -> OAuthError | None:
    """Return the error in a token endpoint's response, or None."""
    types = (OAuthError, NoneType)
    found: OAuthError | None = _call(provider, "read_error", types, settings, response)
    return found


def read_token(
    provider: Provider[Any], settings: Settings, response: Response, request: TokenRequest
) -> Token:
    """Return the token in a token endpoint's response."""
    found: Token = _call(provider, "read_token", (Token,), settings, response, request)
    return found


def authorization(provider: Provider[Any], settings: Settings, token: Token) -> tuple[str, str]:
    """Return the name and the value of the header that carries the token."""
    found: tuple[str, str] = _call(provider, "authorization", (tuple,), settings, token)
    if len(found) == 2 and isinstance(found[0], str) and isinstance(found[1], str):
        return found
    raise _wrong(provider, "authorization", found)


def api_request_headers(
    provider: Provider[Any], settings: Settings, token: Token
) -> dict[str, str]:
    """Return what an API request needs besides the token."""
    found: Mapping[str, str] = _call(provider, "api_request_headers", (Mapping,), settings, token)
    for name, value in found.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise _wrong(provider, "api_request_headers", found)
    return dict(found)


def api_url_for(provider: Provider[Any], settings: Settings, token: Token | None) -> str | None:
    """Return the API's URL, or None when settings and token do not determine it."""
    found: str | None = _call(provider, "api_url_for", (str, NoneType), settings, token)
    return found


def token_rejected(provider: Provider[Any], settings: Settings, response: Response) -> bool:
    """Return whether an API's response with status 401 means the token."""
    found: bool = _call(provider, "token_rejected", (bool,), settings, response)
    return found


def revocation_request(
    provider: Provider[Any], settings: Settings, token: Token
) -> TokenRequest | None:
    """Return the request that revokes a token, or None when the provider has none."""
    types = (TokenRequest, NoneType)
    found: TokenRequest | None = _call(provider, "revocation_request", types, settings, token)
    return found


def warnings(provider: Provider[Any], settings: Settings) -> list[str]:
    """Return the provider's warnings about these settings."""
    # A generator runs here, and not where the warnings are logged.
    found = translate_errors(provider.name, lambda: list(provider.warnings(settings)))
    if all(isinstance(warning, str) for warning in found):
        return found
    raise _wrong(provider, "warnings", found)


def translate_errors(name: str, work: Callable[[], T]) -> T:
    """Return what `work` returns; what it raises becomes one of keyturn's errors.

    Args:
        name: The provider's name.
        work: Runs the provider's code, and nothing else.

    Raises:
        keyturn.errors.KeyturnError: `work` failed.
    """
    failure: errors.KeyturnError
    try:
        return work()
    except errors.KeyturnError as error:
        failure = error
    except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
        failure = _failed(name, error)
    raise failure.with_traceback(None)


def _call(provider: Provider[Any], method: str, types: tuple[type, ...], *arguments: Any) -> Any:
    """Call a method of a provider; its result must be of one of the types."""
    failure: errors.KeyturnError
    try:
        found = getattr(provider, method)(*arguments)
    except errors.KeyturnError as error:
        failure = error
    except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
        failure = _failed(provider.name, error)
    else:
        if isinstance(found, types):
            return found
        failure = _wrong(provider, method, found)
    raise failure.with_traceback(None)


def _failed(name: str, error: BaseException) -> errors.KeyturnError:
    """Return an error for a provider's exception, whose text and frames may hold a secret."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return errors.KeyturnError(
        f"provider {name} failed with {type(error).__name__} in {place.name}, line {place.lineno}.",
        hint=_DEFECT,
    )


def _wrong(provider: Provider[Any], method: str, found: object) -> errors.KeyturnError:
    message = f"provider {provider.name} returned a wrong {type(found).__name__} from {method}."
    return errors.KeyturnError(message, hint=_DEFECT)
