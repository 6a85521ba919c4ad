"""The protocol, by authlib's authorization server; the origin has each provider's own rules."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import attrs
from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint

from keyturn.testing._messages import MalformedBody, Response, json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from authlib.oauth2 import OAuth2Error

    from keyturn.testing._messages import ReceivedRequest

_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]


@attrs.frozen
class Client:
    """A client of the emulator, with the methods that authlib calls.

    Args:
        role: The client's role, such as `storefront` or `sales_channel`.
        auth_methods: The methods by which it authenticates (RFC 7591 section 2).
        grants: The grant types that it may use.
    """

    role: str
    auth_methods: frozenset[str] = frozenset({"client_secret_post"})
    grants: frozenset[str] = frozenset({"client_credentials"})
    client_id: str = attrs.field(factory=lambda: secrets.token_urlsafe(16))
    client_secret: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def credentials(self) -> dict[str, str]:
        """The settings that a user of this client needs."""
        public = self.auth_methods == frozenset({"none"})
        secret = {} if public else {"client_secret": self.client_secret}
        return {"client_id": self.client_id, **secret}

    def check_client_secret(self, client_secret: str) -> bool:
        """Return whether this is the client's secret (called by authlib)."""
        return client_secret == self.client_secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Return whether the client may authenticate with a method (called by authlib)."""
        del endpoint
        return method in self.auth_methods

    def check_grant_type(self, grant_type: str) -> bool:
        """Return whether the client may use a grant type (called by authlib)."""
        return grant_type in self.grants


@attrs.frozen
class Issued:
    """A token that was issued.

    Args:
        access_token: The token.
        client: The client that it was issued to.
        scope: The scope that was granted.
        created_at: The time of issue in epoch seconds.
        expires_at: The expiry in epoch seconds.
    """

    access_token: str
    client: Client
    scope: str
    created_at: float
    expires_at: float

    def check_client(self, client: Client) -> bool:
        """Return whether the token was issued to this client (called by authlib)."""
        return client is self.client


class Authority(Protocol):
    """The methods that the authorization server needs from an origin."""

    clients: dict[str, Client]
    issued: dict[str, Issued]

    def parameters(self, request: ReceivedRequest) -> dict[str, str]:
        """Return the parameters in a body, or raise `MalformedBody`."""
        ...

    def check_scope(self, scope: str) -> None:
        """Raise authlib's `InvalidScopeError` if the scope can't be granted."""
        ...

    def issue(self, client: Client, scope: str) -> dict[str, Any]:
        """Return the fields of a token response."""
        ...

    def error_response(self, code: str, detail: str) -> Response:
        """Return the response for an OAuth error code (RFC 6749 section 5.2)."""
        ...


class _Request(OAuth2Request):  # type: ignore[misc]  # authlib has no types
    def __init__(self, request: ReceivedRequest, parameters: dict[str, str]) -> None:
        authorization = request.headers.get("authorization", "")
        # authlib requires https or localhost; the URL has no other use.
        uri = f"https://localhost{request.path}"
        super().__init__(request.method, uri, headers={"Authorization": authorization})
        self.payload = BasicOAuth2Payload(parameters)
        self._parameters = parameters

    @property
    def form(self) -> dict[str, str]:
        return self._parameters


class _Revocation(RevocationEndpoint):  # type: ignore[misc]  # authlib has no types
    CLIENT_AUTH_METHODS = _AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Issued | None:
        del token_type_hint
        issued: dict[str, Issued] = self.server.authority.issued
        return issued.get(token_string)

    def revoke_token(self, token: Issued, request: object) -> None:
        del request
        self.server.authority.issued.pop(token.access_token)


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]  # authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS


class OAuthServer(AuthorizationServer):  # type: ignore[misc]  # authlib has no types
    """Client credentials (RFC 6749 section 4.4) and revocation (RFC 7009) for one origin.

    Args:
        authority: The origin, which decides on clients, scopes, tokens and the format of errors.
    """

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        self.authority = authority
        self.register_grant(_Grant)
        self.register_endpoint(_Revocation)
        generator: Any = self._issue
        self.register_token_generator("default", generator)

    def token(self, request: ReceivedRequest) -> Response:
        """Return the token endpoint's response."""
        return self._respond(self.create_token_response, request)

    def revoke(self, request: ReceivedRequest) -> Response:
        """Return the revocation endpoint's response."""
        return self._respond(partial(self.create_endpoint_response, "revocation"), request)

    def _respond(self, endpoint: Callable[[Any], Any], request: ReceivedRequest) -> Response:
        try:
            response: Response = endpoint(request)
        except MalformedBody as error:
            return self.authority.error_response("invalid_request", str(error))
        return response

    def _issue(self, *, client: Client, scope: str | None, **_: object) -> dict[str, Any]:
        return self.authority.issue(client, scope or "")

    # authlib calls the following methods.

    def query_client(self, client_id: str) -> Any:
        """Return the client with an ID, or None."""
        return self.authority.clients.get(client_id)

    def authenticate_client(self, request: Any, methods: Any, endpoint: str = "token") -> Any:
        """Return the client that sent the request."""
        try:
            return super().authenticate_client(request, methods, endpoint)
        except ValueError as error:
            # The Basic header is not Base64 of UTF-8.
            raise InvalidClientError from error

    def validate_requested_scope(self, scope: str | None) -> None:
        """Raise an `InvalidScopeError` if the scope can't be granted."""
        self.authority.check_scope(scope or "")

    def save_token(self, token: object, request: object) -> None:
        """Do nothing: a token is recorded when it is issued."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Do nothing: no listener is registered."""

    def create_oauth2_request(self, request: Any) -> _Request:
        """Return a request in authlib's format."""
        return _Request(request, self.authority.parameters(request))

    def handle_response(self, status: int, body: object, headers: object) -> Response:
        """Return a response in the emulator's format."""
        del headers
        return json_response(status, body)

    def handle_error_response(self, request: object, error: OAuth2Error) -> Response:
        """Return an error response in the provider's format."""
        del request
        return self.authority.error_response(
            str(error.error), str(error.get_error_description() or "")
        )
