"""The disk store without `fcntl`, as on Windows, where it locks by SQLite."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import pytest

from keyturn.stores import _file_locks, _private_files
from keyturn.stores._disk import DiskStore
from keyturn.testing import StoreConformance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _without_fcntl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the modules that Windows lacks."""
    monkeypatch.setattr(_file_locks, "_fcntl", None)
    monkeypatch.setattr(_private_files, "_HAS_DESCRIPTORS", False)
    monkeypatch.delattr(os, "geteuid")


class TestWithoutFcntl(StoreConformance):
    """The tests that every token store must pass, with a killed holder's lock."""

    takes_over = False

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> Iterator[None]:
        self.directory = tmp_path / "store"
        self.opened: list[DiskStore] = []
        yield
        for store in self.opened:
            store.close()

    def new_store(self) -> DiskStore:
        """Open the store again."""
        self.opened.append(DiskStore(self.directory))
        return self.opened[-1]


def lock_file(directory: Path) -> Path:
    """Return the file of the lock `a`."""
    return directory / "locks" / "a.lock"


@pytest.mark.parametrize("plant", ["a link", "a directory", "text"])
def test_invalid_lock_file_is_an_error_of_the_system(directory: Path, plant: str) -> None:
    """The error would be SQLite's, which keyturn does not handle as a failure of the store."""
    store = DiskStore(directory)
    with store.lock("b", 1):
        pass
    if plant == "a link":
        lock_file(directory).symlink_to(directory.parent / "elsewhere")
    elif plant == "a directory":
        lock_file(directory).mkdir()
    else:
        lock_file(directory).write_text("no database " * 100, encoding="utf-8")

    with pytest.raises(OSError, match=r"a\.lock"), store.lock("a", 1):
        pass
    assert not (directory.parent / "elsewhere").exists()


def test_lock_file_that_is_replaced_is_locked_again(directory: Path) -> None:
    """Two processes would hold the same lock after the lock file was removed."""
    store, came = DiskStore(directory), threading.Event()

    def wait() -> None:
        with store.lock("a", 20):
            came.set()

    with contextlib.ExitStack() as first:
        first.enter_context(store.lock("a", 1))
        waiter = threading.Thread(target=wait)
        waiter.start()
        # It waits for the current file, which no process can find later.
        assert not came.wait(0.3)
        lock_file(directory).unlink()
        second = DiskStore(directory)
        with second.lock("a", 1):
            first.close()
            assert not came.wait(0.3)
    waiter.join(20)
    assert came.is_set()


def test_wait_for_a_lock_ends(directory: Path) -> None:
    """A process that hangs with a lock would block all others."""
    store = DiskStore(directory)
    with (
        store.lock("a", 1),
        pytest.raises(TimeoutError, match="was not acquired in time"),
        store.lock("a", 0.05),
    ):
        pass
