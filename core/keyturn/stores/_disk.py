"""The token store for the processes of one user on one host: private files and locks."""

import errno
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from keyturn._common.once import PerProcess, at_fork
from keyturn.stores._base import logger
from keyturn.stores._file_locks import locked
from keyturn.stores._private_files import (
    PrivateDirectory,
    is_open,
    private_directory,
    warn_if_replaceable,
)
from keyturn.stores._string_cache import PATIENCE, StringCache

# The longest entry, in bytes of UTF-8.
LONGEST_ENTRY: Final = 256 * 1024
_DATABASE: Final = "cache.db"
# Held while the database is created, opened or moved aside.
_LOCK: Final = "opening.lock"
_WRITES_PER_PURGE = 64
# Exceptions of diskcache and SQLite for invalid file contents; other failures are OSErrors.
_UNUSABLE = (sqlite3.DatabaseError, TypeError, ValueError)

_Result = TypeVar("_Result")


class DiskStore:
    """Entries in a directory that no other user can read, for any number of threads and processes.

    The store creates the directory (mode 0700) and its files (0600) at the first use. It refuses a
    directory or file that is a symbolic link, belongs to another user or is open to others. If the
    database can't be read, was emptied or has tables that aren't keyturn's, the store moves it to
    `cache.db.corrupt`, logs a warning, and creates a new one.

    Every operation may raise `OSError`: the directory is refused, or the disk is full or read-only.
    It raises `TimeoutError` if another writer has kept the database busy for two seconds.

    Args:
        directory: The directory of the entries; a relative path is relative to the current working
            directory, and `~` is not expanded.
        now: The clock for expiry, in epoch seconds.
    """

    def __init__(
        self, directory: str | os.PathLike[str], now: Callable[[], float] = time.time
    ) -> None:
        # resolve() would follow a symbolic link, which must be refused.
        self.directory = Path(os.path.abspath(directory))  # noqa: PTH100 - see above
        self.location = str(self.directory)
        self._path = self.directory / _DATABASE
        self._now = now
        self._writes = 0
        self._identity: tuple[int, int] | None = None

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None if it does not exist or has expired."""
        entry, expires_at = self._run(key, lambda cache: cache.load(key)) or (None, 0.0)
        return entry if self._now() < expires_at else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing an earlier entry.

        Raises:
            ValueError: The entry is longer than `LONGEST_ENTRY` bytes.
        """
        if len(entry.encode()) > LONGEST_ENTRY:
            raise ValueError(f"An entry may have at most {LONGEST_ENTRY} bytes.")
        # diskcache's own expiry uses its own clock, so the tag column has the expiry.
        self._run(key, lambda cache: cache.set(key, entry, tag=float(expires_at)))
        # The first write purges too: a process may write only once.
        if self._writes % _WRITES_PER_PURGE == 0:
            self._run(key, lambda cache: cache.purge(self._now()))
        self._writes += 1

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error if it does not exist."""
        self._run(key, lambda cache: cache.delete(key))

    @contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` among threads and processes for a `with` block.

        It is a kernel lock (`flock`, or SQLite's lock if Python has no `fcntl`), which the kernel
        frees when the holder dies. It can't be taken from a living holder: if the holder hangs,
        each waiter gets a `TimeoutError` after `lease` seconds, and continues without the lock.

        Args:
            key: The lock's key.
            lease: The maximum wait for the lock, in seconds.

        Raises:
            TimeoutError: The lock was not free within `lease` seconds.
            ValueError: The key has invalid characters.
        """
        _check_key(key)
        with locked(self.directory, f"{key}.lock", lease, below="locks"):
            yield

    def close(self) -> None:
        """Close the database; the next operation opens it again."""
        with _mutex.get():
            self._disconnect()

    def _run(self, key: str, operation: Callable[[StringCache], _Result]) -> _Result:
        _check_key(key)
        mutex = _mutex.get()  # released below, even if a fork interrupts the operation
        if not mutex.acquire(timeout=PATIENCE):
            raise TimeoutError(errno.ETIMEDOUT, f"the token store {self._path} is busy")
        try:
            try:
                return operation(self._opened())
            except _UNUSABLE as error:
                self._set_aside(error)
                return operation(self._opened())
        except BaseException:
            self._disconnect()  # The next operation opens the database again.
            raise
        finally:
            mutex.release()

    def _opened(self) -> StringCache:
        with private_directory(self.directory) as place:
            cache = _open.get().get(self)
            # The file, or a directory above it, may have been deleted or replaced.
            if cache is None or place.check(_DATABASE) != self._identity:
                self._disconnect()
                warn_if_replaceable(self.directory)
                with locked(self.directory, _LOCK, PATIENCE):
                    cache = self._connected(place)
        return cache

    def _connected(self, place: PrivateDirectory) -> StringCache:
        is_new = place.check(_DATABASE) is None
        if is_new:
            os.close(place.open(_DATABASE, os.O_CREAT | os.O_EXCL | os.O_RDWR))
        self._identity = place.check(_DATABASE)
        cache = _open.get()[self] = StringCache(str(self._path))
        cache.fill(new=is_new)
        # SQLite opens a path, so the opened file must be the one that was checked.
        if not is_open(self._path, self._identity):
            raise PermissionError(errno.EPERM, f"{self._path} was replaced while it was opened")
        return cache

    def _disconnect(self) -> None:
        with suppress(KeyError):
            _open.get().pop(self).disconnect()

    def _set_aside(self, error: Exception) -> None:
        self._disconnect()
        aside = f"{_DATABASE}.corrupt"
        with (
            private_directory(self.directory) as place,
            locked(self.directory, _LOCK, PATIENCE),
        ):
            if place.check(_DATABASE) != self._identity:
                return  # Another process was faster.
            # Journal and log files first, because SQLite would apply them to a new database.
            for suffix in ("-journal", "-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    place.move(_DATABASE + suffix, aside + suffix)
        logger.warning(
            "the token store %s was unusable (%r): see %s", self._path, error, place.path / aside
        )


def _check_key(key: str) -> None:
    if not re.fullmatch(r"[a-z0-9-]{1,80}", key):
        raise ValueError("A key has 1 to 80 lower-case letters, digits and hyphens.")


# One operation at a time in this process: closing a descriptor of a database, as its creation does,
# releases the locks of all others in the process (https://sqlite.org/howtocorrupt.html).
_mutex: PerProcess[threading.Lock] = PerProcess(threading.Lock)
# A child must not use its parent's database connections.
_open: PerProcess[WeakKeyDictionary[DiskStore, StringCache]] = PerProcess(WeakKeyDictionary)
_fork = threading.local()


def _before_fork() -> None:
    # A child must not inherit a database connection, or SQLite's mutexes in a locked state. An
    # operation that takes too long does not prevent the fork.
    _fork.quiet = _mutex.get().acquire(timeout=PATIENCE)
    while _fork.quiet and (caches := _open.get()):
        caches.popitem()[1].disconnect()


def _after_fork_in_parent() -> None:
    if _fork.quiet:
        _mutex.get().release()


at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
