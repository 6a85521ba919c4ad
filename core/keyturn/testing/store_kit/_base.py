"""The base of the tests of a token store: stores, other processes, and a limit for each test."""

# The decorator `once` belongs to the class.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import unittest
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from keyturn.testing.store_kit._bounded import Operations, WatchedStore, require, together
from keyturn.testing.store_kit._helpers import LONG, SHORT, in_seconds
from keyturn.testing.store_kit._peers import Peer, use

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn.stores._base import TokenStore

Test = TypeVar("Test", bound="StoreTests")


def once(test: Callable[[Test], None]) -> Callable[[Test], None]:
    """Decorate a test: limit its time, and skip a cause that another test has reported."""

    @functools.wraps(test)
    def run(self: Test) -> None:
        try:
            self._operations.run(lambda: test(self))
        except AssertionError as error:
            first = self._reported.setdefault(str(error), test.__name__)
            if first == test.__name__:
                raise
            raise unittest.SkipTest(f"{first} reports the cause: {error}") from error

    return run


class StoreTests:
    """The base of all classes of tests; see `StoreConformance`."""

    takes_over = True
    shared = True
    # Seconds after which an operation counts as hanging.
    _patience = LONG
    _reported: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls) -> None:
        """Give each class its own record of the causes that its tests have reported."""
        super().__init_subclass__()
        cls._reported = {}

    def new_store(self) -> TokenStore:
        """Return the store; override it.

        A test calls it several times, as several processes would: all returned stores must share
        their entries. Stores with a method `close` are closed after the test.
        """
        raise NotImplementedError

    def setup_method(self) -> None:
        """Prepare a test (called by pytest)."""
        # After an operation that hangs, the other tests that use it must not take long.
        hangs = any("has not ended" in message for message in self._reported)
        self._operations = Operations(min(self._patience, 1.0) if hangs else self._patience)
        self._opened: list[WatchedStore] = []
        self._peers: list[Peer] = []
        self._key = secrets.token_hex(16)

    def teardown_method(self) -> None:
        """Close the stores that the test opened (called by pytest)."""
        # The later ones have copies of the earlier ones' connections.
        for peer in reversed(self._peers):
            peer.end()
        with contextlib.suppress(AssertionError):
            self._operations.run(self._close)

    def _close(self) -> None:
        for store in self._opened:
            with contextlib.suppress(AssertionError):
                store.delete(self._key)
            with contextlib.suppress(AssertionError):
                store.close()

    def _open(self) -> WatchedStore:
        with self._operations.doing("new_store"):
            store = WatchedStore(self.new_store(), self._operations)
        self._opened.append(store)
        return store

    def _peer(self, open_store: Callable[[], Any]) -> Peer:
        self._peers.append(Peer(open_store, self._operations))
        return self._peers[-1]

    def _sharing_peers(self, store: WatchedStore) -> list[Peer]:
        """Return two processes: one with the store of its parent, and one that opens its own."""
        if not (self.shared and self._has_fork()):
            return []
        key = f"{self._key}-use"
        inherited, fresh = self._peer(lambda: store), self._peer(self._open)
        store.write(key, "entry", in_seconds(LONG))
        message = (
            "processes don't share entries: keep them outside the process, or set `shared = False`"
        )
        require(fresh.ask(partial(use, key=key)) == "entry", message)
        try:
            found = inherited.ask(partial(use, key=key))
        except AssertionError as error:
            raise AssertionError(
                "a forked process can't use the store that its parent opened: open connections "
                f"again when os.getpid() has changed. There, {error}"
            ) from error
        require(found == "of a peer", message)
        return [inherited, fresh]

    def _is_held(self, store: WatchedStore, key: str = "") -> bool:
        """Return whether a lock is held, for a thread that does not hold it."""

        def enter() -> bool:
            try:
                with store.lock(key or self._key, SHORT):
                    return False
            except TimeoutError:
                return True

        return together(enter)[0]

    @staticmethod
    def _has_fork() -> bool:
        return hasattr(os, "fork")
