"""Stores whose locks end early or late, or with the lock of another."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

from broken_stores.entries import memory
from broken_stores.good import Broken, FileStore, wait_for
from broken_stores.processes import ExcludesProcesses
from keyturn.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path


class FreesLast(FileStore):
    """Frees all locks of the store when one of them is left."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._taken: list[int] = []

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Lock a file."""
        descriptor = self.lock_file(key)
        try:
            wait_for(lambda: self.is_taken(descriptor), lease)
            self._taken.append(descriptor)
            yield
        finally:
            for each in self._taken:
                fcntl.flock(each, fcntl.LOCK_UN)
            with contextlib.suppress(ValueError):
                self._taken.remove(descriptor)
            os.close(descriptor)


class FreedByWriting(FileStore):
    """Frees a lock when its entry is written."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._taken: dict[str, int] = {}

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Lock a file."""
        descriptor = self.lock_file(key)
        try:
            wait_for(lambda: self.is_taken(descriptor), lease)
            self._taken[key] = descriptor
            yield
        finally:
            self._taken.pop(key, None)
            os.close(descriptor)

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry: the work is done."""
        super().write(key, entry, expires_at)
        if key in self._taken:
            fcntl.flock(self._taken[key], fcntl.LOCK_UN)


class OfThisProcess(ExcludesProcesses):
    """Locks threads by itself, and processes by a lock that any closing of the file frees."""

    threads: ClassVar[dict[str, threading.Lock]] = {}

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Open the file, and take both locks."""
        descriptor = self.lock_file(key)
        guard = self.threads.setdefault(f"{os.getpid()} {key}", threading.Lock())
        deadline = time.monotonic() + lease
        try:
            wait_for(lambda: guard.acquire(blocking=False), lease)
            try:
                wait_for(lambda: self.is_taken(descriptor), deadline - time.monotonic())
                yield
            finally:
                guard.release()
        finally:
            os.close(descriptor)


class OtherLeases(MemoryStore):
    """Takes other leases than those that are asked for."""

    def __init__(self, changed: Callable[[float], float]) -> None:
        super().__init__()
        self._changed, self._since, self._guard = changed, dict[str, Any](), threading.Lock()

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold a lock for another lease."""
        mine = object()

        def is_taken() -> bool:
            with self._guard:
                _, end = self._since.get(key, (None, 0.0))
                if time.monotonic() < end:
                    return False
                self._since[key] = mine, time.monotonic() + self._changed(lease)
                return True

        wait_for(is_taken, lease)
        try:
            yield
        finally:
            with self._guard:
                if self._since.get(key, (None, 0))[0] is mine:
                    del self._since[key]


def with_leases(changed: Callable[[float], float]) -> Broken:
    """Return the row of a store with other leases."""
    test, message = "lock_lasts_for_its_lease", "a lock ends before its lease"
    if changed(0) > 0:
        test, message = "lock_of_a_hanging_holder_is_taken_over", "taken over long after its lease"
    return Broken(memory(OtherLeases, changed), test, message, shared=False)


BROKEN = [
    *(
        Broken(store, test, message, takes_over=False)
        for store, test, message in [
            (FreesLast, "locks_of_other_keys_are_free", "leaving a lock frees that of another"),
            (FreedByWriting, "locks_of_other_keys_are_free", "writing or deleting an entry frees"),
            (OfThisProcess, "lock_excludes_processes", "a waiter that gives up frees the lock"),
        ]
    ),
    with_leases(lambda lease: lease / 2),
    with_leases(lambda lease: min(lease, 0.5)),
    with_leases(lambda lease: max(lease, 4.0)),
]
