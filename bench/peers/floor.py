"""The floor under load: one token that outlives the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.floors import Slot, fetch
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from bench.peers._peer import AsyncCall, Call, Endpoint


class Floor(Peer):
    """A static header."""

    lifetime = 3600

    def sync(self, endpoint: Endpoint) -> Call:
        """Return the reading of a filled slot."""
        return Slot(fetch(endpoint)).token

    def asynchronous(self, endpoint: Endpoint) -> AsyncCall:
        """Return the same, awaited."""
        return Slot(fetch(endpoint)).atoken


PEER = Floor()
