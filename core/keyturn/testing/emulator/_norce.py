"""Norce Commerce and Norce Storm, by their pages on OAuth2 accounts.

Errors have the format of the IdentityServer family: 400, also for `invalid_client`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from authlib.oauth2.rfc6749.errors import InvalidScopeError

from keyturn.testing._messages import (
    Response,
    form_parameters,
    html_response,
    json_response,
)
from keyturn.testing.emulator import _norce_api
from keyturn.testing.emulator._limits import LeakyBucket
from keyturn.testing.emulator._oauth import Client
from keyturn.testing.emulator._origin import Origin
from keyturn.testing.emulator._signing import public_keys, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn.testing._messages import ReceivedRequest

_APPLICATION_ID = 1042


class _Norce(Origin):
    issuer_path: ClassVar[str]
    resource_path: ClassVar[str]
    # The scope in the request, and its name in the token.
    environments: ClassVar[Mapping[str, str]]

    def __init__(self, lifetime: int | None, now: Callable[[], float]) -> None:
        super().__init__([Client("integration")], lifetime, now)
        self._expiries: set[int] = set()

    def settings(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "application_id": _APPLICATION_ID,
            "token_url": self.url + self.token_path,
            "api_url": self.url,
            **self.client("integration").credentials,
            **variant,
        }

    def resource(self, variant: Mapping[str, Any]) -> str:
        del variant
        return self.resource_path

    def rate_limit(self) -> LeakyBucket:
        return LeakyBucket(per_minute=3, burst=20)

    def parameters(self, request: ReceivedRequest) -> dict[str, str]:
        return form_parameters(request)

    def documents(self) -> dict[str, Callable[[], object]]:
        # The paths are those of the IdentityServer family.
        metadata = f"{self.issuer_path}.well-known/openid-configuration"
        return {
            metadata: lambda: self._metadata(f"{self.url}{metadata}/jwks"),
            f"{metadata}/jwks": lambda: public_keys("RS256", by_certificate=True),
        }

    def _metadata(self, jwks_uri: str) -> dict[str, object]:
        return {
            "issuer": self.url + self.issuer_path,
            "jwks_uri": jwks_uri,
            "token_endpoint": self.url + self.token_path,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "scopes_supported": list(self.environments),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def check_scope(self, scope: str) -> None:
        if not scope.split() or not set(scope.split()) <= set(self.environments):
            raise InvalidScopeError

    def issue(self, client: Client, scope: str) -> dict[str, Any]:
        now = self.now()
        lifetime = self.lifetime or 3600
        audience = [self.environments[value] for value in scope.split()]
        claims = {
            "nbf": int(now),
            "iss": self.url + self.issuer_path,
            "aud": audience[0] if len(audience) == 1 else audience,
            "exp": self._expiry(now, lifetime),
            "client_id": client.client_id,
            "scope": audience,
        }
        token = signed(claims, "RS256", "at+jwt", by_certificate=True)
        self.record(token, client, scope, since=now, lifetime=lifetime)
        return {
            "access_token": token,
            "expires_in": lifetime,
            "token_type": "Bearer",
            "scope": scope,
        }

    def _expiry(self, now: float, lifetime: int) -> int:
        """Return a second in which no other token expires; tokens differ in nothing else."""
        self._expiries = {expiry for expiry in self._expiries if expiry > now}
        expiry = int(now + lifetime)
        while expiry in self._expiries:
            expiry += 1
        self._expiries.add(expiry)
        return expiry

    def error_response(self, code: str, detail: str) -> Response:
        del detail
        return json_response(400, {"error": code})

    def api(self, request: ReceivedRequest) -> Response | None:
        response = self.found(request)
        if response is None:
            return None
        if self.bearer(request) is None:
            return Response(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if _application_id(request) is None:
            return html_response(400, "400 Bad Request")
        return response

    def found(self, request: ReceivedRequest) -> Response | None:
        if request.path != self.resource_path:
            return None
        return json_response(
            200, {"Application": {"Id": _application_id(request), "Name": "Emulated"}}
        )


def _application_id(request: ReceivedRequest) -> str | None:
    """Return the application's ID; the Query API knows its header by another name too."""
    value = request.headers.get("applicationid")
    if value is None and _norce_api.is_query(request):
        value = request.headers.get("application-id")
    return value if value and value.isascii() and value.isdigit() else None


class NorceCommerce(_Norce):
    """Norce Commerce; older pages call its environments `lab` and `production`."""

    name = "norce-commerce"
    token_path = "/identity/1.0/connect/token"  # noqa: S105 - a path
    issuer_path = "/identity/1.0/"
    resource_path = "/commerce/metadata/1.1/GetApplication"
    environments: ClassVar[Mapping[str, str]] = {
        "playground": "Playground",
        "stage": "Staging",
        "prod": "Production",
        "lab": "Staging",
        "production": "Production",
    }

    def settings(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a client in the playground."""
        mine = {"client": "emulated", "region": "se", "environment": "playground"}
        return mine | super().settings(variant)

    def found(self, request: ReceivedRequest) -> Response | None:
        """Return the resource at a path: the application, or products by the Query API."""
        if _norce_api.is_query(request):
            return _norce_api.entities(request, self.url)
        return super().found(request)


class NorceStorm(_Norce):
    """Norce Storm."""

    name = "norce-storm"
    token_path = "/1.0/connect/token"  # noqa: S105 - a path
    issuer_path = "/1.0/"
    resource_path = "/1.1/ApplicationService.svc/rest/GetApplication"
    environments: ClassVar[Mapping[str, str]] = {
        "lab": "Staging",
        "qa": "Testing",
        "production": "Production",
    }

    def settings(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a client in the lab."""
        return {"scope": "lab"} | super().settings(variant)

    def found(self, request: ReceivedRequest) -> Response | None:
        """Return the resource at a path: the application, or products."""
        if request.path == _norce_api.LIST_PRODUCTS:
            return _norce_api.listed_products(request)
        return super().found(request)
