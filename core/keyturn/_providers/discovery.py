"""Discovery: a public document that has a provider's endpoints (RFC 8414, OpenID Connect)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._http.request import TokenRequest
from keyturn._providers.provider import Provider
from keyturn._providers.settings import Settings
from keyturn._token import Token

if TYPE_CHECKING:
    from keyturn._http.response import OAuthError, Response

_DAY = 86_400.0
# Characters of a member that is kept.
_LONGEST = 2048
# Levels of tables of which members are kept.
_MAX_LEVELS = 8


class Discovery(Provider[Any]):
    """A document with a provider's endpoints; keyturn keeps it in the store for `lifetime`.

    keyturn requests it without a secret, once for all connections with its URL and one store.

    Args:
        url: A template of its address.
        lifetime: Seconds for which it is kept.
        domains: The domains below which the endpoints in it must lie, templates; none for its own
            host.

    Example:
        >>> import keyturn
        >>> class Acme(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
        ...     name = "acme"
        ...     settings = keyturn.plugins.ConfidentialSettings
        ...     discovery = keyturn.plugins.Discovery(
        ...         "https://acme.example/.well-known/openid-configuration"
        ...     )
        ...     token_url = "{discovery.token_endpoint}"
    """

    name = "discovery"
    settings = Settings

    def __init__(self, url: str, *, lifetime: float = _DAY, domains: tuple[str, ...] = ()) -> None:
        self.token_url = url  # type: ignore[misc]  # of this instance, as `domains` is
        self.domains = domains
        self.lifetime = lifetime

    def token_request(self, settings: Any) -> TokenRequest:
        """Return the request of the document."""
        return TokenRequest(
            provider=self.name,
            url=settings.token_url or self.expand(self.token_url, settings),
            method="GET",
            body_format="query",
            # With the lifetime of another entry, the document would be kept too long.
            response_mapping=str(self.lifetime),
        )

    def read_error(
        self,
        settings: Any,  # noqa: ARG002 - of a document that is the same for all
        response: Response,  # noqa: ARG002 - as above
    ) -> OAuthError | None:
        """Return None: it is not the response of a token endpoint."""
        return None

    def read_token(
        self,
        settings: Any,  # noqa: ARG002 - of a document that is the same for all
        response: Response,
        request: TokenRequest,
    ) -> Token:
        """Return a placeholder token with the document's members."""
        content = response.json()
        if not isinstance(content, dict):
            raise errors.InvalidTokenResponse(
                f"the document {request.url} is not a JSON object.", hint="Check discovery.url."
            )
        kept = _kept(content)
        return Token(
            access_token=hashlib.sha256(response.body).hexdigest(),
            token_type="none",  # noqa: S106 - no password
            expires_at=response.sent_at + self.lifetime,
            extra=kept,
            issued_at=response.sent_at,
        )


def _kept(content: dict[str, Any], levels: int = _MAX_LEVELS) -> dict[str, Any]:
    """Return a table's strings, and those of the tables in it."""
    kept: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, str) and len(value) <= _LONGEST:
            kept[name] = value
        elif isinstance(value, dict) and levels and (below := _kept(value, levels - 1)):
            kept[name] = below
    return kept
