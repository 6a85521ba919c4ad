"""The tests for authors of stores notice what is wrong, and say it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from keyturn.stores._memory import MemoryStore
from keyturn.testing import StoreConformance

if TYPE_CHECKING:
    from collections.abc import Generator


class WithoutDelete:
    """Has three of the four operations."""

    read, write, lock = MemoryStore.read, MemoryStore.write, MemoryStore.lock


class Truncating(MemoryStore):
    """Has a column that is too short."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep the beginning."""
        super().write(key, entry[:255], expires_at)


class Ascii(MemoryStore):
    """Knows no other letters."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep what it knows."""
        super().write(key, entry.encode("ascii", "replace").decode(), expires_at)


class ShortKeys(MemoryStore):
    """Has a key column that is too short."""

    def read(self, key: str) -> str | None:
        """Read by the beginning of the key."""
        return super().read(key[:64])

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write at the beginning of the key."""
        super().write(key[:64], entry, expires_at)


class InventsEntries(MemoryStore):
    """Returns something for everything."""

    def read(self, key: str) -> str | None:
        """Never return None."""
        return super().read(key) or ""


class KeepsDeleted(MemoryStore):
    """Deletes nothing."""

    def delete(self, key: str) -> None:
        """Do nothing."""


class KeepsExpired(MemoryStore):
    """Knows of no end."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep an entry for ever, unless it has expired already."""
        super().write(key, entry, float("inf") if expires_at > time.time() else expires_at)


class IgnoresExpired(MemoryStore):
    """Leaves what was there when the new entry has expired."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep an entry that hasn't expired."""
        if expires_at > time.time():
            super().write(key, entry, expires_at)


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
        """Give no caller the lock."""
        raise TimeoutError
        yield


class ThreadLocks(MemoryStore):
    """Locks by one of Python's own locks, which knows no lease.

    Args:
        keys: Whether each key has a lock of its own.
    """

    def __init__(self, *, keys: bool = True) -> None:
        super().__init__()
        self._by_key = keys
        self._threads: dict[str, threading.Lock] = {}

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold a lock that its holder alone gives back."""
        lock = self._threads.setdefault(key if self._by_key else "", threading.Lock())
        if not lock.acquire(timeout=min(lease, 0.1)):
            raise TimeoutError
        with lock_released(lock):
            yield


@contextlib.contextmanager
def lock_released(lock: threading.Lock) -> Generator[None]:
    """Release a lock after a block."""
    try:
        yield
    finally:
        lock.release()


class StaysLocked(MemoryStore):
    """Frees a lock only after a block that went well."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[contextlib.AbstractContextManager[None]] = []

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Forget to free the lock when the block raises."""
        self._held.append(super().lock(key, lease))
        self._held[-1].__enter__()
        yield
        self._held[-1].__exit__(None, None, None)


class FreesAnothers(MemoryStore):
    """Frees a lock, even one that another caller holds."""

    def __init__(self) -> None:
        super().__init__()
        self._until: dict[str, float] = {}

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold a lock without recording its holder."""
        end = time.monotonic() + lease
        while time.monotonic() < self._until.get(key, 0.0):
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.001)
        self._until[key] = time.monotonic() + lease
        try:
            yield
        finally:
            self._until[key] = 0.0


class OneProcess(MemoryStore):
    """Works in the process alone that opened it."""

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Refuse to work elsewhere."""
        if os.getpid() != self._process:
            raise OSError
        with super().lock(key, lease):
            yield


class ClearsWhenOpened(MemoryStore):
    """Empties its place whenever it is opened."""

    def __call__(self) -> ClearsWhenOpened:
        """Open it once more."""
        self._entries = {}
        return self


class Talkative(MemoryStore):
    """Logs what it keeps."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep an entry, and say so."""
        logging.getLogger("acme.store").debug("kept %s at %s", entry, key)
        super().write(key, entry, expires_at)


