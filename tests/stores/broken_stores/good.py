"""A correct store in files, of which the broken ones change one part; and a broken one's row."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path


class Broken(NamedTuple):
    """A store with one defect.

    Args:
        opened: Opens it in a directory.
        test: The test that reports it, without `test_`.
        message: The message of that test.
        takes_over: As in `StoreConformance`.
        shared: As in `StoreConformance`.
    """

    opened: Callable[[Path], Any]
    test: str
    message: str
    takes_over: bool = True
    shared: bool = True


class FileStore:
    """Stores each entry in a private file, and locks by the kernel."""

    def __init__(self, directory: Path) -> None:
        self.place = directory / "store"
        self.make_directory()

    def read(self, key: str) -> str | None:
        """Read the file."""
        try:
            content = self.path(key).read_text()
        except FileNotFoundError:
            return None
        found = json.loads(content)
        return found["entry"] if time.time() < found["expires_at"] else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Replace the file atomically."""
        draft = self.draft(key)
        self.save(draft, json.dumps({"entry": entry, "expires_at": expires_at}))
        draft.replace(self.path(key))

    def delete(self, key: str) -> None:
        """Delete the file."""
        self.path(key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Lock another file."""
        descriptor = self.lock_file(key)
        try:
            wait_for(lambda: self.is_taken(descriptor), lease)
            yield
        finally:
            os.close(descriptor)

    def make_directory(self) -> None:
        """Make the directory."""
        self.place.mkdir(mode=0o700, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return the path of the entry."""
        return self.place / f"{key}.entry"

    def draft(self, key: str) -> Path:
        """Return the path of an entry until it is complete."""
        return self.place / f"{secrets.token_hex(8)}.draft"

    def save(self, path: Path, content: str) -> None:
        """Write a file."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            file.write(content)

    def lock_file(self, key: str) -> int:
        """Open the file of a lock."""
        return os.open(self.place / f"{key}.lock", os.O_WRONLY | os.O_CREAT, 0o600)

    def is_taken(self, descriptor: int) -> bool:
        """Return whether the lock could be taken."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def wait_for(condition: Callable[[], bool], lease: float) -> None:
    """Wait for a condition until the end of a lease."""
    deadline = time.monotonic() + lease
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the lock is still held")
        time.sleep(0.002)
