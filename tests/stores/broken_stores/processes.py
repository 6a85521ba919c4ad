"""Stores that work in one process only, for one writer only, or until a process is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

from broken_stores.entries import memory
from broken_stores.good import Broken, FileStore, wait_for
from keyturn.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


class InMemory(MemoryStore):
    """Claims that processes share it."""


class ExcludesThreads(FileStore):
    """Excludes the threads of one process."""

    memory = MemoryStore()

    def lock(self, key: str, lease: float) -> Any:
        """Take a lock of this process."""
        return self.memory.lock(key, lease)


class ExcludesProcesses(FileStore):
    """Excludes other processes only, by locks that belong to a process."""

    def is_taken(self, descriptor: int) -> bool:
        """Take a lock that this process may take again."""
        with contextlib.suppress(BlockingIOError):
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False


class SharesDescriptors(FileStore):
    """Opens the file of its locks once, so that a child shares its parent's locks."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._descriptors: dict[str, int] = {}
        self._threads = MemoryStore()

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Lock threads, then the file."""
        with self._threads.lock(key, lease):
            descriptor = self._descriptors.setdefault(key, self.lock_file(key))
            wait_for(lambda: self.is_taken(descriptor), lease)
            try:
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)


class StaysLockedByTheDead(FileStore):
    """Takes a lock by creating a file, which a killed process leaves."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Create a file."""
        path = self.place / f"{key}.lock"

        def is_taken() -> bool:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
                return True
            return False

        wait_for(is_taken, min(lease, 0.3))
        try:
            yield
        finally:
            path.unlink()


class OneProcess(FileStore):
    """Works only in the process that opened it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._process = os.getpid()

    def read(self, key: str) -> str | None:
        """Raise in another process."""
        if os.getpid() != self._process:
            raise OSError("made-up")
        return super().read(key)


class Remembers(FileStore):
    """Caches the entries that it has read and written."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._known: dict[str, str] = {}

    def read(self, key: str) -> str | None:
        """Read from this process's cache, or from the file."""
        if self._known.get(key) is None:
            self._known[key] = super().read(key)
        return self._known[key]

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write the entry, and cache it."""
        super().write(key, entry, expires_at)
        self._known[key] = entry

    def delete(self, key: str) -> None:
        """Delete the entry, and its copy in the cache."""
        super().delete(key)
        self._known.pop(key, None)


class DeletesForItself(FileStore):
    """Deletes an entry only for itself."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._deleted: set[str] = set()

    def read(self, key: str) -> str | None:
        """Read an entry unless it was deleted here."""
        return None if key in self._deleted else super().read(key)

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry that was deleted here."""
        self._deleted.discard(key)
        super().write(key, entry, expires_at)

    def delete(self, key: str) -> None:
        """Leave the file."""
        self._deleted.add(key)


class ClearsWhenOpened(FileStore):
    """Deletes all entries when it is opened."""

    def make_directory(self) -> None:
        """Delete all entries."""
        shutil.rmtree(self.place, ignore_errors=True)
        super().make_directory()


class FreesLocksWhenOpened(FileStore):
    """Removes all lock files when it is opened, as if they were stale."""

    def make_directory(self) -> None:
        """Remove lock files, as if a killed process had left them."""
        super().make_directory()
        for path in self.place.glob("*.lock"):
            path.unlink()


class ClearsWhenClosed(FileStore):
    """Deletes all entries when it is closed."""

    def close(self) -> None:
        """Remove all entries."""
        for path in self.place.glob("*.entry"):
            path.unlink()


class FreesLocksWhenClosed(FileStore):
    """Removes all lock files when it is closed."""

    def close(self) -> None:
        """Remove the files of locks."""
        for path in self.place.glob("*.lock"):
            path.unlink()


class ClosesOnce(FileStore):
    """Raises when it is closed after an entry was written."""

    def close(self) -> None:
        """Fail."""
        raise OSError("made-up")


class InPlace(FileStore):
    """Overwrites the old entry in place."""

    def draft(self, key: str) -> Path:
        """Return the path of the entry itself."""
        return self.path(key)


class OneDraft(FileStore):
    """Has one temporary file for all writers."""

    def draft(self, key: str) -> Path:
        """Return the same path for all."""
        return self.place / f"{key}.draft"


class DraftOfAProcess(FileStore):
    """Has one temporary file for all threads of a process."""

    def draft(self, key: str) -> Path:
        """Return the same path for all threads."""
        return self.place / f"{key}-{os.getpid()}.draft"


class BlockedByADraft(FileStore):
    """Waits for the writer of a temporary file, even if it was killed."""

    def draft(self, key: str) -> Path:
        """Return the same path for all, once it is free."""
        path = self.place / f"{key}.draft"
        wait_for(lambda: not path.exists(), 0.3)
        return path


class DeletesFirst(FileStore):
    """Removes the old entry, then writes the new one."""

    def draft(self, key: str) -> Path:
        """Delete the old entry."""
        self.path(key).unlink(missing_ok=True)
        return super().draft(key)


class LeavesFilesOpen(FileStore):
    """Closes the file of a lock that was taken, but not of one that was not."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Lock a file."""
        descriptor = self.lock_file(key)
        wait_for(lambda: self.is_taken(descriptor), lease)
        try:
            yield
        finally:
            os.close(descriptor)


