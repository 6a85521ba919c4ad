"""The floor: the least that anybody could do, a token in a slot and a look at the clock."""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING

from bench.peers._peer import Peer, main

if TYPE_CHECKING:
    from bench.peers._peer import AsyncCall, Call, Endpoint


class TokenSnapshot:
    """A token and its end."""

    __slots__ = ("expires_at", "token")

    def __init__(self, token: str, expires_at: float) -> None:
        self.token = token
        self.expires_at = expires_at


class Slot:
    """One client's token."""

    __slots__ = ("held",)

    def __init__(self, token: str = "made-up", expires_at: float = float("inf")) -> None:  # noqa: S107 - made up
        self.held = TokenSnapshot(token, expires_at)

    def token(self) -> str | None:
        """Return the token while it lives."""
        held = self.held
        return held.token if time.time() < held.expires_at else None

    async def atoken(self) -> str | None:
        """Return the same, awaited."""
        held = self.held
        return held.token if time.time() < held.expires_at else None


class Empty:
    """What awaiting costs when nothing is done."""

    __slots__ = ()

    async def atoken(self) -> None:
        """Do nothing."""


def fetch(endpoint: Endpoint) -> str:
    """Return a token straight from the token endpoint."""
    connection = http.client.HTTPConnection(endpoint.address)
    try:
        connection.request("POST", f"/{endpoint.path}/token", b"grant_type=client_credentials")
        return str(json.loads(connection.getresponse().read())["access_token"])
    finally:
        connection.close()


class Floor(Peer):
    """A static header: one token that outlives the run."""

    lifetime = 3600

    def sync(self, endpoint: Endpoint) -> Call:
        """Return a look into a filled slot."""
        return Slot(fetch(endpoint)).token

    def asynchronous(self, endpoint: Endpoint) -> AsyncCall:
        """Return the same, awaited."""
        token = fetch(endpoint)

        async def atoken() -> str:
            return token

        return atoken


if __name__ == "__main__":
    main(Floor())
