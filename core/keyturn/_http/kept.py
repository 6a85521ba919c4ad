"""Idle connections to token endpoints, kept shortly for the next request to the same endpoint."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from keyturn._clock import SYSTEM
from keyturn._common.once import PerProcess

if TYPE_CHECKING:
    import httpcore

    from keyturn._http.network import Network

# The number of connections of a process, and seconds.
_MOST = 64
_SECONDS = 20.0


class Kept(NamedTuple):
    """One connection.

    Args:
        key: Endpoint, proxy, trust, certificate and network policy; a request with the same key may
            use it.
        connection: The connection.
        network: Its socket.
        until: The time at which it is closed, on the system's monotonic clock.
    """

    key: object
    connection: httpcore.ConnectionInterface
    network: Network
    until: float = 0.0


class KeptConnections:
    """The idle connections of a process; the oldest are closed first.

    They are kept while a worker exists (see `keyturn._tokens.workers`). A worker ends after some
    idle seconds, so no connection stays open forever, and no thread or timer is needed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Kept] = []
        self._workers = 0

    def take(self, key: object) -> Kept | None:
        """Return an idle connection that the server has not closed, or None."""
        while True:
            with self._lock:
                for place in reversed(range(len(self._idle))):
                    if self._idle[place].key == key:
                        found = self._idle.pop(place)
                        break
                else:
                    return None
            if SYSTEM.monotonic() < found.until and not found.connection.has_expired():
                return found
            found.network.close()

    def put(self, kept: Kept) -> None:
        """Keep a connection that has become idle, if a worker exists that will close it."""
        with self._lock:
            is_kept = self._workers > 0
            if is_kept:
                self._idle.append(kept._replace(until=SYSTEM.monotonic() + _SECONDS))
            surplus = self._idle.pop(0) if len(self._idle) > _MOST else None
        if not is_kept:
            kept.network.close()
        elif surplus is not None:
            surplus.network.close()

    def enter(self) -> None:
        """Count a worker that starts."""
        with self._lock:
            self._workers += 1

    def leave(self) -> None:
        """Count a worker that ends, and close old connections; the last worker closes all."""
        now = SYSTEM.monotonic()
        with self._lock:
            self._workers -= 1
            surplus = [each for each in self._idle if each.until <= now or not self._workers]
            del self._idle[: len(surplus)]  # they are in the order in which they were kept
        for each in surplus:
            each.network.close()


# A child uses none of its parent's connections.
kept_connections = PerProcess(KeptConnections)
