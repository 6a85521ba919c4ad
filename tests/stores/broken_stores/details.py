"""Stores that work until a detail of another process or a restart shows."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import time
import weakref
from pathlib import Path
from typing import Any, ClassVar

from broken_stores.entries import memory
from broken_stores.good import Broken, FileStore
from keyturn.stores import MemoryStore

_logger = logging.getLogger("acme.store")


class NamedByHash(FileStore):
    """Names files by `hash`, which differs between processes."""

    def path(self, key: str) -> Path:
        """Return a path that another process does not find."""
        return self.place / f"{hash(key):x}.entry"


class LocalTime(FileStore):
    """Keeps the local time of the expiry."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write the time without its zone."""
        end = dt.datetime.fromtimestamp(min(expires_at, 1e10))  # noqa: DTZ006 - the defect
        super().write(key, entry, end.isoformat())  # type: ignore[arg-type]

    def read(self, key: str) -> str | None:
        """Read the time as that of this process's zone."""
        with contextlib.suppress(FileNotFoundError):
            found = json.loads(self.path(key).read_text())
            end = dt.datetime.fromisoformat(found["expires_at"])
            return found["entry"] if dt.datetime.now() < end else None  # noqa: DTZ005
        return None


class Relative(FileStore):
    """Finds its directory from the working directory, again for each operation."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.place = Path(os.path.relpath(self.place))


class RemembersMissing(FileStore):
    """Remembers which keys have no entry."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._missing: set[str] = set()

    def read(self, key: str) -> str | None:
        """Read an entry that this process has not missed before."""
        found = None if key in self._missing else super().read(key)
        if found is None:
            self._missing.add(key)
        return found

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry, which this process then finds."""
        super().write(key, entry, expires_at)
        self._missing.discard(key)


class RemembersBySize(FileStore):
    """Remembers the content of a file until its size changes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._known: dict[str, tuple[int, Any]] = {}

    def read(self, key: str) -> str | None:
        """Read the file, or what it was when it had its size."""
        try:
            size = self.path(key).stat().st_size
        except FileNotFoundError:
            return None
        known, found = self._known.get(key, (-1, None))
        if known != size:
            found = json.loads(self.path(key).read_text())
            self._known[key] = size, found
        return found["entry"] if time.time() < found["expires_at"] else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry."""
        super().write(key, entry, expires_at)
        self._known.pop(key, None)


class LastRemoves(FileStore):
    """Removes all entries when the last of the process's stores is closed."""

    opened: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.opened.add(self)

    def close(self) -> None:
        """Remove the entries, unless another store is open."""
        self.opened.discard(self)
        if not any(each.place == self.place for each in self.opened):
            for path in self.place.glob("*.entry"):
                path.unlink()


class RemovesItsOwn(FileStore):
    """Removes the entries that it has written when it is closed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._own: set[str] = set()

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry that lasts as long as the store."""
        super().write(key, entry, expires_at)
        self._own.add(key)

    def close(self) -> None:
        """Remove the entries."""
        for key in self._own:
            self.delete(key)


class ExpiresInMemory(FileStore):
    """Knows the expiry only of the entries that it has read or written before they expired."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._ends: dict[str, float] = {}

    def read(self, key: str) -> str | None:
        """Read an entry, and check the expiry if it is known."""
        try:
            found = json.loads(self.path(key).read_text())
        except FileNotFoundError:
            return None
        known = key in self._ends
        self._ends[key] = found["expires_at"]
        return None if known and time.time() >= self._ends[key] else found["entry"]

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry, and note its expiry."""
        super().write(key, entry, expires_at)
        self._ends[key] = expires_at


class Rounds(MemoryStore):
    """Rounds the expiry to the nearest second."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write with a whole expiry."""
        super().write(key, entry, round(expires_at) if expires_at < 1e10 else expires_at)


class LogsExpired(MemoryStore):
    """Logs the entry that has expired."""

    def __init__(self) -> None:
        super().__init__()
        self._ends: dict[str, tuple[str, float]] = {}

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry."""
        super().write(key, entry, expires_at)
        self._ends[key] = entry, expires_at

    def read(self, key: str) -> str | None:
        """Read an entry, or log that it has expired."""
        entry, end = self._ends.get(key, ("", 0.0))
        if time.time() > end:
            _logger.debug("expired: %s", entry)
            self._ends.pop(key, None)
        return super().read(key)

    def delete(self, key: str) -> None:
        """Delete an entry."""
        super().delete(key)
        self._ends.pop(key, None)


class LogsWhenClosed(FileStore):
    """Logs all entries when it is closed."""

    def close(self) -> None:
        """Log what is left."""
        for path in self.place.glob("*.entry"):
            _logger.debug("left: %s", path.read_text())


class ShowsDamage(FileStore):
    """Shows the content of a file that it can't read in its error."""

    def read(self, key: str) -> str | None:
        """Read the file."""
        try:
            return super().read(key)
        except ValueError:
            raise ValueError(f"damaged: {self.path(key).read_bytes()!r}") from None


class LogsDamage(FileStore):
    """Logs the content of a file that it can't read."""

    def read(self, key: str) -> str | None:
        """Read the file."""
        try:
            return super().read(key)
        except ValueError:
            _logger.warning("damaged: %r", self.path(key).read_bytes())
            return None


class LogsMiddle(FileStore):
    """Logs a part of each entry."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write and log."""
        _logger.debug("kept …%s…", entry[10:24])
        super().write(key, entry, expires_at)


DIFFER, CLOSING = "processes_may_differ", "opening_and_closing_change_nothing"
BROKEN = [
    *(
        Broken(store, test, message, takes_over=False)
        for store, test, message in [
            (NamedByHash, DIFFER, "with another hash seed does not find an entry"),
            (LocalTime, DIFFER, "in another time zone does not find an entry"),
            (Relative, DIFFER, "in another directory does not find an entry"),
            (RemembersMissing, "processes_share_entries", "that it has missed before"),
            (RemembersBySize, "processes_share_entries", "reads an old entry"),
            (LastRemoves, CLOSING, "closing the last store loses its entries"),
            (RemovesItsOwn, CLOSING, "closing the last store loses its entries"),
            (ExpiresInMemory, "expires", "s after it expired"),
            (LogsWhenClosed, "shows_no_entry", "shown in the log 'acme.store'"),
            (ShowsDamage, "damaged_files", "of a damaged file, an entry is shown in an error"),
            (LogsDamage, "damaged_files", "an entry is shown in the log"),
            (LogsMiddle, "shows_no_entry", "shown in the log 'acme.store'"),
        ]
    ),
    Broken(memory(Rounds), "expires", "s after it expired", shared=False),
    Broken(memory(LogsExpired), "shows_no_entry", "the log 'acme.store'", shared=False),
]
