"""What memory and disk, encrypted or not, have in common: four operations."""

from __future__ import annotations

import tempfile
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from keyturn.stores.base import TokenStore
from keyturn.stores.disk import DiskStore
from keyturn.stores.encrypted import EncryptedStore
from keyturn.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = st.sampled_from(["a", "token-00ff", "budget-1", "z" * 80])


class StoreMachine(RuleBasedStateMachine):
    """Drives a store and a dictionary side by side, under a clock that only the test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.expected: dict[str, tuple[str, float]] = {}
        self.store = self.make_store(lambda: self.now)

    def make_store(self, now: Callable[[], float]) -> TokenStore:
        """Return the store to drive."""
        return MemoryStore(now)

    @rule(key=KEYS, entry=st.text(max_size=40), lifetime=st.integers(-5, 20))
    def write(self, key: str, entry: str, lifetime: int) -> None:
        """Write an entry, which may be born expired."""
        self.store.write(key, entry, self.now + lifetime)
        self.expected[key] = (entry, self.now + lifetime)

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        """Read what was written last, unless it has expired or was deleted."""
        entry, expires_at = self.expected.get(key, (None, 0.0))
        assert self.store.read(key) == (entry if self.now < expires_at else None)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        """Delete an entry, which may not be there."""
        self.store.delete(key)
        self.expected.pop(key, None)

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds


class DiskMachine(StoreMachine):
    """The same with a disk store, which is now and then closed."""

    def make_store(self, now: Callable[[], float]) -> TokenStore:
        """Return a disk store in a directory of its own."""
        self.directory = tempfile.TemporaryDirectory()
        self.disk = DiskStore(self.directory.name, now)
        return self.disk

    @rule()
    def reopen(self) -> None:
        """Close the store; nothing may be lost by that."""
        self.disk.close()

    def teardown(self) -> None:
        """Remove what the store left."""
        self.disk.close()
        self.directory.cleanup()


class EncryptedMemoryMachine(StoreMachine):
    """The same with encrypted entries in memory."""

    def make_store(self, now: Callable[[], float]) -> TokenStore:
        """Return an encrypted store around one in memory."""
        return EncryptedStore(super().make_store(now), EncryptedStore.generate_key())


class EncryptedDiskMachine(DiskMachine):
    """The same with encrypted entries on disk."""

    def make_store(self, now: Callable[[], float]) -> TokenStore:
        """Return an encrypted store around one on disk."""
        return EncryptedStore(super().make_store(now), EncryptedStore.generate_key())


TestMemoryMachine = StoreMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestDiskMachine = DiskMachine.TestCase
TestDiskMachine.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestEncryptedMemoryMachine = EncryptedMemoryMachine.TestCase
TestEncryptedMemoryMachine.settings = TestMemoryMachine.settings
TestEncryptedDiskMachine = EncryptedDiskMachine.TestCase
TestEncryptedDiskMachine.settings = TestDiskMachine.settings


def test_is_a_token_store(store: TokenStore) -> None:
    """A store that lacks one of the four operations would be refused by `connect`."""
    assert isinstance(store, TokenStore)


def test_entry_expires_at_its_very_moment(store: TokenStore) -> None:
    """An entry whose expiry is now would be handed out as if it were valid."""
    store.write("a", "entry", 1000.0)
    store.write("b", "entry", 1000.1)
    store.write("c", "entry", float("nan"))
    assert [store.read(key) for key in "abc"] == [None, "entry", None]


def test_lock_excludes_threads(store: TokenStore) -> None:
    """Two threads in one block would make two token requests."""
    inside = 0
    seen: list[int] = []

    def work() -> None:
        nonlocal inside
        for _ in range(5):
            with store.lock("a", 30):
                inside += 1
                seen.append(inside)
                pause.wait(0.0002)
                inside -= 1

    pause = threading.Event()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 20


def test_locks_of_other_keys_are_free(store: TokenStore) -> None:
    """Connections that have nothing to do with each other would wait for each other."""
    with store.lock("a", 30), store.lock("b", 30):
        store.write("a", "entry", 2000)
        assert store.read("a") == "entry"


def test_waiting_ends_with_the_builtin_timeout_error(store: TokenStore) -> None:
    """A waiter would wait for ever, or get an error of the library behind the store."""
    with store.lock("a", 30):
        with pytest.raises(TimeoutError) as caught, store.lock("a", 0.02):
            pass
        assert type(caught.value) is TimeoutError
    with store.lock("a", 0.02):
        pass


def test_lock_is_freed_when_the_block_raises(store: TokenStore) -> None:
    """A failed token request would lock everybody out."""
    with pytest.raises(KeyError), store.lock("a", 30):
        raise KeyError
    with store.lock("a", 1):
        pass
