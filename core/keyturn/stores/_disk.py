"""The token store that processes of one user on one host share: private files, and their locks."""

import errno
import functools
import importlib
import os
import re
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from keyturn._once import PerProcess, at_fork
from keyturn.stores._base import logger
from keyturn.stores._string_cache import PATIENCE, StringCache

# The longest entry that is kept, in bytes of UTF-8.
LONGEST_ENTRY: Final = 256 * 1024
_WRITES_PER_PURGE = 64
_LOCK_FLAGS: Final = os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.01
# What comes out of diskcache and SQLite when the contents of the file make no sense to them; what
# fails for other reasons is an OSError.
_UNUSABLE = (sqlite3.DatabaseError, TypeError, ValueError)

_Result = TypeVar("_Result")

_fcntl: Any = None
with suppress(ImportError):  # Windows has none
    _fcntl = importlib.import_module("fcntl")


class DiskStore:
    """Entries in a directory that no other user can read, for any number of threads and processes.

    The directory (mode 0700) and its files (0600) are created when they are first needed. One that
    is a symbolic link, belongs to another user or is open to others is refused. A database that
    can't be read, was emptied or has other tables than keyturn's is moved aside to
    `cache.db.corrupt`, with a warning in the log, and begun afresh.

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
        self.location = str(self.directory)
        self._path = self.directory / "cache.db"
        self._now = now
        self._writes = 0
        self._identity: tuple[int, int] | None = None

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None when there is none or it has expired."""
        entry, expires_at = self._run(key, lambda cache: cache.load(key)) or (None, 0.0)
        return entry if self._now() < expires_at else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing what was there.

        Raises:
            ValueError: The entry is longer than `LONGEST_ENTRY` bytes.
        """
        if len(entry.encode()) > LONGEST_ENTRY:
            raise ValueError(f"An entry may have {LONGEST_ENTRY} bytes.")
        # diskcache's own expiry goes by its own clock; the tag's column is free for ours.
        self._run(key, lambda cache: cache.set(key, entry, tag=float(expires_at)))
        # The first write purges too: a process may write only once.
        if self._writes % _WRITES_PER_PURGE == 0:
            self._run(key, lambda cache: cache.purge(self._now()))
        self._writes += 1

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error when there is none."""
        self._run(key, lambda cache: cache.delete(key))

    @contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` among threads and processes for the length of a `with` block.

        The lock is the kernel's (`flock`, or SQLite's where there is no `fcntl`), which frees it
        when the holder dies. It can't be taken from a holder that lives: one that hangs costs each
        waiter `lease` seconds and a `TimeoutError`, after which the waiter does its work without
        the lock.

        Args:
            key: The lock's key.
            lease: The longest wait for the lock, in seconds.

        Raises:
            TimeoutError: `lease` seconds of waiting did not bring the lock.
            ValueError: The key has other characters than a key may have.
        """
        _check_key(key)
        locks = self.directory / "locks"
        _make_private_directory(self.directory)
        _make_private_directory(locks)
        with _locked(locks / f"{key}.lock", lease):
            yield

    def close(self) -> None:
        """Close the database; the next operation opens it again."""
        with _mutex.get():
            self._disconnect()

    def _run(self, key: str, operation: Callable[[StringCache], _Result]) -> _Result:
        _check_key(key)
        mutex = _mutex.get()  # the one to release, even if the operation is interrupted by a fork
        if not mutex.acquire(timeout=PATIENCE):
            raise TimeoutError(errno.ETIMEDOUT, f"the token store {self._path} is busy")
        try:
            try:
                return operation(self._opened())
            except _UNUSABLE as error:
                self._set_aside(error)
                return operation(self._opened())
        except BaseException:
            self._disconnect()  # Whatever state it is in, the next operation begins anew.
            raise
        finally:
            mutex.release()

    def _opened(self) -> StringCache:
        cache = _open.get().get(self)
        # The file may have been deleted or replaced.
        if cache is None or _identity_of(self._path) != self._identity:
            self._disconnect()
            _make_private_directory(self.directory)
            _warn_if_replaceable(self.directory)
            with _locked(self.directory / "opening.lock", PATIENCE):
                is_new = _identity_of(self._path) is None
                with suppress(FileExistsError):
                    self._path.touch(mode=0o600, exist_ok=False)
                _require_private(self._path, self._path.lstat(), stat.S_IFREG)
                self._identity = _identity_of(self._path)
                cache = _open.get()[self] = StringCache(str(self._path))
                cache.fill(new=is_new)
        return cache

    def _disconnect(self) -> None:
        with suppress(KeyError):
            _open.get().pop(self).disconnect()

    def _set_aside(self, error: Exception) -> None:
        self._disconnect()
        with _locked(self.directory / "opening.lock", PATIENCE):
            if _identity_of(self._path) != self._identity:
                return  # Another process was faster.
            aside = f"{self._path}.corrupt"
            # The companions first: beside a fresh database they would be taken for its own.
            for suffix in ("-journal", "-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    os.replace(f"{self._path}{suffix}", aside + suffix)  # noqa: PTH105 - suffixes
        logger.warning("the token store %s was unusable (%r): see %s", self._path, error, aside)


def _check_key(key: str) -> None:
    if not re.fullmatch(r"[a-z0-9-]{1,80}", key):
        raise ValueError("A key has 1 to 80 lower-case letters, digits and hyphens.")


def _make_private_directory(directory: Path) -> None:
    """Create a directory and its parents for this user alone (0700), or see that it is so.

    Raises:
        PermissionError: It is a symbolic link, another user's, or open to other users.
    """
    for each in (*reversed(directory.parents), directory):
        with suppress(FileExistsError):  # what is no directory is refused below
            each.mkdir(mode=0o700, exist_ok=True)
    _require_private(directory, directory.lstat(), stat.S_IFDIR)


@functools.cache  # once in a process
def _warn_if_replaceable(directory: Path) -> None:
    """Log a warning if every user of the host can put another directory in this one's place.

    It is so if everybody may write to one above it that isn't sticky as /tmp is (inode(7)).
    """
    for parent in directory.parents:
        if parent.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            logger.warning(
                "every user of this host can replace the token store %s, since %s is writable by "
                "all: run `chmod o-w` or `chmod +t` on that directory, or keep the store elsewhere",
                directory,
                parent,
            )
            return


def _require_private(path: Path, status: os.stat_result, kind: int) -> None:
    mode = status.st_mode
    # Windows has neither user ids nor such modes; it closes a user's profile to others by itself.
    user_id = getattr(os, "geteuid", None)
    checks = {
        "is a symbolic link, or not what it should be": stat.S_IFMT(mode) != kind,
        "belongs to another user": user_id and status.st_uid != user_id(),
        f"is open to other users (mode {stat.S_IMODE(mode):04o})": user_id and mode & 0o077,
        "has another name elsewhere (a hard link)": kind == stat.S_IFREG and status.st_nlink > 1,
    }
    for wrong, is_so in checks.items():
        if is_so:
            raise PermissionError(errno.EPERM, f"the token store refuses {path}: it {wrong}")


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Return what identifies the file at `path`, or None when there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def _locked(path: Path, patience: float) -> Generator[None]:
    """Hold the lock file at `path`, never through a symbolic link, for a `with` block.

    The lock (`flock`) belongs to the opened file, so threads exclude each other too, and the
    kernel frees it when its holder dies. The file stays: an empty one for each lock.

    Raises:
        TimeoutError: `patience` seconds of waiting did not bring the lock.
        OSError: The lock file is refused, or can't be opened or locked.
    """
    if _fcntl is None:
        from keyturn.stores._sqlite_lock import locked

        with locked(path, patience):
            yield
        return
    deadline = time.monotonic() + patience
    own = _descriptors()
    is_held = False
    while not is_held:
        descriptor = os.open(path, _LOCK_FLAGS, 0o600)
        own.add(descriptor)
        try:
            status = os.fstat(descriptor)
            _require_private(path, status, stat.S_IFREG)
            _wait_for(descriptor, path, deadline)
            # Otherwise the file was deleted or replaced while it was being locked.
            is_held = _identity_of(path) == (status.st_dev, status.st_ino)
            if is_held:
                yield
        finally:
            # A child forked inside the block has closed its copy, and frees nothing of its parent.
            if _descriptors() is own:
                # Closing alone would not do while a child has not come to close its copy yet.
                _fcntl.flock(descriptor, _fcntl.LOCK_UN)
                own.discard(descriptor)
                os.close(descriptor)


def _wait_for(descriptor: int, path: Path, deadline: float) -> None:
    start = time.monotonic()
    while True:
        with suppress(BlockingIOError):
            _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            return
        now = time.monotonic()
        if now >= deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"the lock {path} did not come in time")
        # In step with the wait: a crowd that waits for long asks less often.
        time.sleep(min(max((now - start) / 200, _SHORTEST_PAUSE), _LONGEST_PAUSE, deadline - now))


# The descriptors that hold locks, by the process that opened them.
_held: dict[int, set[int]] = {}


def _descriptors() -> set[int]:
    """Return the descriptors that hold locks of this process; those of its parent are closed.

    A child shares its parent's locks until it closes its copies of their files: it would keep the
    locks of a parent that was killed.
    """
    for process in {*_held} - {os.getpid()}:
        for descriptor in _held.pop(process, ()):  # nothing if another thread was faster
            os.close(descriptor)
    return _held.setdefault(os.getpid(), set())


# One operation at a time in this process: closing any descriptor of a database, as creating one
# does, takes the locks of every other in the process away (https://sqlite.org/howtocorrupt.html).
_mutex: PerProcess[threading.Lock] = PerProcess(threading.Lock)
# A child must not use the connections of its parent.
_open: PerProcess[WeakKeyDictionary[DiskStore, StringCache]] = PerProcess(WeakKeyDictionary)
_fork = threading.local()


def _before_fork() -> None:
    # Neither a connection nor SQLite's own locks in a locked state may be carried into a child. An
    # operation that lasts longer than any should, hinders no fork.
    _fork.quiet = _mutex.get().acquire(timeout=PATIENCE)
    while _fork.quiet and (caches := _open.get()):
        caches.popitem()[1].disconnect()


def _after_fork_in_parent() -> None:
    if _fork.quiet:
        _mutex.get().release()


at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_descriptors)
