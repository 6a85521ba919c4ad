"""The four operations of stores in memory and on disk, encrypted or not."""

from __future__ import annotations

import copy
import pickle
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from keyturn.stores._base import TokenStore
from keyturn.stores._disk import DiskStore
from keyturn.stores._encrypted import EncryptedStore
from keyturn.stores._memory import MemoryStore
from keyturn.testing import StoreConformance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYS = st.sampled_from(["a", "token-00ff", "rate-limit-1", "z" * 80])


class StoreMachine(RuleBasedStateMachine):
    """Runs the same operations on a store and a dictionary, with a clock set by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.expected: dict[str, tuple[str, float]] = {}
        self.store = self.make_store(lambda: self.now)

    def make_store(self, now: Callable[[], float]) -> TokenStore:
        """Return the store to test."""
        return MemoryStore(now)

    @rule(key=KEYS, entry=st.text(max_size=40), lifetime=st.integers(-5, 20))
    def write(self, key: str, entry: str, lifetime: int) -> None:
        """Write an entry, which may already have expired."""
        self.store.write(key, entry, self.now + lifetime)
        self.expected[key] = (entry, self.now + lifetime)

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        """Read the last entry, unless it has expired or was deleted."""
        entry, expires_at = self.expected.get(key, (None, 0.0))
        assert self.store.read(key) == (entry if self.now < expires_at else None)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        """Delete an entry, which may be missing."""
        self.store.delete(key)
        self.expected.pop(key, None)

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds


class DiskMachine(StoreMachine):
    """The same with a disk store that is closed and reopened."""

    def make_store(self, now: Callable[[], float]) -> TokenStore:
        """Return a disk store in its own directory."""
        self.directory = tempfile.TemporaryDirectory()
        self.disk = DiskStore(self.directory.name, now)
        return self.disk

    @rule()
    def reopen(self) -> None:
        """Close the store, which must not lose any entry."""
        self.disk.close()

    def teardown(self) -> None:
        """Remove the store's files."""
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
TestMemoryMachine.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestDiskMachine = DiskMachine.TestCase
TestDiskMachine.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestEncryptedMemoryMachine = EncryptedMemoryMachine.TestCase
TestEncryptedMemoryMachine.settings = TestMemoryMachine.settings
TestEncryptedDiskMachine = EncryptedDiskMachine.TestCase
TestEncryptedDiskMachine.settings = TestDiskMachine.settings


class TestMemoryStore(StoreConformance):
    """The store in memory, which is one object for all openings."""

    shared = False

    def setup_method(self) -> None:
        """Start with an empty store."""
        super().setup_method()
        self.store: TokenStore = MemoryStore()

    def new_store(self) -> TokenStore:
        """Return that one store."""
        return self.store


class TestDiskStore(StoreConformance):
    """The store on disk, with the kernel's locks."""

    takes_over = False

    @pytest.fixture(autouse=True)
    def _directory(self, directory: Path) -> None:
        self.directory = directory

    def new_store(self) -> TokenStore:
        """Return a store with its own database connection."""
        return DiskStore(self.directory)


class TestEncryptedMemoryStore(TestMemoryStore):
    """Encrypted entries in memory."""

    def setup_method(self) -> None:
        """Start with an empty store, and a new key."""
        super().setup_method()
        self.store = EncryptedStore(self.store, EncryptedStore.generate_key())


class TestEncryptedDiskStore(TestDiskStore):
    """Encrypted entries on disk."""

    key = EncryptedStore.generate_key()

    def new_store(self) -> TokenStore:
        """Return an encrypted store around one with its own database connection."""
        return EncryptedStore(super().new_store(), self.key)


def test_store_has_the_four_operations(store: TokenStore) -> None:
    """A store that lacks one of the four operations would be rejected by `connect`."""
    assert isinstance(store, TokenStore)


def test_entry_expires_at_the_time_of_its_expiry(store: TokenStore) -> None:
    """An entry that expires now would be returned as if it were valid."""
    store.write("a", "entry", 1000.0)
    store.write("b", "entry", 1000.1)
    store.write("c", "entry", float("nan"))
    assert [store.read(key) for key in "abc"] == [None, "entry", None]


def test_waiting_ends_with_the_builtin_timeout_error(store: TokenStore) -> None:
    """A waiter would get an error of the store's library."""
    with (
        store.lock("a", 30),
        pytest.raises(TimeoutError) as caught,
        store.lock("a", 0.02),
    ):
        pass
    assert type(caught.value) is TimeoutError


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_store_in_memory_cannot_be_copied(copied: Callable[[object], object]) -> None:
    """The user would get Python's own error about a lock, and not know what to do instead."""
    message = "A MemoryStore can't be pickled or copied: open a store in each process"
    with pytest.raises(TypeError, match=message):
        copied(MemoryStore())
