"""The token store that processes of one user on one host share: a database, and lock files."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keyturn.stores._database import Database
from keyturn.stores._files import locked, make_private_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

LONGEST_ENTRY: Final = 256 * 1024
"""The longest entry that is kept, in bytes of UTF-8."""

_WRITES_PER_PURGE = 64
_KEY = re.compile(r"[a-z0-9-]{1,80}")


class DiskStore:
    """Entries in a directory that no other user can read, for any number of threads and processes.

    The directory (mode 0700) and its files (0600) are created when they are first needed. One that
    is a symbolic link, belongs to another user or is open to others is refused. A database that
    can't be read is moved aside to `cache.db.corrupt`, with a warning in the log, and begun afresh.

    Every operation may raise `OSError`: the directory is refused, or the disk is full or read-only.
    It is a `TimeoutError` when another writer has kept the database busy for two seconds.

    Args:
        directory: Where to keep the entries; a relative path is taken from the present working
            directory, and `~` means nothing special.
        now: The clock that expiry is measured by, in epoch seconds.
    """

    def __init__(
        self, directory: str | os.PathLike[str], now: Callable[[], float] = time.time
    ) -> None:
        # resolve() would follow a symbolic link, which is to be refused.
        self.directory = Path(os.path.abspath(directory))  # noqa: PTH100 - as said
        self._database = Database(self.directory / "cache.db")
        self._now = now
        self._writes = 0

    @property
    def location(self) -> str:
        """Where the entries are, for messages."""
        return str(self.directory)

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None when there is none or it has expired."""
        _check_key(key)
        found = self._database.run(lambda cache: cache.load(key))
        if found is None:
            return None
        entry, expires_at = found
        return entry if self._now() < expires_at else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing what was there.

        Raises:
            ValueError: The entry is longer than `LONGEST_ENTRY` bytes.
        """
        _check_key(key)
        if len(entry.encode()) > LONGEST_ENTRY:
            raise ValueError(f"An entry may have {LONGEST_ENTRY} bytes.")
        until = float(expires_at)
        self._database.run(lambda cache: cache.keep(key, entry, until))
        # The first write purges too: a process may write only once.
        if self._writes % _WRITES_PER_PURGE == 0:
            now = self._now()
            self._database.run(lambda cache: cache.purge(now))
        self._writes += 1

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error when there is none."""
        _check_key(key)
        self._database.run(lambda cache: cache.drop(key))

    @contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` among threads and processes for the length of a `with` block.

        The lock is the kernel's (`flock`), which frees it when the holder dies. It can't be taken
        from a holder that lives: one that hangs costs each waiter `lease` seconds and a
        `TimeoutError`, after which the waiter does its work without the lock.

        Args:
            key: The lock's key.
            lease: The longest wait for the lock, in seconds.

        Raises:
            TimeoutError: `lease` seconds of waiting did not bring the lock.
            ValueError: The key has other characters than a key may have.
        """
        _check_key(key)
        locks = self.directory / "locks"
        make_private_directory(self.directory)
        make_private_directory(locks)
        with locked(locks / f"{key}.lock", lease):
            yield

    def close(self) -> None:
        """Close the database; the next operation opens it again."""
        self._database.close()


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise ValueError("A key has 1 to 80 lower-case letters, digits and hyphens.")
