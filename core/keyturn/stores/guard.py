"""A store's failure costs a warning and an extra token request, never an exception."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from keyturn.stores.base import TokenStore

_logger = logging.getLogger("keyturn.stores")


class GuardedStore:
    """A token store that never raises: what fails is logged, read as a miss, and gone on without.

    Args:
        store: The store that may fail.
    """

    def __init__(self, store: TokenStore) -> None:
        self.store = store

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None when there is none or the store fails."""
        entry = self._attempt("read", lambda: self.store.read(key))
        return entry if isinstance(entry, str) else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep an entry, if the store can."""
        self._attempt("write", lambda: self.store.write(key, entry, expires_at))

    def delete(self, key: str) -> None:
        """Remove an entry, if the store can."""
        self._attempt("delete", lambda: self.store.delete(key))

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` for a `with` block, or go on without it if the store fails."""
        held = contextlib.ExitStack()
        self._attempt("lock", lambda: held.enter_context(self.store.lock(key, lease)))
        try:
            yield
        finally:
            self._attempt("unlock", held.close)

    def _attempt(self, what: str, operation: Callable[[], object]) -> object:
        try:
            return operation()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's store may raise anything
            # The error's text may hold an entry: its type is told, and no more.
            name = type(self.store).__name__
            _logger.warning("%s failed to %s (%s); going on without", name, what, _summary(error))
            return None


def _summary(error: BaseException) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else ""
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
