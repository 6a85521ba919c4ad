"""Commerce Layer, by its page on authentication and its published clients."""

from __future__ import annotations

import itertools
import random
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
from authlib.oauth2.rfc6749.errors import InvalidScopeError

from keyturn.testing._messages import (
    MalformedBody,
    Response,
    json_object,
    json_response,
    parameters_of_any_kind,
)
from keyturn.testing.emulator import _commercelayer_api
from keyturn.testing.emulator._commercelayer_api import MARKETS, Market
from keyturn.testing.emulator._limits import SlidingWindow
from keyturn.testing.emulator._oauth import Client
from keyturn.testing.emulator._origin import Origin
from keyturn.testing.emulator._signing import public_keys, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn.testing._messages import ReceivedRequest
    from keyturn.testing.emulator._oauth import Issued

_ORGANIZATION = {
    "id": "enWoxFMOnp",
    "slug": "emulated",
    "enterprise": False,
    "region": "eu-west-1",
}
_APPLICATION_IDS = {"integration": "nGVqaiBazY", "sales_channel": "BNRkpiyMaG"}
_SECRET_NEEDED = frozenset({"client_secret_post"})
# The server issues a new token only in the last seconds of the old one (comment in js-auth).
_OVERLAP = 900
_LIFETIMES = {"integration": 7200, "sales_channel": 14_400}
_PARAMETERS = {
    "/oauth/token": ("grant_type", "client_id", "client_secret", "scope"),
    "/oauth/revoke": ("client_id", "client_secret", "token", "token_type_hint"),
}
_STATUSES = {"invalid_client": 401, "unauthorized_client": 403}
# The messages of Doorkeeper, whose error codes and formats the server uses.
_DETAILS = {
    "invalid_client": "Client authentication failed due to unknown client, no client authentication"
    " included, or unsupported authentication method.",
    "invalid_request": "The request is missing a required parameter, includes an unsupported"
    " parameter value, or is otherwise malformed.",
    "invalid_scope": "The requested scope is invalid, unknown, or malformed.",
    "unauthorized_client": "The client is not authorized to perform this request using this"
    " method.",
    "unsupported_grant_type": "The authorization grant type is not supported by the authorization"
    " server.",
}
_CODES = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 429: "TOO_MANY_REQUESTS"}
_STORES = {"code:europe_store", "id:sTeUropeAb"}


def _selected(values: list[str]) -> list[Market]:
    """Return the enabled markets that a scope selects."""
    return [
        market
        for market in MARKETS
        if market.enabled
        and not {"market:all", f"market:id:{market.id}", f"market:code:{market.code}"}.isdisjoint(
            values
        )
    ]


def _values(scope: str) -> list[str]:
    """Return the values of a scope; the vendor's command line separates them by commas."""
    return scope.replace(",", " ").split()


def _market_claim(scope: str) -> dict[str, Any]:
    """Return the claim on the markets in scope, which a token for all of them lacks."""
    markets = [] if scope == "market:all" else _selected(scope.split())
    if not markets:
        return {}
    locations = itertools.chain.from_iterable(market.stock_locations for market in markets)
    claim = {
        "id": [market.id for market in markets],
        "stock_location_ids": [each[3:] for each in locations if each.startswith("id:")],
        "geocoder_id": None,
        "allows_external_prices": False,
    }
    return {"market": claim}


def _errors(status: int, title: str, detail: str) -> Response:
    error = {"title": title, "detail": detail, "code": _CODES[status], "status": status}
    response = json_response(status, {"errors": [error]})
    if status != 401:
        return response
    challenge = f'Bearer realm="Doorkeeper", error="{title}", error_description="{detail}"'
    return attrs.evolve(response, headers={**response.headers, "WWW-Authenticate": challenge})


