"""The token store of one process: a dictionary with a lock for each key."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from math import inf
from threading import Condition, Lock

from keyturn._clock import SYSTEM
from keyturn._common.once import PerProcess
from keyturn.stores._base import refuse_pickling

_SWEEP_MINIMUM = 64


class MemoryStore:
    """Entries in the memory of this process, lost when it ends.

    A forked child starts with a copy of the entries and with every lock free.

    Args:
        now: The clock for expiry, in epoch seconds.
        monotonic: A monotonic clock, to detect that the other one was set back.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = SYSTEM.monotonic,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        # Each entry, and its expiry on both clocks.
        self._entries: dict[str, tuple[str, float, float]] = {}
        self._sweep_at = _SWEEP_MINIMUM
        self._locks: PerProcess[tuple[Lock, dict[str, _KeyLock]]] = PerProcess(lambda: (Lock(), {}))

    __getstate__ = __reduce__ = __reduce_ex__ = refuse_pickling

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None if it does not exist or has expired."""
        entry, until, until_monotonic = self._entries.get(key, (None, -inf, -inf))
        return entry if self._now() < until and self._monotonic() < until_monotonic else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing an earlier entry."""
        now, monotonic = self._now(), self._monotonic()
        with self._locks.get()[0]:
            self._entries[key] = entry, expires_at, monotonic + expires_at - now
            if len(self._entries) >= self._sweep_at:
                self._entries = {
                    each: kept
                    for each, kept in self._entries.items()
                    if now < kept[1] and monotonic < kept[2]
                }
                # At twice the remaining number, so that each write needs constant time on average.
                self._sweep_at = max(_SWEEP_MINIMUM, 2 * len(self._entries))

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error if it does not exist."""
        with self._locks.get()[0]:
            self._entries.pop(key, None)

    @contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` among the threads of this process for a `with` block.

        Args:
            key: The lock's key.
            lease: The maximum time in seconds to hold the lock, after which a waiter takes it, and
                to wait for it.

        Raises:
            TimeoutError: The lock was not free within `lease` seconds.
        """
        mutex, table = self._locks.get()
        with mutex:
            lock = table.setdefault(key, _KeyLock(mutex))
            lock.users += 1
        holder = object()
        try:
            with mutex:
                deadline = time.monotonic() + lease
                while (now := time.monotonic()) < lock.held_until:
                    if now >= deadline:
                        raise TimeoutError(f"The lock of {key} was not free within {lease:g} s.")
                    lock.wait(min(lock.held_until, deadline) - now)
                lock.holder, lock.held_until = holder, now + lease
            yield
        finally:
            with mutex:
                if lock.holder is holder:  # no other thread has taken it since
                    lock.held_until = -inf
                # A waiter that gives up passes on the wake-up that it may have received.
                lock.notify()
                lock.users -= 1
                if not lock.users:
                    del table[key]


class _KeyLock(Condition):
    """The lock of one key, in the table while a thread holds it or waits for it."""

    holder: object = None
    held_until = -inf
    users = 0
