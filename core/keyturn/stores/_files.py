"""Directories, files and lock files that nobody else can read or plant."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_POLL_INTERVAL = 0.005


def make_private_directory(directory: Path) -> None:
    """Create a directory and its parents for this user alone (0700), or see that it is so.

    Raises:
        PermissionError: It is a symbolic link, another user's, or open to other users.
    """
    _make_missing(directory)
    _require_private(directory, stat.S_IFDIR)


def _make_missing(directory: Path) -> None:
    if not os.path.lexists(directory):
        _make_missing(directory.parent)
        # Another process may create it at the same moment.
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)


def make_private_file(path: Path) -> None:
    """Create a file for this user alone (0600), or see that it is so; it isn't opened.

    Raises:
        PermissionError: It is a symbolic link, another user's, or open to other users.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    _require_private(path, stat.S_IFREG)


def _require_private(path: Path, kind: int) -> None:
    status = path.lstat()
    if stat.S_IFMT(status.st_mode) != kind:
        wrong = "is a symbolic link, or not what it should be"
    elif status.st_uid != os.geteuid():
        wrong = "belongs to another user"
    elif status.st_mode & 0o077:
        wrong = f"is open to other users (mode {stat.S_IMODE(status.st_mode):04o})"
    else:
        return
    raise PermissionError(errno.EPERM, f"the token store refuses {path}: it {wrong}")


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from a later one at the same path, or None when there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def locked(path: Path, patience: float) -> Generator[None]:
    """Hold the lock file at `path`, never through a symbolic link, for a `with` block.

    Raises:
        TimeoutError: `patience` seconds of waiting did not bring the lock.
    """
    # Importing filelock takes longer than a whole read of a token, which needs no lock.
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=patience, poll_interval=_POLL_INTERVAL)
    except Timeout:
        message = f"the lock {path} did not come in {patience:g} s"
        raise TimeoutError(errno.ETIMEDOUT, message) from None
    try:
        yield
    finally:
        # In a child forked inside the block, filelock has closed the descriptor and frees nothing.
        lock.release()
