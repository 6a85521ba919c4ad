"""The base class of the emulated providers."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from keyturn.errors import ConfigurationError
from keyturn.testing._messages import Response, html_response
from keyturn.testing.emulator._oauth import Client, Issued, OAuthServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from keyturn.testing._messages import ReceivedRequest
    from keyturn.testing.emulator._limits import RateLimit


class Origin(abc.ABC):
    """One emulated provider: its clients, its tokens and its responses.

    Args:
        clients: The clients that it knows.
        lifetime: The tokens' lifetime in seconds, or None for the documented one.
        now: Returns the time in epoch seconds.
    """

    name: ClassVar[str]
    token_path: ClassVar[str]
    # Whether scripts of any website may send requests (https://fetch.spec.whatwg.org/#http-cors-protocol).
    allows_browsers: ClassVar[bool] = False
    # Faults of this provider alone, and their responses.
    own_faults: ClassVar[Mapping[str, Response]] = {}

    def __init__(
        self, clients: Iterable[Client], lifetime: int | None, now: Callable[[], float]
    ) -> None:
        self.clients = {client.client_id: client for client in clients}
        self.issued: dict[str, Issued] = {}
        self.lifetime = lifetime
        self.now = now
        # Set when the listener is open.
        self.url = ""
        self.oauth = OAuthServer(self)

    @abc.abstractmethod
    def settings(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        """Return keyword arguments for `keyturn.connect`, including those of the variant."""

    @abc.abstractmethod
    def resource(self, variant: Mapping[str, Any]) -> str:
        """Return the path of a protected resource, below the API's URL."""

    @abc.abstractmethod
    def api(self, request: ReceivedRequest) -> Response | None:
        """Return the response of a protected resource, or None if there is none at that path."""

    @abc.abstractmethod
    def parameters(self, request: ReceivedRequest) -> dict[str, str]:
        """Return the parameters of a token request, or raise `MalformedBody`."""

    @abc.abstractmethod
    def check_scope(self, scope: str) -> None:
        """Raise authlib's `InvalidScopeError` if the scope can't be granted."""

    @abc.abstractmethod
    def issue(self, client: Client, scope: str) -> dict[str, Any]:
        """Return the fields of a token response."""

    @abc.abstractmethod
    def error_response(self, code: str, detail: str) -> Response:
        """Return the response for an OAuth error code."""

    def endpoints(self) -> dict[str, Callable[[ReceivedRequest], Response]]:
        """Return the paths that accept POST, and their handlers."""
        return {self.token_path: self.oauth.token}

    @abc.abstractmethod
    def documents(self) -> Mapping[str, Callable[[], object]]:
        """Return the paths of public JSON documents (metadata and keys), and functions for them."""

    def rate_limit(self) -> RateLimit | None:
        """Return a new rate limit for one IP address, or None for no limit."""
        return None

    def rate_limited(self) -> Response:
        """Return the response to a request above the rate limit."""
        return html_response(429, "429 Too Many Requests")

    def server_error(self) -> Response:
        """Return the response of a server that fails."""
        return html_response(500, "500 Internal Server Error")

    def use_stable_credentials(self) -> None:
        """Replace the clients' random ids and secrets by ones that are always the same."""
        clients = [
            attrs.evolve(
                client,
                client_id=f"{self.name}-{client.role}",
                client_secret=f"secret-of-{self.name}-{client.role}",
            )
            for client in self.clients.values()
        ]
        self.clients = {client.client_id: client for client in clients}

    def client(self, role: str) -> Client:
        """Return the client of that role.

        Raises:
            ConfigurationError: The provider has no such client.
        """
        roles = {client.role: client for client in self.clients.values()}
        if role not in roles:
            known = ", ".join(roles)
            raise ConfigurationError(
                f"the emulator has no {role!r} client for {self.name}.",
                hint=f"Known clients: {known}.",
            )
        return roles[role]

    def record(
        self, access_token: str, client: Client, scope: str, *, since: float, lifetime: float
    ) -> Issued:
        """Record a token that is issued now, and drop expired ones."""
        now = self.now()
        self.issued = {
            value: token for value, token in self.issued.items() if token.expires_at > now
        }
        token = Issued(access_token, client, scope, since, since + lifetime)
        self.issued[access_token] = token
        return token

    def bearer(self, request: ReceivedRequest) -> Issued | None:
        """Return the valid token that a request carries (RFC 6750 section 2.1)."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        token = self.issued.get(value.strip()) if scheme.lower() == "bearer" else None
        return token if token and self.now() < token.expires_at else None