class CommerceLayer(Origin):
    """Commerce Layer, with one organization, two markets and three clients."""

    name = "commercelayer"
    token_path = "/oauth/token"  # noqa: S105 - a path
    # A sales channel is an application in a browser.
    allows_browsers = True

    def __init__(self, lifetime: int | None, now: Callable[[], float]) -> None:
        clients = [
            Client("integration", _SECRET_NEEDED),
            Client("sales_channel", frozenset({"none"})),
            Client("webapp", _SECRET_NEEDED, grants=frozenset({"authorization_code"})),
        ]
        super().__init__(clients, lifetime, now)
        self._issuer = ""

    def settings(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of the integration, or of the kind of client given."""
        kind = variant.get("kind", "integration")
        market = {"market": "code:europe"} if kind == "sales_channel" else {}
        return {
            "kind": kind,
            "organization": _ORGANIZATION["slug"],
            **market,
            "token_url": self.url + self.token_path,
            "api_url": self.url + _commercelayer_api.BASE,
            **self.client(kind).credentials,
            **variant,
        }

    def resource(self, variant: Mapping[str, Any]) -> str:
        """Return the path of the markets."""
        del variant
        return "/markets"

    def endpoints(self) -> dict[str, Callable[[ReceivedRequest], Response]]:
        """Return the token endpoint and the revocation endpoint beside it."""
        return {self.token_path: self._token, "/oauth/revoke": self.oauth.revoke}

    def documents(self) -> dict[str, Callable[[], object]]:
        """Return the keys, at the path that follows the issuer in the vendor's client."""
        return {"/.well-known/jwks.json": lambda: public_keys("RS512")}

    def _token(self, request: ReceivedRequest) -> Response:
        self._issuer = self._issuer_for(request.headers.get("host", ""))
        # The framework, not the authorization server, rejects what it can't parse.
        if request.media_type == "application/json":
            try:
                json_object(request.body)
            except MalformedBody:
                return json_response(400, {"status": 400, "error": "Bad Request"})
        return self.oauth.token(request)

    def _issuer_for(self, host: str) -> str:
        """Return the issuer for a request to a host.

        The vendor's client revokes tokens, and fetches keys, at the real host unless the issuer
        begins with `https://auth.`. Behind a proxy with TLS, at such a name, it is reachable.
        """
        if host.startswith("auth."):
            return f"https://{host}"
        address = urlsplit(self.url)
        # An IPv4 address can't have a name below it.
        name = re.sub(r"^[\d.]+$", "localhost", address.hostname or "")
        return f"https://auth.{name}:{address.port}"

    def parameters(self, request: ReceivedRequest) -> dict[str, str]:
        """Return the parameters."""
        return parameters_of_any_kind(request, _PARAMETERS[request.path])

    def check_scope(self, scope: str) -> None:
        """Reject unknown values, and a stock location outside the market in scope."""
        values = _values(scope)
        markets = _selected(values)
        inside = set(itertools.chain.from_iterable(market.stock_locations for market in markets))
        for value in values:
            resource, _, selector = value.partition(":")
            known = {
                "market": bool(_selected([value])),
                "stock_location": selector in inside,
                "store": selector in _STORES,
            }
            if not known.get(resource, False):
                raise InvalidScopeError

    def issue(self, client: Client, scope: str) -> dict[str, Any]:
        """Return the token issued before, unless it is in its last minutes."""
        scope = " ".join(_values(scope))
        if not scope and client.role == "integration":
            scope = "market:all"
        now = self.now()
        token = self._reusable(client, scope, now) or self._new(client, scope, now)
        response = {
            "access_token": token.access_token,
            "token_type": "bearer",
            # Rounded first: a rounding error would shorten a new token by a second.
            "expires_in": int(round(token.expires_at - now, 3)),
            "scope": token.scope,
            "created_at": int(token.created_at),
        }
        return response if token.scope else {k: v for k, v in response.items() if k != "scope"}

    def _reusable(self, client: Client, scope: str, now: float) -> Issued | None:
        for token in self.issued.values():
            same = token.client is client and set(token.scope.split()) == set(scope.split())
            if same and token.expires_at - now > _OVERLAP:
                return token
        return None

    def _new(self, client: Client, scope: str, now: float) -> Issued:
        lifetime = self.lifetime or _LIFETIMES[client.role]
        public = client.role == "sales_channel"
        claims = {
            "organization": _ORGANIZATION,
            "application": {
                "id": _APPLICATION_IDS[client.role],
                "kind": client.role,
                "client_id": client.client_id,
                "confidential": not public,
                "public": public,
            },
            **_market_claim(scope),
            "iss": self._issuer,
            "iat": int(now),
            "exp": int(now + lifetime),
            "rand": random.random(),  # noqa: S311 - it only makes two tokens differ
            "scope": scope,
            "test": True,
        }
        token = signed(claims, "RS512")
        return self.record(token, client, scope, since=now, lifetime=lifetime)

    def error_response(self, code: str, detail: str) -> Response:
        """Return an error in Commerce Layer's format, with the OAuth code as its title."""
        return _errors(_STATUSES.get(code, 400), code, _DETAILS.get(code, detail))

    def rate_limit(self) -> SlidingWindow:
        """Return the documented limit of 30 a minute."""
        return SlidingWindow(per_minute=30)

    def rate_limited(self) -> Response:
        """Return the response to a request above the rate limit."""
        return _errors(429, "too_many_requests", "The rate limit is reached.")

    def api(self, request: ReceivedRequest) -> Response | None:
        """Return markets, and the SKUs that are sold in those of the token's scope."""
        if not request.path.startswith(f"{_commercelayer_api.BASE}/"):
            return None
        token = self.bearer(request)
        if token is None:
            detail = "The access token is invalid or has expired."
            return _commercelayer_api.unauthorized("INVALID_TOKEN", detail)
        client = {"id": _APPLICATION_IDS[token.client.role], "kind": token.client.role}
        own = _commercelayer_api.own_resource(request.path, _ORGANIZATION, client)
        markets = _selected(token.scope.split())
        return own or _commercelayer_api.respond(request, self.url, markets)
