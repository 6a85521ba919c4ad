"""OroCommerce, by its page on the client credentials grant and its published source."""

from __future__ import annotations

import functools
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from keyturn.testing._messages import (
    MalformedBody,
    Response,
    json_response,
    parameters_of_any_kind,
)
from keyturn.testing.emulator._oauth import Client
from keyturn.testing.emulator._origin import Origin
from keyturn.testing.emulator._products import PRODUCTS, SINCE, InvalidParameter, Page
from keyturn.testing.emulator._signing import signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn.testing._messages import ReceivedRequest

_APPLICATION = "/shop"
# The path of a resource on each side; a client belongs to one side.
_RESOURCES = {"backoffice": "/users", "storefront": "/products"}
_TIMES = {"createdAt": SINCE, "updatedAt": SINCE}
_SIMPLE = {"productType": "simple", **_TIMES}
# The attributes of each side's resources, by type and ID.
_SIDES: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
    "backoffice": {
        "users": {"1": {"username": "admin", "email": "admin@shop.example", **_TIMES}},
        "products": {
            str(product.number): {"sku": product.code, "status": "enabled", **_SIMPLE}
            for product in PRODUCTS
        },
    },
    "storefront": {
        "products": {
            str(product.number): {"sku": product.code, "name": product.name, **_SIMPLE}
            for product in PRODUCTS
        },
    },
}
_MAX_PAGE_SIZE = 100
_API_BASES = {
    "backoffice": f"{_APPLICATION}/admin/api",
    "storefront": f"{_APPLICATION}/api",
}
_JSON_API = "application/vnd.api+json"
_AUTH_METHODS = frozenset({"client_secret_basic", "client_secret_post"})
_PARAMETERS = ("grant_type", "client_id", "client_secret", "scope")
_STATUSES = {"invalid_client": 401, "no_encryption_key": 401, "server_error": 500}
# The messages of league/oauth2-server, which OroCommerce uses.
_DESCRIPTIONS = {
    "invalid_client": "Client authentication failed",
    "invalid_request": "The request is missing a required parameter, includes an invalid parameter"
    " value, includes a parameter more than once, or is otherwise malformed.",
    "unsupported_grant_type": "The authorization grant type is not supported by the authorization"
    " server.",
    "server_error": "The authorization server encountered an unexpected condition which prevented"
    " it from fulfilling the request.",
}


def _error(code: str, description: str, hint: str | None = None) -> Response:
    fields = {"error": code, "error_description": description}
    if hint is not None:
        fields["hint"] = hint
    # Older versions repeat the description.
    fields["message"] = description
    return json_response(_STATUSES.get(code, 400), fields)


