"""The base class for the tests of a token store."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from keyturn.testing.store_kit._helpers import Log, in_seconds, require, taken

if TYPE_CHECKING:
    from collections.abc import Generator

    from keyturn.stores._base import TokenStore

_LONG = 10.0
_SHORT = 0.05
_ENTRIES = (
    "",
    "entry",
    '{"quoted": "\\"\'`%s{}\\\\"}\r\n',
    "ключ 鍵 🗝",
    "x" * 65_536,
)


class StoreConformance:
    """Tests that every token store must pass.

    pytest collects a subclass whose name begins with `Test`. The tests use keys of their own,
    leave only expired entries, and take about a second.

    Attributes:
        takes_over: Whether a waiter takes a lock over when its holder hangs. False for a store
            whose locks belong to the operating system: a waiter then gets a `TimeoutError`.

    Example:
        >>> import keyturn
        >>> class TestAcmeStore(StoreConformance):
        ...     def new_store(self):
        ...         return keyturn.stores.from_url("acme://localhost")
    """

    takes_over = True
    shared = True
    # Seconds after which a wait counts as one that never ends.
    _patience = _LONG

    def new_store(self) -> TokenStore:
        """Return the store; override it.

        A test calls it several times, as several processes would: all returned stores must share
        their entries. Stores with a method `close` are closed after the test.
        """
        raise NotImplementedError

    def setup_method(self) -> None:
        """Prepare a test (called by pytest)."""
        self._opened: list[TokenStore] = []
        self._key = secrets.token_hex(16)

    def teardown_method(self) -> None:
        """Close the stores that the test opened (called by pytest)."""
        for store in self._opened:
            with contextlib.suppress(Exception):
                store.delete(self._key)
            getattr(store, "close", lambda: None)()

    def test_has_the_four_operations(self) -> None:
        """`keyturn.connect` rejects a store that lacks one of the four operations."""
        methods = ("read", "write", "delete", "lock")
        store = self._open()
        missing = [name for name in methods if not callable(getattr(store, name, None))]
        require(not missing, f"the store has no method {' and no '.join(missing)}")

    def test_returns_what_was_written(self) -> None:
        """keyturn ignores a changed entry: every process would request tokens of its own."""
        store, other = self._open(), self._open()
        for entry in _ENTRIES:
            store.write(self._key, entry, in_seconds(_LONG))
            for reader in (store, other):
                same = reader.read(self._key) == entry
                require(same, f"read does not return what write was given: {entry[:20]!r}")

    def test_opening_changes_nothing(self) -> None:
        """Each process that starts would take the tokens of all others away."""
        store = self._open()
        store.write(self._key, "entry", in_seconds(_LONG))
        for reader in (self._open(), store):
            require(reader.read(self._key) == "entry", "opening the store again loses an entry")

    def test_logs_no_entry(self) -> None:
        """Entries hold tokens in clear text: readers of the log would have them."""
        store, log = self._open(), Log()
        canary = f"entry-{secrets.token_hex(16)}"
        with log:
            store.write(self._key, canary, in_seconds(_LONG))
            store.read(self._key)
            with store.lock(self._key, _LONG):
                store.write(self._key, canary, in_seconds(_LONG))
            store.delete(self._key)
        shown = sorted({name for name, text in log.records if canary in text})
        require(not shown, f"an entry is shown in the log {' and in '.join(shown)}")

    def test_keys_are_distinct(self) -> None:
        """An entry under another key is ignored, and the key's own entry is lost."""
        store = self._open()
        start = f"rejected-{self._key}-".ljust(79, "0")
        keys = (f"{start}a", f"{start}b", start)
        for key in keys:
            store.write(key, key, in_seconds(_LONG))
        found = [store.read(key) for key in keys]
        for key in keys:
            store.delete(key)
        require(
            found == list(keys), "keys of 80 characters that differ in the last one are mixed up"
        )
        require(store.read(self._key) is None, "read returns an entry where none was written")

    def test_deletes(self) -> None:
        """A revoked token would come back, or the deletion of a missing entry would fail."""
        store, other = self._open(), self._open()
        store.write(self._key, "entry", in_seconds(_LONG))
        for each in (store, other):
            each.delete(self._key)
            require(other.read(self._key) is None, "read returns an entry after its deletion")

    def test_expires(self) -> None:
        """An expired entry would be returned, or kept for ever."""
        store = self._open()
        store.write(self._key, "entry", in_seconds(_LONG))
        store.write(self._key, "entry", in_seconds(-1))
        require(store.read(self._key) is None, "read returns an entry that was written expired")
        store.write(self._key, "entry", in_seconds(_SHORT))
        time.sleep(2 * _SHORT)
        require(store.read(self._key) is None, "read returns an expired entry")

    def test_lock_excludes(self) -> None:
        """Two holders of one lock make a token request each."""
        stores = [self._open(), self._open()]
        inside: list[int] = []
        seen: list[int] = []

        def work(store: TokenStore) -> None:
            for _ in range(5):
                with store.lock(self._key, _LONG):
                    inside.append(1)
                    seen.append(len(inside))
                    time.sleep(0.001)
                    inside.pop()

        threads = [threading.Thread(target=work, args=[store]) for store in stores * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        most = max(seen, default=0)
        require(
            seen == [1] * 20,
            f"of 20 requests for one lock, {len(seen)} got it, and up to {most} held it at once",
        )

    def test_lock_excludes_processes(self) -> None:
        """Each worker process would make a token request of its own."""
        if not self.shared:
            return
        store = self._open()
        store.write(self._key, "entry", in_seconds(_LONG))
        with self._child_with_lock(store, _LONG) as entry:
            held = entry is None or self._is_held(store)
        require(held, "two processes hold the same lock at once")

    def test_locks_of_other_keys_are_free(self) -> None:
        """Unrelated connections would wait for each other."""
        store = self._open()
        with store.lock(self._key, _LONG):
            held = self._is_held(store, f"rate-limit-{self._key}")
            store.write(self._key, "entry", in_seconds(_LONG))
            same = store.read(self._key) == "entry"
        require(not held, "the lock of one key is held with that of another")
        require(same, "an entry can't be used while the lock of its key is held")

    def test_waiting_for_a_lock_ends(self) -> None:
        """A waiter would wait for ever, or get an unexpected error."""
        store, other = self._open(), self._open()
        with store.lock(self._key, _LONG):
            for each in (store, other):
                require(self._is_held(each), "entering a lock that is held did not raise")
        require(not self._is_held(other), "a lock is still held after its block")

    def test_lock_is_freed_by_an_error(self) -> None:
        """A failed token request would block all others."""
        store = self._open()
        with contextlib.suppress(KeyError), store.lock(self._key, _LONG):
            raise KeyError
        require(not self._is_held(store), "a lock is still held after its block raised")

    def test_lock_of_a_hanging_holder_is_taken_over(self) -> None:
        """A hanging holder would block all others, or free another's lock when it resumes."""
        late, store, other = self._open(), self._open(), self._open()
        hanging = late.lock(self._key, _SHORT)
        hanging.__enter__()
        time.sleep(2 * _SHORT)
        if not self.takes_over:
            held = self._is_held(store)
            hanging.__exit__(None, None, None)
            require(held, "a lock was taken over from its holder: remove `takes_over = False`")
            return
        with taken(store.lock(self._key, _LONG), "hangs"):
            hanging.__exit__(None, None, None)
            require(self._is_held(other), "a holder whose lease had ended freed another's lock")

    def test_lock_of_a_killed_holder_is_taken_over(self) -> None:
        """A worker killed during a request would block all others."""
        store = self._open()
        store.write(self._key, "entry", in_seconds(_LONG))
        require(
            self._is_held_by_child_until_killed(store),
            "a forked process can't use the store that its parent opened",
        )
        with taken(store.lock(self._key, _LONG), "was killed"):
            same = store.read(self._key) == "entry"
        require(same, "a forked process changed what its parent reads")

    def _is_held_by_child_until_killed(self, store: TokenStore) -> bool:
        """Return whether a child process read the entry; it is killed while it holds the lock."""
        with self._child_with_lock(store, 4 * _SHORT) as entry:
            return entry in {None, "entry"}

    @contextlib.contextmanager
    def _child_with_lock(self, store: TokenStore, lease: float) -> Generator[str | None]:
        """Give what a child process reads that holds the lock; it is killed after the block.

        It is None where no child shares what its parent has opened.
        """
        if sys.platform == "win32":  # pragma: no cover - as said
            yield None
            return
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Applications fork with threads running, and a store must support it.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:  # pragma: no cover - it is killed
            try:
                with store.lock(self._key, lease):
                    os.write(writing, (store.read(self._key) or "").encode())
                    time.sleep(_LONG)
            finally:
                os._exit(1)
        os.close(writing)
        try:
            is_ready = select.select([reading], [], [], _LONG)[0]
            yield os.read(reading, 80).decode() if is_ready else ""
        finally:
            os.close(reading)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def _open(self) -> TokenStore:
        store = self.new_store()
        self._opened.append(store)
        return store

    def _is_held(self, store: TokenStore, key: str = "") -> bool:
        """Return whether a lock is held; a wait for it that never ends is a failure."""
        found: Future[bool] = Future()

        def enter() -> None:
            held = False
            try:
                with store.lock(key or self._key, _SHORT):
                    pass
            except TimeoutError:
                held = True
            except BaseException as error:  # noqa: BLE001 - raised in the test
                found.set_exception(error)
                return
            found.set_result(held)

        # A daemon: one that waits for ever must not keep the tests from ending.
        threading.Thread(target=enter, daemon=True).start()
        wait([found], self._patience)
        require(
            found.done(),
            f"waiting for a lock has not ended after {self._patience:g} s, though its lease is "
            f"{_SHORT:g} s",
        )
        return found.result()
