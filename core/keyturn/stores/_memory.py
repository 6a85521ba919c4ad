"""The token store of one process: a dictionary, and a lock for each key."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from threading import Condition, Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

_SWEEP_MINIMUM = 64


@dataclass(frozen=True, slots=True)
class _Kept:
    """An entry, and its end on both clocks."""

    entry: str
    until: float
    until_monotonic: float


class MemoryStore:
    """Entries in the memory of this process, lost when it ends.

    A child process made by `os.fork` starts with a copy of the entries and with every lock free.

    Args:
        now: The clock that expiry is measured by, in epoch seconds.
        monotonic: The clock that shows when the other one was set back.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._entries: dict[str, _Kept] = {}
        self._sweep_at = _SWEEP_MINIMUM
        self._locks = _KeyLocks()

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None when there is none or it has expired."""
        found = self._entries.get(key)
        if found is None:
            return None
        if self._is_valid(found):
            return found.entry
        with self._locks.mutex:
            # Another thread may have written a fresh entry in the meantime.
            if self._entries.get(key) is found:  # pragma: no branch - a race of two threads
                del self._entries[key]
        return None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing what was there."""
        kept = _Kept(entry, expires_at, self._monotonic() + expires_at - self._now())
        with self._locks.mutex:
            self._entries[key] = kept
            if len(self._entries) >= self._sweep_at:
                self._sweep()

    def _sweep(self) -> None:
        self._entries = {key: kept for key, kept in self._entries.items() if self._is_valid(kept)}
        # Twice what is left, so that sweeping costs each write a constant time on average.
        self._sweep_at = max(_SWEEP_MINIMUM, 2 * len(self._entries))

    def _is_valid(self, kept: _Kept) -> bool:
        return self._now() < kept.until and self._monotonic() < kept.until_monotonic

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error when there is none."""
        with self._locks.mutex:
            self._entries.pop(key, None)

    def lock(self, key: str, lease: float) -> AbstractContextManager[None]:
        """Hold the lock of `key` among the threads of this process for a `with` block.

        Args:
            key: The lock's key.
            lease: How long the lock may be held, in seconds, after which a waiter takes it; also
                the longest wait for it.

        Returns:
            A context manager; entering it raises `TimeoutError` when `lease` seconds of waiting
            did not bring the lock.
        """
        return self._locks.hold(key, lease)


@dataclass(slots=True)
class _KeyLock:
    """The lock of one key, kept for as long as somebody holds it or waits for it."""

    released: Condition
    holder: object = None
    held_until: float = -inf
    users: int = 0


class _KeyLocks:
    """Locks with leases, made when they are asked for; `mutex` guards the table of them."""

    def __init__(self) -> None:
        self.reset()
        _all_key_locks.add(self)

    def reset(self) -> None:
        self.mutex = Lock()
        self._table: dict[str, _KeyLock] = {}

    @contextmanager
    def hold(self, key: str, lease: float) -> Generator[None]:
        holder = object()
        lock = self._acquire(key, lease, holder)
        try:
            yield
        finally:
            self._release(key, lock, holder)

    def _acquire(self, key: str, lease: float, holder: object) -> _KeyLock:
        with self.mutex:
            lock = self._table.setdefault(key, _KeyLock(Condition(self.mutex)))
            lock.users += 1
            try:
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

    def _release(self, key: str, lock: _KeyLock, holder: object) -> None:
        with self.mutex:
            if self._table.get(key) is not lock:
                return  # This is a forked child, where every lock is free.
            if lock.holder is holder:
                lock.held_until = -inf
                lock.released.notify()
            self._leave(key, lock)

    def _leave(self, key: str, lock: _KeyLock) -> None:
        lock.users -= 1
        if not lock.users:
            del self._table[key]


_all_key_locks: WeakSet[_KeyLocks] = WeakSet()


def _free_locks_in_child() -> None:
    # The threads that hold the parent's locks don't exist in the child, and will not release them.
    for key_locks in list(_all_key_locks):
        key_locks.reset()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_free_locks_in_child)
