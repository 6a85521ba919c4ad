"""OroCommerce: the provider `orocommerce`.

The token request is JSON to `/oauth2-token`. Back-office and storefront refuse each other's tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

import keyturn

if TYPE_CHECKING:
    from keyturn import Token
    from keyturn.plugins import OAuthError, Response, TokenRequest


class OroSettings(keyturn.plugins.ConfidentialSettings):
    """The settings of `orocommerce`."""

    url: str = keyturn.plugins.url(
        "Application URL",
        "The application's address, such as https://shop.example; may have a path.",
    )
    side: Literal["backoffice", "storefront"] = keyturn.plugins.setting(
        "Side", "The side that the client was created for.", default="backoffice"
    )
    backend_prefix: str = keyturn.plugins.setting(
        "Back-office prefix",
        "The path of the back-office, if the application does not use the default.",
        default="admin",
        check=keyturn.plugins.matches(
            "[A-Za-z0-9_~-][A-Za-z0-9._~-]*", "must be one segment of a path, such as admin"
        ),
    )
    body_format: Literal["json", "form"] = keyturn.plugins.setting(
        "Body format",
        "The encoding of the token request; OroCommerce documents json.",
        default="json",
    )
    scope: tuple[str, ...] | None = keyturn.plugins.setting(
        "Scope", "Optional; OroCommerce accepts any.", default=None
    )


class OroCommerce(keyturn.plugins.Provider[OroSettings]):
    """OroCommerce (its page «Client Credentials Grant Type: Generate Token»)."""

    name = "orocommerce"
    title = "OroCommerce"
    settings = OroSettings
    token_url = "{url}/oauth2-token"
    # The documented API type.
    api_headers = {"Accept": "application/vnd.api+json"}

    def token_request(self, settings: OroSettings) -> TokenRequest:
        """Return the token request; `partition` separates the sides, whose requests are equal."""
        request = super().token_request(settings)
        return attrs.evolve(request, body_format=settings.body_format, partition=settings.side)

    def read_error(self, settings: OroSettings, response: Response) -> OAuthError | None:
        """Return the error; `no_encryption_key` means a broken server, not wrong credentials."""
        error = super().read_error(settings, response)
        if error is None:
            return None
        hint = response.json().get("hint")
        said = f"{error.description} {hint}" if isinstance(hint, str) else error.description
        broken = error.server_fault or error.code == "no_encryption_key"
        return attrs.evolve(error, description=said, server_fault=broken)

    def api_url_for(self, settings: OroSettings, token: Token | None) -> str:
        """Return the API of the connection's side."""
        del token
        prefix = f"/{settings.backend_prefix}" if settings.side == "backoffice" else ""
        return settings.api_url or f"{settings.url.rstrip('/')}{prefix}/api"


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[OroSettings]:
    """Return the provider `orocommerce`."""
    return OroCommerce()
