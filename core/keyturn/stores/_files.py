"""Directories, files and lock files that no other user can read or plant."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from keyturn.stores._base import logger

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.01


def make_private_directory(directory: Path) -> None:
    """Create a directory and its parents for this user alone (0700), or see that it is so.

    Raises:
        PermissionError: It is a symbolic link, another user's, or open to other users.
    """
    for each in (*reversed(directory.parents), directory):
        with suppress(FileExistsError):  # what is no directory is refused below
            each.mkdir(mode=0o700, exist_ok=True)
    _require_private(directory, directory.lstat(), stat.S_IFDIR)


@cache  # once in a process
def warn_if_replaceable(directory: Path) -> None:
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


def make_private_file(path: Path) -> None:
    """Create a file for this user alone (0600), or see that it is so; it isn't opened.

    Raises:
        PermissionError: It is a symbolic link, another user's, or open to other users.
    """
    with suppress(FileExistsError):
        path.touch(mode=0o600, exist_ok=False)
    _require_private(path, path.lstat(), stat.S_IFREG)


def _require_private(path: Path, status: os.stat_result, kind: int) -> None:
    mode = status.st_mode
    checks = {
        "is a symbolic link, or not what it should be": stat.S_IFMT(mode) != kind,
        "belongs to another user": status.st_uid != os.geteuid(),
        f"is open to other users (mode {stat.S_IMODE(mode):04o})": mode & 0o077,
        "has another name elsewhere (a hard link)": kind == stat.S_IFREG and status.st_nlink > 1,
    }
    for wrong, is_so in checks.items():
        if is_so:
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

    The lock (`flock`) belongs to the opened file, so threads exclude each other too, and the
    kernel frees it when its holder dies. The file stays: an empty one for each lock.

    Raises:
        TimeoutError: `patience` seconds of waiting did not bring the lock.
        OSError: The lock file is refused, or can't be opened or locked.
    """
    deadline = time.monotonic() + patience
    own = descriptors()
    is_held = False
    while not is_held:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        own.add(descriptor)
        try:
            status = os.fstat(descriptor)
            _require_private(path, status, stat.S_IFREG)
            _wait_for(descriptor, path, deadline)
            # Otherwise the file was deleted or replaced while it was being locked.
            is_held = identity(path) == (status.st_dev, status.st_ino)
            if is_held:
                yield
        finally:
            # A child forked inside the block has closed its copy, and frees nothing of its parent.
            if descriptors() is own:
                # Closing alone would not do while a child has not come to close its copy yet.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                own.discard(descriptor)
                os.close(descriptor)


def _wait_for(descriptor: int, path: Path, deadline: float) -> None:
    start = time.monotonic()
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        now = time.monotonic()
        if now >= deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"the lock {path} did not come in time")
        # In step with the wait: a crowd that waits for long asks less often.
        time.sleep(min(max((now - start) / 200, _SHORTEST_PAUSE), _LONGEST_PAUSE, deadline - now))


# The descriptors that hold locks, by the process that opened them.
_held: dict[int, set[int]] = {}


def descriptors() -> set[int]:
    """Return the descriptors that hold locks of this process; those of its parent are closed.

    A child shares its parent's locks until it closes its copies of their files: it would keep the
    locks of a parent that was killed.
    """
    for process in {*_held} - {os.getpid()}:
        for descriptor in _held.pop(process, ()):  # nothing if another thread was faster
            os.close(descriptor)
    return _held.setdefault(os.getpid(), set())
