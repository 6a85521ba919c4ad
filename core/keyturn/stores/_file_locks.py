"""Locks among the threads and processes of one host: kernel locks on private files."""

import errno
import importlib
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from keyturn._common.once import at_fork
from keyturn.stores._private_files import identity_of, private_directory

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.01

_fcntl: Any = None
with suppress(ImportError):  # Windows has no fcntl
    _fcntl = importlib.import_module("fcntl")


@contextmanager
def locked(directory: Path, name: str, patience: float, below: str = "") -> Generator[None]:
    """Hold a lock file, never through a symbolic link, for a `with` block.

    The lock (`flock`) belongs to the opened file, so threads exclude each other too, and the
    kernel frees it when its holder dies. The empty file of each lock is not deleted.

    Args:
        directory: The private directory.
        name: The name of the lock file.
        patience: The maximum wait for the lock, in seconds.
        below: The name of the subdirectory with the lock file.

    Raises:
        TimeoutError: The lock was not free within `patience` seconds.
        OSError: The lock file is refused, or can't be opened or locked.
    """
    path = directory / below / name
    if _fcntl is None:
        from keyturn.stores import _sqlite_lock

        with private_directory(directory, below):
            pass
        with _sqlite_lock.locked(path, patience):
            yield
        return
    deadline = time.monotonic() + patience
    own = _descriptors()
    is_held = False
    while not is_held:
        # The directory is closed before the wait, so that each waiter needs only one descriptor.
        with private_directory(directory, below) as place:
            descriptor = place.open(name, os.O_CREAT | os.O_RDWR)
        own.add(descriptor)
        try:
            identity = place.check(name, descriptor)
            _wait_for(descriptor, path, deadline)
            # Otherwise the file was deleted or replaced while it was being locked.
            is_held = identity_of(path) == identity
            if is_held:
                yield
        finally:
            # A child forked inside the block has closed its copy, and must not free this lock.
            if _descriptors() is own:
                # Closing is not enough, because a child may not have closed its copy yet.
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
            raise TimeoutError(errno.ETIMEDOUT, f"the lock {path} was not acquired in time")
        # The pause grows with the wait, so that many waiters check less often.
        time.sleep(min(max((now - start) / 200, _SHORTEST_PAUSE), _LONGEST_PAUSE, deadline - now))


# The descriptors with locks, by the process that opened them.
_held: dict[int, set[int]] = {}


def _descriptors() -> set[int]:
    """Return the descriptors with locks of this process, and close those of its parent.

    A child shares its parent's locks until it closes its copies of the files. Otherwise it would
    keep the locks of a parent that was killed.
    """
    for process in {*_held} - {os.getpid()}:
        for descriptor in _held.pop(process, ()):  # empty if another thread was faster
            os.close(descriptor)
    return _held.setdefault(os.getpid(), set())


at_fork(after_in_child=_descriptors)
