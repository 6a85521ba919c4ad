"""Stores that lose entries, keep deleted ones, or stop working when a file is damaged."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from broken_stores.good import Broken, FileStore

if TYPE_CHECKING:
    from collections.abc import Generator


class OneFile(FileStore):
    """Stores all entries in one file, which two writers may change at once."""

    def all(self) -> Any:
        """Read the file."""
        try:
            return json.loads(self.path("all").read_text())
        except FileNotFoundError:
            return {}

    def replace(self, entries: Any) -> None:
        """Replace the file."""
        draft = self.draft("all")
        self.save(draft, json.dumps(entries))
        draft.replace(self.path("all"))

    def read(self, key: str) -> str | None:
        """Read one entry of all."""
        entry, expires_at = self.all().get(key, (None, 0.0))
        return entry if time.time() < expires_at else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Change one entry of all."""
        self.replace({**self.all(), key: (entry, expires_at)})

    def delete(self, key: str) -> None:
        """Write all entries but one."""
        self.replace({name: each for name, each in self.all().items() if name != key})


class LockedWrites(OneFile):
    """Locks writes, but not deletions."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Change one entry under a lock."""
        with self.lock("all", 10):
            super().write(key, entry, expires_at)


class SoftDelete(FileStore):
    """Renames the file of a deleted entry."""

    def delete(self, key: str) -> None:
        """Keep the file under another name."""
        with contextlib.suppress(FileNotFoundError):
            self.path(key).replace(self.place / f"{key}.deleted")


class Database(FileStore):
    """Stores entries in rows of a database."""

    def make_directory(self) -> None:
        """Create the database."""
        super().make_directory()
        os.close(os.open(self.place / "db", os.O_CREAT, 0o600))
        self.run("CREATE TABLE IF NOT EXISTS entries (key PRIMARY KEY, entry, expires_at)")

    def run(self, statement: str, *values: Any) -> Any:
        """Run a statement, and return the first row."""
        with (
            contextlib.closing(sqlite3.connect(self.place / "db", timeout=10)) as database,
            database,
        ):
            return database.execute(statement, values).fetchone()

    def read(self, key: str) -> str | None:
        """Read a row."""
        wanted = "SELECT entry FROM entries WHERE key = ? AND expires_at > ?"
        found = self.run(wanted, key, time.time())
        return found and found[0]

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Replace a row."""
        self.run("REPLACE INTO entries VALUES (?, ?, ?)", key, entry, expires_at)

    def delete(self, key: str) -> None:
        """Delete a row, but leave its pages in the file."""
        self.run("DELETE FROM entries WHERE key = ?", key)


class SoftDeletedRows(Database):
    """Marks a deleted row as expired."""

    def delete(self, key: str) -> None:
        """Keep the row."""
        self.run("UPDATE entries SET expires_at = 0 WHERE key = ?", key)


class Pickled(FileStore):
    """Reads entries by unpickling them."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Pickle an entry."""
        super().write(key, "", expires_at)
        self.path(key).write_bytes(pickle.dumps((entry, expires_at)))

    def read(self, key: str) -> str | None:
        """Return the unpickled object."""
        try:
            entry, expires_at = pickle.loads(self.path(key).read_bytes())  # noqa: S301 - the defect
        except (FileNotFoundError, pickle.PickleError, EOFError, ValueError, TypeError):
            return None
        return entry if time.time() < expires_at else None


class RaisesForDamage(FileStore):
    """Raises an error of its own for an entry that it can't read."""

    def read(self, key: str) -> str | None:
        """Raise an error that keyturn takes for an outage."""
        try:
            return super().read(key)
        except ValueError:
            raise LookupError(key) from None


class Sharded(FileStore):
    """Has few thread locks for all keys."""

    guards = (threading.Lock(), threading.Lock())

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Take one of the thread locks first."""
        guard = self.guards[sum(key.encode()) % 2]
        if not guard.acquire(timeout=min(lease, 0.1)):
            raise TimeoutError
        try:
            with super().lock(key, lease):
                yield
        finally:
            guard.release()


BROKEN = [
    Broken(store, test, message, takes_over=False)
    for store, test, message in [
        (OneFile, "writes_of_other_keys", "are written, an entry is lost"),
        (LockedWrites, "writes_of_other_keys", "are deleted, a deleted entry comes back"),
        (SoftDelete, "deletes_from_files", ".deleted still has an entry after its deletion"),
        (SoftDeletedRows, "deletes_from_files", "db still has an entry after its deletion"),
        (Pickled, "damaged_files", "`read` runs code that is in a file"),
        (RaisesForDamage, "damaged_files", "`read` raised LookupError, which keyturn treats as"),
        (OneFile, "damaged_files", "after a file was damaged, `write` has no effect"),
        (Sharded, "fork_with_locks_held", "it was not acquired in 1 s"),
        (Sharded, "locks_of_other_keys_are_free", "the lock of one key is held with that"),
    ]
]
