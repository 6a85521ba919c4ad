"""Stores that show entries or passwords."""

from __future__ import annotations

import base64
import contextlib
import logging
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from broken_stores.entries import memory
from broken_stores.good import Broken
from keyturn.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_logger = logging.getLogger("acme.store")


class Talkative(MemoryStore):
    """Shows its entries in some way."""

    def __init__(self, show: Callable[[str], object]) -> None:
        super().__init__()
        self._show = show

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry, and show it."""
        self._show(entry)
        super().write(key, entry, expires_at)


class KeepsTheLast(MemoryStore):
    """Has the last entry in an attribute, which `vars` shows."""

    def __init__(self) -> None:
        super().__init__()
        self.last: list[tuple[str, bytes]] = []

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry, and keep it in an attribute."""
        self.last = [(key, entry.encode())]
        super().write(key, entry, expires_at)


class KeepsAll(MemoryStore):
    """Has all entries ever written in an object of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History()

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry, and keep it in the history."""
        self.history.entries.append(entry)
        super().write(key, entry, expires_at)


class History:
    """All entries that were written."""

    def __init__(self) -> None:
        self.entries: list[str] = []


class ShowsWhatFails(MemoryStore):
    """Shows an entry in an error."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry, or raise an error that contains it."""
        try:
            super().write(key, entry, expires_at)
        except TypeError:
            raise ValueError(f"{entry} can't be kept until {expires_at}") from None


class ShowsTheLockedEntry(MemoryStore):
    """Shows the entry whose lock is held."""

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Log the entry."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(super().lock(key, lease))
            except TimeoutError:
                raise TimeoutError(f"{self.read(key)} is locked") from None
            yield


class ShowsItself(MemoryStore):
    """Has a representation with all fields, like a dataclass."""

    def __repr__(self) -> str:
        return f"{vars(self)}"


class Located(MemoryStore):
    """Shows its URL, with the password."""

    location = "acme://user:s3cret@db.example/tokens"


def print_to(stream: str, entry: str) -> None:
    """Print an entry."""
    getattr(sys, stream).write(f"{entry}\n")


def encoded(entry: str) -> str:
    """Return an entry in Base64."""
    return base64.b64encode(entry.encode()).decode()


BROKEN = [
    Broken(memory(store, *arguments), "shows_no_entry", message, shared=False)
    for store, arguments, message in list[tuple[Any, tuple[Any, ...], str]](
        [
            (
                Talkative,
                (lambda entry: _logger.debug("kept %s", entry),),
                "an entry is shown in the log 'acme.store'",
            ),
            (
                Talkative,
                (lambda entry: _logger.info("kept %s", encoded(entry)),),
                "an entry is shown in the log 'acme.store'",
            ),
            (Talkative, (partial(print_to, "stdout"),), "shown in standard output"),
            (Talkative, (partial(print_to, "stderr"),), "shown in standard output"),
            (Talkative, (warnings.warn,), "an entry is shown in a warning"),
            (ShowsWhatFails, (), "an entry is shown in an error"),
            (ShowsTheLockedEntry, (), "an entry is shown in an error"),
            (KeepsTheLast, (), "the attribute last still has an entry after its deletion"),
            (KeepsAll, (), "the attribute history still has an entry after its deletion"),
            (ShowsItself, (), "an entry is shown in repr(store)"),
            (Located, (), "a password is shown in the store's location"),
        ]
    )
]
