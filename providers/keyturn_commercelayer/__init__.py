"""Commerce Layer: the provider `commercelayer`, and its scopes as values."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Literal

import keyturn
from keyturn_commercelayer.scope import Scope, Selector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyturn import Token
    from keyturn.plugins import Response

__all__ = ["CommerceLayer", "CommerceLayerSettings", "Scope", "Selector", "keyturn_provider"]

# Commerce Layer's page «Authentication», section «Access token expiry», in seconds.
_DEFAULT_LIFETIMES = {"sales_channel": 14_400, "integration": 7_200}
_MIN_LIFETIME = 7_200
_MAX_LIFETIME = 31_536_000
_SELECTOR = r"(?:id|code):[\x21\x23-\x5b\x5d-\x7e]+"
_RESOURCE = keyturn.plugins.matches(_SELECTOR, "must be id:… or code:…, such as code:europe")
_HAS_MARKET = keyturn.plugins.any_matches("market:.*", "has no market")
_NEEDS_MARKET = {"kind": "sales_channel", "require_market": True}
_HAS_STOCK_LOCATION = keyturn.plugins.any_matches("stock_location:.*", "has no stock location")


class CommerceLayerSettings(keyturn.plugins.ClientSettings):
    """The settings of `commercelayer`."""

    client_secret: keyturn.Secret | None = keyturn.plugins.setting(
        "Client secret", "The client's secret; a sales channel needs none.", default=None
    )
    kind: Literal["integration", "sales_channel"] = keyturn.plugins.setting(
        "Kind", "The kind of API credentials."
    )
    organization: str | None = keyturn.plugins.label(
        "Organization",
        "The organization's slug; by default keyturn reads it from the token.",
        default=None,
    )
    market: str | None = keyturn.plugins.setting(
        "Market",
        "The market in scope, as id:… or code:…, or all.",
        default=None,
        check=keyturn.plugins.matches(
            f"all|{_SELECTOR}", "must be id:… or code:…, such as code:europe, or all"
        ),
    )
    stock_location: str | None = keyturn.plugins.setting(
        "Stock location",
        "The stock location in scope, as id:… or code:…; it must belong to the market in scope.",
        default=None,
        check=_RESOURCE,
    )
    store_scope: str | None = keyturn.plugins.setting(
        "Store",
        "The store in scope, as id:… or code:….",
        default=None,
        check=_RESOURCE,
    )
    scope: tuple[str, ...] | None = keyturn.plugins.setting(
        "Scope",
        "The whole scope, instead of market, stock location and store.",
        default=None,
        check=keyturn.plugins.each_matches(
            f"market:all|(?:market|stock_location|store):{_SELECTOR}",
            "must have scope values such as market:code:europe, stock_location:id:… or store:id:…",
        ),
    )
    lifetime: int | None = keyturn.plugins.setting(
        "Lifetime",
        "The token lifetime in seconds, if a custom one is set for these credentials.",
        default=None,
        check=keyturn.plugins.between(_MIN_LIFETIME, _MAX_LIFETIME, unit="seconds"),
    )
    require_market: bool = keyturn.plugins.setting(
        "Require a market",
        "Whether a sales channel without a market is an error; otherwise keyturn logs a warning.",
        default=False,
    )
    domain: str = keyturn.plugins.domain(
        "Domain", "The domain of Commerce Layer.", default="commercelayer.io"
    )

    rules = (
        keyturn.plugins.Rule(
            "client_secret", "is required for an integration", when={"kind": "integration"}
        ),
        *(
            keyturn.plugins.Rule(
                "scope",
                "can't be given beside market, stock_location or store_scope",
                when={other: keyturn.plugins.GIVEN},
                must_be=keyturn.plugins.ABSENT,
            )
            for other in ("market", "stock_location", "store_scope")
        ),
        # Commerce Layer's page «Authentication», section «Putting a stock location in scope».
        keyturn.plugins.Rule(
            "market",
            "is required with a stock location",
            when={"stock_location": keyturn.plugins.GIVEN, "scope": keyturn.plugins.ABSENT},
        ),
        keyturn.plugins.Rule(
            "scope",
            "must have a market beside its stock location",
            when={"scope": _HAS_STOCK_LOCATION},
            must_be=_HAS_MARKET,
        ),
        keyturn.plugins.Rule(
            "market",
            "is required for a sales channel",
            when={**_NEEDS_MARKET, "scope": keyturn.plugins.ABSENT},
        ),
        keyturn.plugins.Rule(
            "scope",
            "must have a market for a sales channel",
            when={**_NEEDS_MARKET, "scope": keyturn.plugins.GIVEN},
            must_be=_HAS_MARKET,
        ),
    )

    def typed_scope(self) -> Scope:
        """Return the scope to request."""
        if self.scope is not None:
            return Scope.parse(" ".join(self.scope))
        given = {
            "market": self.market,
            "stock_location": self.stock_location,
            "store": self.store_scope,
        }
        return Scope.parse(" ".join(f"{name}:{value}" for name, value in given.items() if value))

    def lacks_market(self) -> bool:
        """Return whether this is a sales channel without a market in scope."""
        selectors = self.typed_scope().selectors
        has_market = any(selector.resource == "market" for selector in selectors)
        return self.kind == "sales_channel" and not has_market


class CommerceLayer(keyturn.plugins.Provider[CommerceLayerSettings]):
    """Commerce Layer (its page «Authentication»)."""

    name = "commercelayer"
    title = "Commerce Layer"
    settings = CommerceLayerSettings
    token_url = "https://auth.{domain}/oauth/token"
    revocation_url = "https://auth.{domain}/oauth/revoke"
    body_format = "json"
    api_headers = {"Accept": "application/vnd.api+json"}
    # The server allows 30 in any minute: burst plus refill must not exceed that.
    rate_limit = keyturn.plugins.RateLimit(per_minute=18, burst=12)
    # The server issues a new token only in the last 15 minutes of the old (comment in js-auth).
    max_margin = 900.0

    def scope(self, settings: CommerceLayerSettings) -> tuple[str, ...]:
        """Return the scope values in the order market, stock location, store."""
        return tuple(map(str, settings.typed_scope().selectors))

    def assumed_lifetime(self, settings: CommerceLayerSettings) -> float:
        """Return the lifetime set for the credentials, else the documented one for their kind."""
        return float(settings.lifetime or _DEFAULT_LIFETIMES[settings.kind])

    def read_error(
        self, settings: CommerceLayerSettings, response: Response
    ) -> keyturn.plugins.OAuthError | None:
        """Return the error; Commerce Layer's `errors` contain the OAuth code as `title`."""
        error = _first_error(response)
        if error is None:
            return super().read_error(settings, response)
        title, detail = error.get("title"), error.get("detail")
        if isinstance(title, str) and keyturn.plugins.is_code(title):
            return keyturn.plugins.OAuthError(title, detail if isinstance(detail, str) else "")
        return keyturn.plugins.OAuthError(
            "", " ".join(str(text) for text in (title, detail) if text)
        )

    def api_url_for(self, settings: CommerceLayerSettings, token: Token | None) -> str | None:
        """Return the organization's API; the token may set the organization, never the domain."""
        organization = settings.organization or _organization(token)
        if settings.api_url or organization is None:
            return settings.api_url
        return f"https://{organization}.{settings.domain}/api"

    def token_rejected(self, settings: CommerceLayerSettings, response: Response) -> bool:
        """Return whether the error is not `UNAUTHORIZED`, a missing permission."""
        del settings
        error = _first_error(response) or {}
        return error.get("code") != "UNAUTHORIZED"

    def warnings(self, settings: CommerceLayerSettings) -> Iterable[str]:
        """Return a warning about a sales channel without a market."""
        if settings.lacks_market():
            yield "Commerce Layer documents that a sales channel needs a market; set market"


def _first_error(response: Response) -> dict[str, Any] | None:
    fields = response.json()
    found = fields.get("errors") if isinstance(fields, dict) else None
    if not found:
        return None
    first = found[0] if isinstance(found, list) else found
    return first if isinstance(first, dict) else {"detail": first}


def _organization(token: Token | None) -> str | None:
    """Return the organization's slug in a token, if it is a label; the token isn't verified."""
    payload = token.access_token.split(".")[1:2] if token else []
    try:
        claims = json.loads(base64.urlsafe_b64decode(f"{payload[0]}==="))
        slug = claims["organization"]["slug"]
        return slug if keyturn.plugins.label_problem(slug) is None else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[CommerceLayerSettings]:
    """Return the provider `commercelayer`."""
    return CommerceLayer()
