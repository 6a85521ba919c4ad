"""Stores that change, lose or keep entries."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

from broken_stores.good import Broken
from keyturn.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class WithoutDelete:
    """Has three of the four operations."""

    read, write, lock = MemoryStore.read, MemoryStore.write, MemoryStore.lock


class Changing(MemoryStore):
    """Changes entries when they are written or read."""

    def __init__(self, stored: Callable[[str], str], found: Callable[[str], Any] = str) -> None:
        super().__init__()
        self._stored, self._found = stored, found

    def read(self, key: str) -> str | None:
        """Read a changed entry."""
        entry = super().read(key)
        return None if entry is None else self._found(entry)

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write a changed entry."""
        super().write(key, self._stored(entry), expires_at)


class ChangingKeys(MemoryStore):
    """Changes keys."""

    def __init__(self, changed: Callable[[str], str]) -> None:
        super().__init__()
        self._changed = changed

    def read(self, key: str) -> str | None:
        """Read by the changed key."""
        return super().read(self._changed(key))

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write by the changed key."""
        super().write(self._changed(key), entry, expires_at)

    def delete(self, key: str) -> None:
        """Delete by the changed key."""
        super().delete(self._changed(key))


class ChangingExpiry(MemoryStore):
    """Changes the time of expiry."""

    def __init__(self, changed: Callable[[float], float]) -> None:
        super().__init__()
        self._changed = changed

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write with another expiry."""
        super().write(key, entry, self._changed(expires_at))


class InventsEntries(MemoryStore):
    """Returns something for every key."""

    def read(self, key: str) -> str | None:
        """Never return None."""
        return super().read(key) or ""


class RaisesWhereNothingIs(MemoryStore):
    """Raises for a missing entry."""

    def read(self, key: str) -> str | None:
        """Read without a default for a missing key."""
        entry = super().read(key)
        if entry is None:
            raise KeyError(key)
        return entry


class KeepsDeleted(MemoryStore):
    """Deletes nothing."""

    def delete(self, key: str) -> None:
        """Do nothing."""


class DeletesOnce(MemoryStore):
    """Raises for a missing entry."""

    def delete(self, key: str) -> None:
        """Delete an entry that exists."""
        if super().read(key) is None:
            raise KeyError(key)
        super().delete(key)


class IgnoresExpired(MemoryStore):
    """Leaves the old entry when the new one has already expired."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry that has not expired."""
        if expires_at > time.time():
            super().write(key, entry, expires_at)


class KeepsTheFirstExpiry(MemoryStore):
    """Replaces an entry, but not its expiry."""

    def __init__(self) -> None:
        super().__init__()
        self._first: dict[str, float] = {}

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry with the expiry of the old one, if that has not expired."""
        first = self._first.get(key, 0.0)
        self._first[key] = first if time.time() < min(first, expires_at) else expires_at
        super().write(key, entry, self._first[key])


class BoundToItsThread(MemoryStore):
    """Can only be used by the thread that opened it, as SQLite requires."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def read(self, key: str) -> str | None:
        """Read on that thread."""
        if threading.get_ident() != self._thread:
            raise RuntimeError("another thread")
        return super().read(key)


def memory(store: Callable[..., Any], *arguments: Any) -> Callable[[Path], Any]:
    """Return a function that opens a store in memory; all openings return one object."""
    opened: list[Any] = []

    def open_it(_: Path) -> Any:
        opened.append(opened[0] if opened else store(*arguments))
        return opened[0]

    return open_it


def limited(entry: str) -> str:
    """Return an entry that is short enough."""
    if len(entry) > 65_535:
        raise ValueError("too long")
    return entry


def numeric(key: str) -> str:
    """Return a key as a numeric column would store it."""
    try:
        return repr(float(key))
    except ValueError:
        return key


CHANGED = "read does not return the written entry"
MIXED = "keys are mixed up"
BROKEN = [
    Broken(memory(store, *arguments), test, message, shared=False)
    for store, arguments, test, message in [
        (WithoutDelete, (), "has_the_four_operations", "the store has no method delete"),
        (Changing, (lambda entry: entry[:255],), "returns_what_was_written", CHANGED),
        (
            Changing,
            (lambda entry: entry.encode("ascii", "replace").decode(),),
            "returns_what_was_written",
            CHANGED,
        ),
        (
            Changing,
            (lambda entry: entry.replace("\r\n", "\n"),),
            "returns_what_was_written",
            CHANGED,
        ),
        (Changing, (str, str.encode), "returns_what_was_written", CHANGED),
        (Changing, (str.strip,), "returns_what_was_written", CHANGED),
        (Changing, (numeric,), "returns_what_was_written", CHANGED),
        (Changing, (limited,), "returns_what_was_written", "`write` raised ValueError('too long')"),
        (ChangingKeys, (lambda key: key[:64],), "keys_are_distinct", MIXED),
        (ChangingKeys, (lambda key: key[-40:],), "keys_are_distinct", MIXED),
        (ChangingKeys, (numeric,), "keys_are_distinct", MIXED),
        (ChangingKeys, (lambda key: key.replace("-", ""),), "keys_are_distinct", MIXED),
        (InventsEntries, (), "keys_are_distinct", "read returns '' where no entry was written"),
        (RaisesWhereNothingIs, (), "keys_are_distinct", "return None where there is no entry"),
        (KeepsDeleted, (), "deletes", "read returns an entry after its deletion"),
        (DeletesOnce, (), "deletes", "a missing entry is not an error"),
        (
            ChangingExpiry,
            (lambda end: math.inf if end > time.time() else end,),
            "expires",
            "s after it expired",
        ),
        (
            ChangingExpiry,
            (lambda end: end if math.isinf(end) else math.ceil(end),),
            "expires",
            "keep fractions of seconds",
        ),
        (ChangingExpiry, (int,), "expires", "`write` raised OverflowError"),
        (ChangingExpiry, (lambda end: end - 3600,), "expires", "is lost"),
        (IgnoresExpired, (), "expires", "such an entry replaces the old one"),
        (KeepsTheFirstExpiry, (), "expires", "has the expiry of the old one"),
        (BoundToItsThread, (), "lock_excludes", "let any thread read"),
    ]
]