class OroCommerce(Origin):
    """OroCommerce at an application URL with a path."""

    name = "orocommerce"
    token_path = f"{_APPLICATION}/oauth2-token"
    own_faults: ClassVar[Mapping[str, Response]] = {
        "no-encryption-key": _error("no_encryption_key", "The server has no encryption key.")
    }

    def __init__(self, lifetime: int | None, now: Callable[[], float]) -> None:
        super().__init__([Client(side, _AUTH_METHODS) for side in _RESOURCES], lifetime, now)

    def settings(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of the back-office's client, or of that of the side given."""
        side = variant.get("side", "backoffice")
        credentials = self.client(side).credentials
        return {"url": self.url + _APPLICATION, "side": side, **credentials, **variant}

    def resource(self, variant: Mapping[str, Any]) -> str:
        """Return a path below the API of a side."""
        return _RESOURCES[self.client(variant.get("side", "backoffice")).role]

    def parameters(self, request: ReceivedRequest) -> dict[str, str]:
        """Return the parameters; a request without a client ID is invalid."""
        parameters = parameters_of_any_kind(request, _PARAMETERS)
        if "client_id" not in parameters and "authorization" not in request.headers:
            raise MalformedBody("Check the `client_id` parameter")
        return parameters

    def endpoints(self) -> dict[str, Callable[[ReceivedRequest], Response]]:
        """Return the token endpoint."""
        return {self.token_path: self._token}

    def _token(self, request: ReceivedRequest) -> Response:
        response = self.oauth.token(request)
        if response.status != 401 or "authorization" not in request.headers:
            return response
        # league/oauth2-server sends it only to a client that authenticates by this header.
        challenge = {"WWW-Authenticate": 'Basic realm="OAuth"'}
        return attrs.evolve(response, headers={**response.headers, **challenge})

    def documents(self) -> dict[str, Callable[[], object]]:
        """Return the metadata (RFC 8414) of both sides, like OroCommerce 6.0."""
        below = f"{_APPLICATION}/.well-known/oauth-authorization-server"
        return {
            f"{below}/{prefix}oauth2-server": functools.partial(self._metadata, prefix)
            for prefix in ("", "admin/")
        }

    def _metadata(self, prefix: str) -> dict[str, object]:
        return {
            "issuer": f"{self.url}{_APPLICATION}/{prefix}oauth2-server",
            "token_endpoint": self.url + self.token_path,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": sorted(_AUTH_METHODS),
        }

    def check_scope(self, scope: str) -> None:
        """Accept any scope, as OroCommerce does."""

    def issue(self, client: Client, scope: str) -> dict[str, Any]:
        """Return a token response without a scope; the times are floats."""
        now = float(self.now())
        # One of the 3600 seconds has usually begun when the response is written.
        lifetime = self.lifetime or 3599
        claims = {
            "aud": client.client_id,
            "jti": secrets.token_hex(40),
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "sub": "",
            "scopes": scope.split(),
        }
        token = signed(claims, "RS256")
        self.record(token, client, scope, since=now, lifetime=lifetime)
        return {"token_type": "Bearer", "expires_in": lifetime, "access_token": token}

    def error_response(self, code: str, detail: str) -> Response:
        """Return an error, with a hint if something about the request is wrong."""
        hints = {
            "invalid_request": detail,
            "unsupported_grant_type": "Check that all required parameters have been provided",
        }
        return _error(code, _DESCRIPTIONS.get(code, detail), hints.get(code))

    def server_error(self) -> Response:
        """Return the OAuth error of a server that fails."""
        return _error("server_error", _DESCRIPTIONS["server_error"])

    def api(self, request: ReceivedRequest) -> Response | None:
        """Return users and products to the back-office's client, products to the storefront's."""
        for side, base in _API_BASES.items():
            kind, _, identifier = request.path.removeprefix(f"{base}/").partition("/")
            if request.path.startswith(f"{base}/") and kind in _SIDES[side]:
                token = self.bearer(request)
                if token is None or token.client.role != side:
                    return Response(401, headers={"WWW-Authenticate": "Bearer"})
                found = [
                    {"type": kind, "id": each, "attributes": attributes}
                    for each, attributes in _SIDES[side][kind].items()
                ]
                return _resource(request, found, identifier, f"{self.url}{base}/{kind}")
        return None


def _resource(
    request: ReceivedRequest, found: list[dict[str, Any]], identifier: str, url: str
) -> Response:
    if identifier:
        found = [each for each in found if each["id"] == identifier]
        if not found:
            detail = "An entity with the requested identifier does not exist."
            return _api_error(404, "not found http exception", detail)
        return _as_accepted(request, {"data": found[0]})
    try:
        page = Page.asked(request, found, _MAX_PAGE_SIZE)
    except InvalidParameter as error:
        return _api_error(400, "filter constraint", f"{error.name} can't be {error.value!r}.")
    links = page.links(url)
    # The real server counts only the resources that it returns.
    links.pop("last", None)
    return _as_accepted(request, {"data": page.items, "links": links})


def _as_accepted(request: ReceivedRequest, document: dict[str, Any]) -> Response:
    """Return a document in JSON:API's format, or plain to a client that does not accept it."""
    if request.headers.get("accept") == _JSON_API:
        return json_response(200, document, _JSON_API)
    data = document["data"]
    if isinstance(data, list):
        return json_response(200, [_plain(each) for each in data])
    return json_response(200, _plain(data))


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    return {"id": int(item["id"]), **item["attributes"]}


def _api_error(status: int, title: str, detail: str) -> Response:
    error = {"status": str(status), "title": title, "detail": detail}
    return json_response(status, {"errors": [error]}, _JSON_API)
