"""The least work that any code can do for a token: read a slot, read a clock, send one request."""

from __future__ import annotations

import functools
import http.client
import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.peers._peer import Endpoint

_counting = functools.partial(
    time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
)


class TokenSnapshot:
    """A token and its expiry."""

    __slots__ = ("expires_at", "token")

    def __init__(self, token: str, expires_at: float) -> None:
        self.token = token
        self.expires_at = expires_at


class Slot:
    """One client's token."""

    __slots__ = ("snapshot",)

    def __init__(self, token: str = "made-up", expires_at: float = float("inf")) -> None:  # noqa: S107 - made up
        self.snapshot = TokenSnapshot(token, expires_at)

    def token(self) -> str | None:
        """Return the token while it is valid."""
        snapshot = self.snapshot
        return snapshot.token if time.monotonic() < snapshot.expires_at else None

    async def atoken(self) -> str | None:
        """Return the token while it is valid."""
        snapshot = self.snapshot
        return snapshot.token if time.monotonic() < snapshot.expires_at else None


class CountingSlot(Slot):
    """One client's token, its expiry on the clock that counts suspended time, as keyturn's is."""

    __slots__ = ()

    def token(self) -> str | None:
        """Return the token while it is valid."""
        snapshot = self.snapshot
        return snapshot.token if _counting() < snapshot.expires_at else None

    async def atoken(self) -> str | None:
        """Return the token while it is valid."""
        snapshot = self.snapshot
        return snapshot.token if _counting() < snapshot.expires_at else None


class Empty:
    """An awaited method that does nothing."""

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
