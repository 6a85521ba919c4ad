"""Calling a provider's methods: a wrong result and any exception become one of keyturn's errors."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

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
    return _call(provider, "for_settings", lambda: provider.for_settings(settings), Provider)


def token_request(provider: Provider[Any], settings: Settings) -> TokenRequest:
    """Return the whole token request for these settings, fingerprint excepted."""
    return _call(provider, "token_request", lambda: provider.token_request(settings), TokenRequest)


def read_error(
    provider: Provider[Any], settings: Settings, response: Response
) -> OAuthError | None:
    """Return the error in a token endpoint's response, or None."""
    return _call(
        provider,
        "read_error",
        lambda: provider.read_error(settings, response),
        OAuthError,
        NoneType,
    )


def read_token(
    provider: Provider[Any], settings: Settings, response: Response, request: TokenRequest
) -> Token:
    """Return the token in a token endpoint's response."""
    return _call(
        provider, "read_token", lambda: provider.read_token(settings, response, request), Token
    )


def authorization(provider: Provider[Any], settings: Settings, token: Token) -> tuple[str, str]:
    """Return the name and the value of the header that carries the token."""
    header = _call(
        provider, "authorization", lambda: provider.authorization(settings, token), tuple
    )
    return header if _is_header(header) else _wrong(provider, "authorization", header)


def api_request_headers(
    provider: Provider[Any], settings: Settings, token: Token
) -> dict[str, str]:
    """Return what an API request needs besides the token."""
    headers = _call(
        provider,
        "api_request_headers",
        lambda: provider.api_request_headers(settings, token),
        Mapping,
    )
    is_right = all(map(_is_header, headers.items()))
    return dict(headers) if is_right else _wrong(provider, "api_request_headers", headers)


def api_url_for(provider: Provider[Any], settings: Settings, token: Token | None) -> str | None:
    """Return the API's URL, or None when settings and token do not determine it."""
    return _call(
        provider, "api_url_for", lambda: provider.api_url_for(settings, token), str, NoneType
    )


def token_rejected(provider: Provider[Any], settings: Settings, response: Response) -> bool:
    """Return whether an API's response with status 401 means the token."""
    return _call(
        provider, "token_rejected", lambda: provider.token_rejected(settings, response), bool
    )


def revocation_request(
    provider: Provider[Any], settings: Settings, token: Token
) -> TokenRequest | None:
    """Return the request that revokes a token, or None when the provider has none."""
    return _call(
        provider,
        "revocation_request",
        lambda: provider.revocation_request(settings, token),
        TokenRequest,
        NoneType,
    )


def warnings(provider: Provider[Any], settings: Settings) -> list[str]:
    """Return the provider's warnings about these settings."""
    found = _call(provider, "warnings", lambda: list(provider.warnings(settings)), list)
    is_right = all(isinstance(warning, str) for warning in found)
    return found if is_right else _wrong(provider, "warnings", found)


def translate_errors(name: str, work: Callable[[], T]) -> T:
    """Return what `work` returns; what it raises becomes one of keyturn's errors.

    A provider's method may raise anything. The frames behind a failure, and a third-party
    exception itself, may hold secrets: neither is kept.

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


def _call(provider: Provider[Any], method: str, call: Callable[[], T], *types: type) -> T:
    found = translate_errors(provider.name, call)
    return found if isinstance(found, types) else _wrong(provider, method, found)


def _wrong(provider: Provider[Any], method: str, found: object) -> NoReturn:
    message = f"provider {provider.name} returned a wrong {type(found).__name__} from {method}."
    raise errors.KeyturnError(message, hint=_DEFECT)


def _is_header(found: Any) -> bool:
    return len(found) == 2 and all(isinstance(each, str) for each in found)
