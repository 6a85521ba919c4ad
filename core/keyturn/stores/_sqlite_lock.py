"""Locks among threads and processes on systems without `fcntl`: SQLite's own locks."""

import errno
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path, patience: float) -> Generator[None]:
    """Hold the lock file at `path` for a `with` block.

    The lock is an exclusive transaction of an empty database
    (https://sqlite.org/lockingv3.html), for which SQLite uses a kernel lock of the system. The
    kernel frees it when its holder dies.

    Args:
        path: The lock file; it is created, and not deleted.
        patience: The maximum wait for the lock, in seconds.

    Raises:
        TimeoutError: The lock was not free within `patience` seconds.
        OSError: The lock file can't be opened or locked.
    """
    deadline = time.monotonic() + patience
    is_held = False
    while not is_held:
        # An existing file is not opened here, because closing it would release the locks of this
        # process (https://sqlite.org/howtocorrupt.html).
        with suppress(FileExistsError):
            path.touch(mode=0o600, exist_ok=False)
        if path.is_symlink():
            raise PermissionError(errno.EPERM, f"the token store refuses {path}: a symbolic link")
        identity = path.stat().st_ino
        with closing(_connected(path, max(deadline - time.monotonic(), 0.0))) as connection:
            _begin(connection, path)
            # Otherwise the file was deleted or replaced while it was being locked.
            is_held = path.exists() and path.stat().st_ino == identity
            if is_held:
                yield


def _connected(path: Path, seconds: float) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, timeout=seconds, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise OSError(errno.EIO, f"the lock {path}: {error}") from None


def _begin(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            problem = f"the lock {path} was not acquired in time"
            raise TimeoutError(errno.ETIMEDOUT, problem) from None
        raise OSError(errno.EIO, f"the lock {path}: {error}") from None
