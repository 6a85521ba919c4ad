"""The call of a provider's method that revokes tokens."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._http.request import TokenRequest
from keyturn._http.urls import origin, url_problem
from keyturn._providers.calls import calling
from keyturn._providers.provider import Provider
from keyturn._providers.revocation import moved_token_url, revocation_url

if TYPE_CHECKING:
    from keyturn._providers.settings import Settings
    from keyturn._token import Token

_revocation_request = calling(Provider.revocation_request, TokenRequest, NoneType)


def revocation_request(
    provider: Provider[Any], settings: Settings, token: Token
) -> TokenRequest | None:
    """Return the request that revokes a token, or None if the provider has none.

    Raises:
        keyturn.errors.ConfigurationError: It goes to another origin than the settings name.
    """
    request = _revocation_request(provider, settings, token)
    name = "revocation_url" if settings.revocation_url else "token_url"
    chosen = settings.revocation_url and revocation_url(provider, settings)
    chosen = chosen or moved_token_url(provider, settings)
    if (
        request
        and chosen
        and not url_problem(request.url)
        and origin(request.url) != origin(chosen)
    ):
        raise errors.ConfigurationError(
            f"{provider.name} revokes tokens at {origin(request.url)}, but {name} is at "
            f"{origin(chosen)}, so nothing was sent.",
            hint=f"{provider.name} doesn't revoke tokens at {name}: revoke it in another way."
            if settings.revocation_url
            else "Set revocation_url.",
        )
    return request
