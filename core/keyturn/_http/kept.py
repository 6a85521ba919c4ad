"""Idle connections to token endpoints, kept for a moment for the next tenant of the same one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from keyturn._clock import SYSTEM
from keyturn._common.once import PerProcess

if TYPE_CHECKING:
    import httpcore

    from keyturn._http.network import Network

# Connections of a process, and seconds.
_MOST = 64
_SECONDS = 20.0


class Kept(NamedTuple):
    """One connection.

    Args:
        key: What may use it: the same endpoint, proxy, trust, certificate and network policy.
        connection: The connection.
        network: Its socket.
        until: When it is closed, on the system's monotonic clock.
    """

    key: object
    connection: httpcore.ConnectionInterface
    network: Network
    until: float = 0.0


class KeptConnections:
    """The idle connections of a process; those that are kept for longest give way.

    They are kept while there is a worker (see `keyturn._tokens.workers`), which ends when it has
    been idle for some seconds: so none stays open for ever, without a thread or a timer for that.
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
        """Keep a connection that has become idle, if a worker is there to close it."""
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
        """Count a worker that begins."""
        with self._lock:
            self._workers += 1

    def leave(self) -> None:
        """Count a worker that ends, and close what is too old; the last one leaves nothing."""
        now = SYSTEM.monotonic()
        with self._lock:
            self._workers -= 1
            surplus = [each for each in self._idle if each.until <= now or not self._workers]
            del self._idle[: len(surplus)]  # they lie in the order in which they were kept
        for each in surplus:
            each.network.close()


# A child uses none of its parent's connections.
kept_connections = PerProcess(KeptConnections)
