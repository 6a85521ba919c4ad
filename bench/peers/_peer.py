"""The interface of an adapter; nothing slow is imported here, since processes are timed whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from bench.peers._apis import Api

    Call = Callable[[], Any]
    AsyncCall = Callable[[], Awaitable[Any]]


class Endpoint(NamedTuple):
    """Where one scenario of the server is.

    Args:
        address: The server's host and port.
        path: The scenario's path.
        rate_limited: Whether the server limits its token requests.
    """

    address: str
    path: str
    rate_limited: bool = False

    @classmethod
    def from_url(cls, url: str) -> Endpoint:
        """Return the endpoint at a URL."""
        address, path = url.split("/")[-2:]
        return cls(address, path)

    @property
    def url(self) -> str:
        """The scenario's URL."""
        return f"http://{self.address}/{self.path}"

    @property
    def token_url(self) -> str:
        """The token endpoint's URL."""
        return f"{self.url}/token"

    @property
    def api_url(self) -> str:
        """The API's URL."""
        return f"{self.url}/api"


class Requests(NamedTuple):
    """API requests that a transport in memory responds to at once.

    Args:
        ours: With the library's token; any further header is set on the client.
        floors: With all headers set manually, in every way that the HTTP client has.
        least: With the least that is correct, if that is measured: an origin, a slot, a clock.
    """

    ours: Call
    floors: Sequence[Call]
    least: Sequence[Call] = ()


class AsyncRequests(NamedTuple):
    """The same as `Requests`, as coroutine functions."""

    ours: AsyncCall
    floors: Sequence[AsyncCall]
    least: Sequence[AsyncCall] = ()


class Peer:
    """How one library gets tokens by client credentials; a method it can't support returns None.

    Each method makes a client that has no token yet. A call of what is returned gives a token, and
    takes it from the client's memory from the second time on.
    """

    lifetime: int | None = None
    """Seconds that its tokens are valid under load; None for the row's own."""

    def sync(self, endpoint: Endpoint) -> Call | None:
        """Return a function that returns a token."""
        del endpoint
        return None

    def asynchronous(self, endpoint: Endpoint) -> AsyncCall | None:
        """Return a coroutine function that returns a token."""
        del endpoint
        return None

    def on_disk(self, endpoint: Endpoint, directory: Path) -> Call | None:
        """Return a function that returns a token, which is also stored in `directory`."""
        del endpoint, directory
        return None

    def session(self, endpoint: Endpoint, api: Api) -> Requests | None:
        """Return requests to an API."""
        del endpoint, api
        return None

    def async_session(self, endpoint: Endpoint, api: Api) -> AsyncRequests | None:
        """Return the same as `session`, as coroutine functions."""
        del endpoint, api
        return None

    def many(self, endpoint: Endpoint, count: int) -> Sequence[Any] | None:
        """Return `count` clients of the same credentials, with a method `token` each."""
        del endpoint, count
        return None

    def cold(self, endpoint: Endpoint, api: Api, count: int) -> Sequence[Call] | None:
        """Return `count` calls of different credentials that share a store and have no token."""
        del endpoint, api, count
        return None

    def tenant(self, url: str, number: int, authority: str) -> Any | None:
        """Return the client of one tenant, with methods `token` and `atoken`.

        Args:
            url: The address of the tenant's shop; its token endpoint is `/oauth2-token`.
            number: The tenant's number.
            authority: The path of the certificate to trust.
        """
        del url, number, authority
        return None

    def open_tenants(self, number: int) -> Any | None:
        """Return an object that holds tenants without tokens.

        Args:
            number: The number of tenants.
        """
        del number
        return None

    def access_token(self, result: Any) -> str:
        """Return the access token in the result of a call."""
        return str(result)
