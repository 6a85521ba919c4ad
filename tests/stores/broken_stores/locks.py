"""Stores whose locks exclude too few or too many holders, or last too long."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from broken_stores.entries import memory
from broken_stores.good import Broken, wait_for
from keyturn.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Generator


class WithoutLocks(MemoryStore):
    """Locks nothing."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Do not wait for the holder."""
        yield


class FailingLocks(MemoryStore):
    """Can't lock."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Raise for every caller."""
        raise TimeoutError
        yield


class GivesUpAtOnce(MemoryStore):
    """Does not wait for a lock."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Give a lock only to the first caller, for its whole lease."""
        lock = self.__dict__.setdefault(f"lock {key}", threading.Lock())
        if not lock.acquire(blocking=False):
            raise TimeoutError
        try:
            yield
        finally:
            lock.release()


class PlainLocks(MemoryStore):
    """Locks by one of Python's own locks, which has no lease.

    Args:
        keys: Whether each key has its own lock.
    """

    _make: Any = staticmethod(threading.Lock)

    def __init__(self, *, keys: bool = True) -> None:
        super().__init__()
        self._keys = keys
        self._plain: dict[str, Any] = {}

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold a lock that only its holder releases."""
        lock = self._plain.setdefault(key if self._keys else "", self._make())
        if not lock.acquire(timeout=min(lease, 0.1)):
            raise TimeoutError
        try:
            yield
        finally:
            lock.release()


def one_lock_for_all() -> PlainLocks:
    """Return a store with one lock for all keys."""
    return PlainLocks(keys=False)


class StaysLocked(MemoryStore):
    """Releases a lock only after a block that did not raise."""

    def __init__(self, kept: type[BaseException]) -> None:
        super().__init__()
        self._kept = kept

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Keep the lock when the block raises an error of a kind."""
        held = super().lock(key, lease)
        held.__enter__()
        self.__dict__.setdefault("held", []).append(held)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, self._kept):
                held.__exit__(None, None, None)
            raise
        held.__exit__(None, None, None)


class HidesErrors(MemoryStore):
    """Hides the exceptions of a block."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Suppress errors with the lock."""
        with super().lock(key, lease), contextlib.suppress(Exception):
            yield


class ReentrantLocks(PlainLocks):
    """Gives the lock of a hanging holder to the same thread only."""

    _make = staticmethod(threading.RLock)


class TakesEarly(MemoryStore):
    """Takes a lock when the context manager is created, not when it is entered."""

    def lock(self, key: str, lease: float) -> Any:
        """Take the lock, and return a context manager."""
        held = super().lock(key, lease)
        held.__enter__()
        return contextlib.closing(Closing(held))


class Closing:
    """Releases a lock when the store is closed."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def close(self) -> None:
        """Release the lock."""
        self._held.__exit__(None, None, None)


class Leases(MemoryStore):
    """Records until when a lock is held, but not by whom.

    Args:
        of_the_waiter: Whether a waiter's own lease, not the holder's, decides.
    """

    def __init__(self, *, of_the_waiter: bool = False) -> None:
        super().__init__()
        self._since: dict[str, tuple[float, float]] = {}
        self._guard = threading.Lock()
        self._of_the_waiter = of_the_waiter

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold a lock without recording its holder."""

        def is_taken() -> bool:
            with self._guard:
                start, held = self._since.get(key, (0.0, 0.0))
                if time.monotonic() < start + (lease if self._of_the_waiter else held):
                    return False
                self._since[key] = time.monotonic(), lease
                return True

        wait_for(is_taken, lease + 0.02)
        try:
            yield
        finally:
            self._since.pop(key, None)


def leases_of_waiters() -> Leases:
    """Return a store in which a waiter's lease decides."""
    return Leases(of_the_waiter=True)


class WaitsForEver(MemoryStore):
    """Waits for a lock forever."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Wait for the lock, however long that takes."""
        with super().lock(key, 600):
            yield


class WaitsLate(MemoryStore):
    """Waits longer than the lease."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Wait for a time of its own."""
        with super().lock(key, max(lease, 0.3)):
            yield


class OtherError(MemoryStore):
    """Raises another error than a TimeoutError."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Report the end of a wait by a library's error."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(super().lock(key, lease))
            except TimeoutError:
                raise LookupError("made-up") from None
            yield


class EntriesAreLocks(MemoryStore):
    """Keeps locks as entries.

    Args:
        end: The suffix of a key in the name of its lock.
    """

    def __init__(self, end: str) -> None:
        super().__init__()
        self._end = end
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold a lock by an entry in the same namespace."""
        name = key + self._end

        def is_taken() -> bool:
            with self._guard:
                if self.read(name) is not None:
                    return False
                self.write(name, "held", time.time() + lease)
                return True

        wait_for(is_taken, lease)
        try:
            yield
        finally:
            self.delete(name)


def row(store: Any, test: str, message: str, *arguments: Any, takes_over: bool = True) -> Broken:
    """Return a row for a store in memory."""
    return Broken(memory(store, *arguments), test, message, takes_over, shared=False)


HANGS = "lock_of_a_hanging_holder_is_taken_over"
BROKEN = [
    row(WithoutLocks, "lock_excludes", "two threads hold the lock of one key at once"),
    row(WithoutLocks, "waiting_for_a_lock_ends", "entering a lock that is held did not raise"),
    row(FailingLocks, "lock_excludes", "a lock was not acquired"),
    row(GivesUpAtOnce, "lock_excludes", "a lock was not acquired"),
    row(one_lock_for_all, "locks_of_other_keys_are_free", "held with that of another"),
    row(PlainLocks, HANGS, "set `takes_over = False`"),
    row(ReentrantLocks, HANGS, "set `takes_over = False`"),
    row(TakesEarly, "waiting_for_a_lock_ends", "takes the lock before its block begins"),
    row(MemoryStore, HANGS, "remove `takes_over = False`", takes_over=False),
    row(StaysLocked, "lock_is_freed_by_an_error", "free it in a `finally`", Exception),
    row(StaysLocked, "lock_is_freed_by_an_error", "free it in a `finally`", KeyboardInterrupt),
    row(HidesErrors, "lock_is_freed_by_an_error", "a lock hides the error of its block"),
    row(Leases, HANGS, "freed another's lock"),
    row(leases_of_waiters, "waiting_for_a_lock_ends", "did not raise"),
    row(WaitsForEver, "waiting_for_a_lock_ends", "raise a TimeoutError after `lease` seconds"),
    row(WaitsLate, "waiting_for_a_lock_ends", "wait for no longer than `lease` seconds"),
    row(OtherError, "waiting_for_a_lock_ends", "`lock` raised LookupError('made-up')"),
    row(EntriesAreLocks, "locks_of_other_keys_are_free", "deleting an entry frees the lock", ""),
    row(EntriesAreLocks, "locks_of_other_keys_are_free", "frees the lock of its key", "-lock"),
]