class WaitsForEver(MemoryStore):
    """Knows no end of a wait."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Wait for the lock, however long that takes."""
        with super().lock(key, 600):
            yield


@pytest.mark.parametrize(
    ("store", "test", "message"),
    [
        (WithoutDelete, "test_has_the_four_operations", "no method delete"),
        (Truncating, "test_returns_what_was_written", "not return what write was given: 'xxxx"),
        (Ascii, "test_returns_what_was_written", "not return what write was given: 'ключ"),
        (ShortKeys, "test_keys_are_distinct", "keys of 80 characters"),
        (InventsEntries, "test_keys_are_distinct", "an entry where none was written"),
        (KeepsDeleted, "test_deletes", "an entry after its deletion"),
        (KeepsExpired, "test_expires", "returns an expired entry"),
        (IgnoresExpired, "test_expires", "was written expired"),
        (WithoutLocks, "test_lock_excludes", "at once"),
        (FailingLocks, "test_lock_excludes", "0 got it"),
        (WithoutLocks, "test_waiting_for_a_lock_ends", "did not raise"),
        (StaysLocked, "test_lock_is_freed_by_an_error", "still held after its block raised"),
        (ClearsWhenOpened, "test_opening_changes_nothing", "loses an entry"),
        (Talkative, "test_logs_no_entry", "an entry is shown in the log acme.store"),
        (WaitsForEver, "test_waiting_for_a_lock_ends", "has not ended after 2 s"),
        (MemoryStore, "test_lock_excludes_processes", "two processes hold the same lock"),
        (FreesAnothers, "test_lock_of_a_hanging_holder_is_taken_over", "freed another's lock"),
        (
            OneProcess,
            "test_lock_of_a_killed_holder_is_taken_over",
            "a forked process can't use the store",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broken_store_is_noticed(store: type[Any], test: str, message: str) -> None:
    """An author would publish a store that costs its users tokens."""
    with pytest.raises(AssertionError, match=message):
        run(store(), test)


def test_a_store_with_one_lock_for_all_is_noticed() -> None:
    """Connections that have nothing to do with each other would wait for each other."""
    with pytest.raises(AssertionError, match="one key is held with that of another"):
        run(ThreadLocks(keys=False), "test_locks_of_other_keys_are_free")


def test_a_store_without_leases_is_noticed() -> None:
    """A holder that hangs would block all others, unless the author says that it is so."""
    test = "test_lock_of_a_hanging_holder_is_taken_over"
    with pytest.raises(AssertionError, match="when its holder hangs"):
        run(ThreadLocks(), test)
    run(ThreadLocks(), test, takes_over=False)
    with pytest.raises(AssertionError, match="remove `takes_over = False`"):
        run(MemoryStore(), test, takes_over=False)


def test_error_of_a_lock_that_is_no_timeout_is_shown() -> None:
    """An author would not learn what their store raises in place of a TimeoutError."""

    class OtherError(MemoryStore):
        @contextlib.contextmanager
        def lock(self, key: str, lease: float) -> Generator[None]:
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(super().lock(key, lease))
                except TimeoutError:
                    raise OSError("made-up") from None
                yield

    with pytest.raises(OSError, match="made-up"):
        run(OtherError(), "test_waiting_for_a_lock_ends")


def test_a_store_must_be_given() -> None:
    """An author who forgot `new_store` would get no error."""
    with pytest.raises(NotImplementedError):
        StoreConformance().new_store()


def run(store: Any, test: str, *, takes_over: bool = True) -> None:
    """Run one of the tests as pytest does."""

    class Tests(StoreConformance):
        _patience = 2.0

        def new_store(self) -> Any:
            return store() if isinstance(store, ClearsWhenOpened) else store

    tests = Tests()
    tests.takes_over = takes_over
    tests.setup_method()
    try:
        getattr(tests, test)()
    finally:
        tests.teardown_method()
