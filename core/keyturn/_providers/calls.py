"""Calling a provider's methods: whatever they raise or return, only keyturn's errors come out."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

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
    bound: object = _call(provider, "for_settings", settings)
    if isinstance(bound, Provider):
        return bound
    raise _wrong(provider, "for_settings", bound)


def token_request(provider: Provider[Any], settings: Settings) -> TokenRequest:
    """Return the whole token request for these settings, fingerprint excepted."""
    request: object = _call(provider, "token_request", settings)
    if isinstance(request, TokenRequest):
        return request
    raise _wrong(provider, "token_request", request)


def read_error(
    provider: Provider[Any], settings: Settings, response: Response
) -> OAuthError | None:
    """Return the error in a token endpoint's response, or None."""
    error: object = _call(provider, "read_error", settings, response)
    if error is None or isinstance(error, OAuthError):
        return error
    raise _wrong(provider, "read_error", error)


def read_token(
    provider: Provider[Any], settings: Settings, response: Response, request: TokenRequest
) -> Token:
    """Return the token in a token endpoint's response."""
    token: object = _call(provider, "read_token", settings, response, request)
    if isinstance(token, Token):
        return token
    raise _wrong(provider, "read_token", token)


def authorization(provider: Provider[Any], settings: Settings, token: Token) -> tuple[str, str]:
    """Return the name and the value of the header that carries the token."""
    header: object = _call(provider, "authorization", settings, token)
    if _is_header(header):
        return header
    raise _wrong(provider, "authorization", header)


def api_request_headers(
    provider: Provider[Any], settings: Settings, token: Token
) -> dict[str, str]:
    """Return what an API request needs besides the token."""
    headers: object = _call(provider, "api_request_headers", settings, token)
    if isinstance(headers, Mapping) and all(map(_is_header, headers.items())):
        return dict(headers)
    raise _wrong(provider, "api_request_headers", headers)


def api_url_for(provider: Provider[Any], settings: Settings, token: Token | None) -> str | None:
    """Return the API's URL, or None when settings and token do not determine it."""
    url: object = _call(provider, "api_url_for", settings, token)
    if url is None or isinstance(url, str):
        return url
    raise _wrong(provider, "api_url_for", url)


def token_rejected(provider: Provider[Any], settings: Settings, response: Response) -> bool:
    """Return whether an API's response with status 401 means the token."""
    rejected: object = _call(provider, "token_rejected", settings, response)
    if isinstance(rejected, bool):
        return rejected
    raise _wrong(provider, "token_rejected", rejected)


def revocation_request(
    provider: Provider[Any], settings: Settings, token: Token
) -> TokenRequest | None:
    """Return the request that revokes a token, or None when the provider has none."""
    request: object = _call(provider, "revocation_request", settings, token)
    if request is None or isinstance(request, TokenRequest):
        return request
    raise _wrong(provider, "revocation_request", request)


def warnings(provider: Provider[Any], settings: Settings) -> list[str]:
    """Return the provider's warnings about these settings."""
    found = translate_errors(provider.name, lambda: list(provider.warnings(settings)))
    if all(isinstance(warning, str) for warning in found):
        return found
    raise _wrong(provider, "warnings", found)


def translate_errors(name: str, work: Callable[[], T]) -> T:
    """Return what `work` returns; what it raises becomes one of keyturn's errors.

    A provider's method may raise anything. The frames behind a failure, and a third party's
    exception itself, may hold secrets: the error's message says what there is to say.

    Args:
        name: The provider's name.
        work: Calls the provider.

    Raises:
        keyturn.errors.KeyturnError: `work` failed.
    """
    failure: errors.KeyturnError
    try:
        return work()
    except errors.KeyturnError as error:
        failure = error
    except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = errors.KeyturnError(
            f"provider {name} failed with {type(error).__name__} in {place.name}, "
            f"line {place.lineno}.",
            hint=_DEFECT,
        )
    raise failure.with_traceback(None)


def _call(provider: Provider[Any], method: str, *arguments: Any) -> Any:
    return translate_errors(provider.name, lambda: getattr(provider, method)(*arguments))


def _wrong(provider: Provider[Any], method: str, found: object) -> errors.KeyturnError:
    message = f"provider {provider.name} returned a wrong {type(found).__name__} from {method}."
    return errors.KeyturnError(message, hint=_DEFECT)


def _is_header(found: object) -> TypeGuard[tuple[str, str]]:
    return isinstance(found, tuple) and len(found) == 2 and all(isinstance(x, str) for x in found)
