"""TCP connections to the first of a host's addresses that accepts (RFC 8305)."""

from __future__ import annotations

import os
import selectors
import socket
from collections import deque
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from keyturn._clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Sequence

    Address = tuple[Any, ...]

# Seconds before the next address is tried too; RFC 8305 section 8.
_ATTEMPT_DELAY = 0.25
# The most addresses that are tried at once, which limits a process's descriptors.
_MOST_AT_ONCE = 4


class ConnectError(OSError):
    """No address of a host accepted a connection; the message names each cause once."""

    def __init__(self, failures: Sequence[OSError]) -> None:
        causes = dict.fromkeys(each.strerror or type(each).__name__ for each in failures)
        super().__init__(failures[-1].errno, "; ".join(causes))


def in_turn(addresses: Sequence[Address]) -> list[Address]:
    """Return addresses in the order of attempts, with alternating families (RFC 8305 section 4).

    Args:
        addresses: The result of `getaddrinfo`, with the preferred one first.
    """
    first = addresses[0][0]
    families = (
        [each for each in addresses if each[0] == first],
        [each for each in addresses if each[0] != first],
    )
    return [each for each in chain(*zip_longest(*families)) if each]


def connect(addresses: Sequence[Address], end: float) -> socket.socket:
    """Return a connection to the first address that accepts one.

    After a failure, the next address is tried at once. After a short time without a response, the
    next address is tried too. So a dead address uses a fraction of the time, and no thread.

    Args:
        addresses: The result of `getaddrinfo`; at least one.
        end: The deadline, on the system's monotonic clock.

    Raises:
        TimeoutError: The deadline has passed.
        ConnectError: No address accepts a connection.
    """
    race = _Race(in_turn(addresses), end)
    try:
        return race.run()
    finally:
        race.close()


class _Race:
    """Attempts to connect, of which the first successful one is used.

    Args:
        addresses: The addresses in their order.
        end: The deadline.
    """

    def __init__(self, addresses: list[Address], end: float) -> None:
        self._addresses = deque(addresses)
        self._end = end
        # A short deadline leaves time for each address too.
        left = end - SYSTEM.monotonic()
        self._delay = min(_ATTEMPT_DELAY, left / (len(addresses) + 1))
        self._failures: list[OSError] = []
        self._attempts: deque[socket.socket] = deque()
        self._selector = selectors.DefaultSelector()

    def run(self) -> socket.socket:
        next_at = SYSTEM.monotonic()
        while self._addresses or self._attempts:
            now = SYSTEM.monotonic()
            if now >= self._end:
                raise TimeoutError
            if self._addresses and (now >= next_at or not self._attempts):
                self._start(*self._addresses.popleft())
                next_at = now + self._delay
            until = min(next_at, self._end) if self._addresses else self._end
            connected = self._wait(max(0.0, until - SYSTEM.monotonic()))
            if connected:
                return connected
        raise ConnectError(self._failures)

    def close(self) -> None:
        """Close all attempts but the one that succeeded."""
        self._selector.close()
        for each in self._attempts:
            each.close()

    def _start(self, family: int, kind: int, protocol: int, _: str, address: Any) -> None:
        if len(self._attempts) == _MOST_AT_ONCE:
            self._drop(self._attempts[0]).close()
        try:
            attempt = socket.socket(family, kind, protocol)
        except OSError as error:  # no IPv6, or no descriptor
            self._failures.append(error)
            return
        attempt.settimeout(0)
        self._attempts.append(attempt)
        self._selector.register(attempt, selectors.EVENT_WRITE)
        try:
            attempt.connect(address)
        except BlockingIOError:
            pass  # it is in progress
        except OSError as error:
            self._fail(attempt, error)

    def _wait(self, seconds: float) -> socket.socket | None:
        """Return the first successful attempt within that time, or None."""
        for key, _ in self._selector.select(seconds) if self._attempts else ():
            attempt: Any = key.fileobj
            code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return self._drop(attempt)
            self._fail(attempt, OSError(code, os.strerror(code)))
        return None

    def _fail(self, attempt: socket.socket, error: OSError) -> None:
        self._failures.append(error)
        self._drop(attempt).close()

    def _drop(self, attempt: socket.socket) -> socket.socket:
        self._selector.unregister(attempt)
        self._attempts.remove(attempt)
        return attempt