class LeavesThreads(FileStore):
    """Starts a thread for each entry, which runs until the entry expires."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write the entry, and start a thread."""
        super().write(key, entry, expires_at)
        threading.Thread(target=time.sleep, args=[5], daemon=True).start()


class HangsWhenRead(FileStore):
    """Waits for a server that does not respond."""

    def read(self, key: str) -> str | None:
        """Wait."""
        time.sleep(600)
        return None


class HangsWhenClosed(FileStore):
    """Waits for a thread that does not end."""

    def close(self) -> None:
        """Wait."""
        threading.Event().wait()


def hangs_when_opened(_: Path) -> Any:
    """Wait."""
    threading.Event().wait()


NOT_SHARED = "processes don't share entries"
COPIES = "keep no copies"
TORN = "while several write, `"
KILLED = "after a kill while writing, `"
BROKEN = [
    Broken(memory(InMemory), "processes_share_entries", NOT_SHARED),
    Broken(memory(InMemory), "lock_excludes_processes", NOT_SHARED),
    *(
        Broken(store, test, message, takes_over=False)
        for store, test, message in [
            (ExcludesThreads, "lock_excludes_processes", "two processes hold the lock"),
            (ExcludesProcesses, "lock_excludes", "two threads hold the lock"),
            (SharesDescriptors, "lock_excludes_processes", "two processes hold the lock"),
            (
                StaysLockedByTheDead,
                "lock_of_a_killed_holder_is_taken_over",
                "let a lock end with its lease, or with the process",
            ),
            (OneProcess, "lock_excludes_processes", "a forked process can't use the store"),
            (Remembers, "processes_share_entries", COPIES),
            (DeletesForItself, "deletes", "read returns an entry after its deletion"),
            (ClearsWhenOpened, "opening_and_closing_change_nothing", "loses an entry"),
            (FreesLocksWhenOpened, "opening_and_closing_change_nothing", "again frees a lock"),
            (ClearsWhenClosed, "opening_and_closing_change_nothing", "closing a store loses"),
            (FreesLocksWhenClosed, "opening_and_closing_change_nothing", "closing a store frees"),
            (ClosesOnce, "opening_and_closing_change_nothing", "`close` raised OSError"),
            (InPlace, "concurrent_writes", TORN),
            (InPlace, "interrupted_write", KILLED),
            (OneDraft, "concurrent_writes", TORN),
            (DraftOfAProcess, "concurrent_writes", TORN),
            (BlockedByADraft, "interrupted_write", KILLED),
            (DeletesFirst, "concurrent_writes", TORN),
            (DeletesFirst, "interrupted_write", KILLED),
            (LeavesFilesOpen, "leaves_nothing_open", "operations leave files"),
            (LeavesThreads, "leaves_nothing_open", "operations leave files"),
            (HangsWhenRead, "deletes", "`read` has not ended after"),
            (HangsWhenClosed, "opening_and_closing_change_nothing", "`close` has not ended"),
            (hangs_when_opened, "deletes", "`new_store` has not ended after"),
        ]
    ),
]
