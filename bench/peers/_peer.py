"""What all adapters have in common.

`python -m bench.peers.NAME ROW SERVER` measures rows and prints JSON. Nothing slow is imported
here: `token` and `disk` are timed as whole processes.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    Call = Callable[[], Any]
    AsyncCall = Callable[[], Awaitable[Any]]

CLIENT_ID = "made-up"
CLIENT_SECRET = "s3cret-for-tests"  # noqa: S105 - made up
SCOPE = "lab"


class Endpoint(NamedTuple):
    """Where one scenario of the server is.

    Args:
        address: The server's host and port.
        path: The scenario's path.
        rationed: Whether its token requests are limited.
    """

    address: str
    path: str
    rationed: bool = False

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


class Peer:
    """What one library does for client credentials; a method that it has no way for returns None.

    Each method makes a client that has no token yet. A call of what is returned gives a token, and
    takes it from the client's memory from the second time on.
    """

    lifetime: int | None = None
    """Seconds that its tokens live under load; None for what the row says."""

    def sync(self, endpoint: Endpoint) -> Call | None:
        """Return a function that gives a token."""
        del endpoint
        return None

    def asynchronous(self, endpoint: Endpoint) -> AsyncCall | None:
        """Return a coroutine function that gives a token."""
        del endpoint
        return None

    def on_disk(self, endpoint: Endpoint, directory: Path) -> Call | None:
        """Return a function that gives a token which is kept in `directory` too."""
        del endpoint, directory
        return None

    def session(self, endpoint: Endpoint) -> tuple[Call, Call] | None:
        """Return an API request with the library's token, and the same with a static header.

        Both are answered at once, without any network.
        """
        del endpoint
        return None

    def async_session(self, endpoint: Endpoint) -> tuple[AsyncCall, AsyncCall] | None:
        """Return the same as `session`, as coroutine functions."""
        del endpoint
        return None

    def many(self, endpoint: Endpoint, count: int) -> Sequence[Any] | None:
        """Return `count` clients of different credentials, with a method `token` each."""
        del endpoint, count
        return None

    def access_token(self, result: Any) -> str:
        """Return the access token in what a call gave."""
        return str(result)


def main(peer: Peer) -> None:
    """Do what the command line says: `ROW,… SERVER [--quick]`, `token URL` or `disk URL DIRECTORY`.

    The process ends at once, whatever threads still wait for a token.
    """
    what, where, *more = sys.argv[1:]
    if what in {"token", "disk"}:
        print(_first_token(peer, what, where, *more), flush=True)
    else:
        from bench.rows import measure

        measure.measure(peer, what.split(","), where, quick="--quick" in more)
    sys.stdout.flush()
    os._exit(0)


def _first_token(peer: Peer, what: str, url: str, directory: str = ".") -> str:
    address, path = url.split("/")[-2:]
    endpoint = Endpoint(address, path)
    if what == "token":
        call = peer.sync(endpoint)
    else:
        from pathlib import Path

        call = peer.on_disk(endpoint, Path(directory))
    return "-" if call is None else peer.access_token(call())
