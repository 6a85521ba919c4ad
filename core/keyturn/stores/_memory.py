"""The token store of one process: a dictionary, and a lock for each key."""

from __future__ import annotations

import time
from contextlib import contextmanager
from math import inf
from threading import Condition, Lock
from typing import TYPE_CHECKING, NamedTuple

from keyturn._clock import SYSTEM
from keyturn._once import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_SWEEP_MINIMUM = 64


class _Kept(NamedTuple):
    """An entry, and its expiry on both clocks."""

    entry: str
    until: float
    until_monotonic: float


class MemoryStore:
    """Entries in the memory of this process, lost when it ends.

    A forked child starts with a copy of the entries and with every lock free.

    Args:
        now: The clock that expiry is measured by, in epoch seconds.
        monotonic: The clock that shows when the other one was set back.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = SYSTEM.monotonic,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._entries: dict[str, _Kept] = {}
        self._sweep_at = _SWEEP_MINIMUM
        self._locks: PerProcess[_KeyLocks] = PerProcess(_KeyLocks)

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None when there is none or it has expired."""
        found = self._entries.get(key)
        if found is None:
            return None
        if self._now() < found.until and self._monotonic() < found.until_monotonic:
            return found.entry
        with self._locks.get().mutex:
            # Another thread may have written a fresh entry in the meantime.
            if self._entries.get(key) is found:  # pragma: no branch - a race of two threads
                del self._entries[key]
        return None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing what was there."""
        kept = _Kept(entry, expires_at, self._monotonic() + expires_at - self._now())
        with self._locks.get().mutex:
            self._entries[key] = kept
            if len(self._entries) >= self._sweep_at:
                self._sweep()

    def _sweep(self) -> None:
        now, monotonic = self._now(), self._monotonic()
        self._entries = {
            key: kept
            for key, kept in self._entries.items()
            if now < kept.until and monotonic < kept.until_monotonic
        }
        # Twice what is left, so that sweeping costs each write a constant time on average.
        self._sweep_at = max(_SWEEP_MINIMUM, 2 * len(self._entries))

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error when there is none."""
        with self._locks.get().mutex:
            self._entries.pop(key, None)

    @contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` among the threads of this process for a `with` block.

        Args:
            key: The lock's key.
            lease: How long the lock may be held, in seconds, after which a waiter takes it; also
                the longest wait for it.

        Raises:
            TimeoutError: `lease` seconds of waiting did not bring the lock.
        """
        locks, holder = self._locks.get(), object()
        lock = locks.acquire(key, lease, holder)
        try:
            yield
        finally:
            locks.release(key, lock, holder)


class _KeyLock:
    """The lock of one key, kept for as long as a thread holds it or waits for it."""

    __slots__ = ("held_until", "holder", "released", "users")

    def __init__(self, released: Condition) -> None:
        self.released = released
        self.holder: object = None
        self.held_until = -inf
        self.users = 0


class _KeyLocks:
    """Locks with leases, made when they are asked for; `mutex` guards the table of them."""

    __slots__ = ("mutex", "table")

    def __init__(self) -> None:
        self.mutex = Lock()
        self.table: dict[str, _KeyLock] = {}

    def acquire(self, key: str, lease: float, holder: object) -> _KeyLock:
        """Return the lock of `key`, held by `holder`."""
        with self.mutex:
            lock = self.table.setdefault(key, _KeyLock(Condition(self.mutex)))
            lock.users += 1
            try:
                if time.monotonic() < lock.held_until:
                    self._wait(key, lock, lease)
            except BaseException:
                # The wake-up that this waiter may have been given is the next one's.
                lock.released.notify()
                self._leave(key, lock)
                raise
            lock.holder = holder
            lock.held_until = time.monotonic() + lease
        return lock

    def _wait(self, key: str, lock: _KeyLock, lease: float) -> None:
        deadline = time.monotonic() + lease
        while (now := time.monotonic()) < lock.held_until:
            if now >= deadline:
                raise TimeoutError(f"The lock of {key} did not come in {lease:g} s.")
            lock.released.wait(min(lock.held_until, deadline) - now)

    def release(self, key: str, lock: _KeyLock, holder: object) -> None:
        """Free the lock, unless another has taken it since."""
        with self.mutex:
            if lock.holder is holder:
                lock.held_until = -inf
                lock.released.notify()
            self._leave(key, lock)

    def _leave(self, key: str, lock: _KeyLock) -> None:
        lock.users -= 1
        if not lock.users:
            del self.table[key]
