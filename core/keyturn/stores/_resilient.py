"""A store's failure costs a warning and an extra token request, never an exception."""

from __future__ import annotations

import contextlib
import logging
import math
import weakref
from typing import TYPE_CHECKING

from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from keyturn.stores._base import TokenStore

_logger = logging.getLogger("keyturn.stores")


_FAILED = object()
# What this process remembers in the stead of a store that has failed, by the store's id.
_stand_ins: dict[int, MemoryStore] = {}
# Before the key of an entry that its store failed to delete; no key has a colon.
_DELETED = "deleted:"
# Stores that can't be watched are kept, lest another comes to have such an id.
_unwatched: list[TokenStore] = []


class ResilientStore:
    """A token store that never raises: what fails is logged, and done in this process's memory.

    So a process remembers its tokens, rate limits and negative_cache while its store is down, for all
    connections with that store. What is in memory comes before what is in the store, and what the
    store failed to delete isn't read from it, until the store takes a later entry of that key.

    Args:
        store: The store that may fail.
    """

    def __init__(self, store: TokenStore) -> None:
        self.store = store

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None when there is none or the store fails."""
        return next(iter(self.entries(key)), None)

    def entries(self, key: str) -> list[str]:
        """Return the entries at `key`: this process's own, if the store failed, and the store's."""
        stored = self._attempt("read", lambda: self.store.read(key))
        memory = _stand_in(self.store) if stored is _FAILED else _stand_ins.get(id(self.store))
        deleted = memory and memory.read(_DELETED + key) is not None
        found = (memory.read(key) if memory else None, None if deleted else stored)
        return [entry for entry in found if isinstance(entry, str)]

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep an entry, in memory if the store can't."""
        kept = self._attempt("write", lambda: self.store.write(key, entry, expires_at))
        if kept is _FAILED or self._is_unreadable(key):
            _stand_in(self.store).write(key, entry, expires_at)
        else:
            self._forget(key)

    def delete(self, key: str) -> None:
        """Remove an entry; one that the store can't is hidden from this process."""
        self._forget(key)
        if self._attempt("delete", lambda: self.store.delete(key)) is _FAILED:
            _stand_in(self.store).write(_DELETED + key, "", math.inf)

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` for a `with` block, among threads alone if the store fails."""
        held = contextlib.ExitStack()
        entered = self._attempt("lock", lambda: held.enter_context(self.store.lock(key, lease)))
        if entered is _FAILED:
            memory = _stand_in(self.store)
            self._attempt("lock", lambda: held.enter_context(memory.lock(key, lease)))
        try:
            yield
        finally:
            self._attempt("unlock", held.close)

    def _is_unreadable(self, key: str) -> bool:
        """Tell whether a store that has failed before can't read what it just took."""
        failed_before = id(self.store) in _stand_ins
        return failed_before and self._attempt("read", lambda: self.store.read(key)) is _FAILED

    def _forget(self, key: str) -> None:
        memory = _stand_ins.get(id(self.store))
        if memory:
            memory.delete(key)
            memory.delete(_DELETED + key)

    def _attempt(self, what: str, operation: Callable[[], object]) -> object:
        try:
            return operation()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's store may raise anything
            # The error's text may hold an entry: its type is told, and no more.
            name = type(self.store).__name__
            _logger.warning("%s failed to %s (%s); going on without", name, what, _summary(error))
            return _FAILED


def _stand_in(store: TokenStore) -> MemoryStore:
    new = MemoryStore()
    found = _stand_ins.setdefault(id(store), new)
    if found is new:
        try:
            weakref.finalize(store, _stand_ins.pop, id(store), None)
        except TypeError:
            _unwatched.append(store)
    return found


def _summary(error: BaseException) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else ""
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
