"""What every token store must do, as a base class of tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import threading
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

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

    Derive a class whose name begins with `Test`, and let pytest find it. The tests use keys of
    their own, leave nothing behind but what has expired, and take about a second.

    Attributes:
        takes_over: Whether the store's locks are taken from a holder that hangs. One that leaves
            them to the operating system may say no: its waiters then get a `TimeoutError`.

    Example:
        >>> import keyturn
        >>> class TestAcmeStore(StoreConformance):
        ...     def new_store(self):
        ...         return keyturn.stores.from_url("acme://localhost")
    """

    takes_over = True

    def new_store(self) -> TokenStore:
        """Return the store; override it.

        A test calls it several times, as several processes would: all that it returns must be at
        the same place. Those that have a method `close` are closed after the test.
        """
        raise NotImplementedError

    def setup_method(self) -> None:
        """Prepare a test, as pytest asks."""
        self._opened: list[TokenStore] = []
        self._key = secrets.token_hex(16)

    def teardown_method(self) -> None:
        """Close what the test opened, as pytest asks."""
        for store in self._opened:
            with contextlib.suppress(Exception):
                store.delete(self._key)
            getattr(store, "close", lambda: None)()

    def test_has_the_four_operations(self) -> None:
        """A store that lacks one of the four operations is refused by `keyturn.connect`."""
        methods = ("read", "write", "delete", "lock")
        store = self._open()
        missing = [name for name in methods if not callable(getattr(store, name, None))]
        _require(not missing, f"the store has no method {' and no '.join(missing)}")

    def test_gives_back_what_was_written(self) -> None:
        """A changed entry is ignored: every process would request tokens of its own."""
        store, other = self._open(), self._open()
        for entry in _ENTRIES:
            store.write(self._key, entry, _in(_LONG))
            for reader in (store, other):
                same = reader.read(self._key) == entry
                _require(same, f"read does not return what write was given: {entry[:20]!r}")

    def test_keys_are_told_apart(self) -> None:
        """An entry at another's key is ignored, and its own is lost."""
        store = self._open()
        start = f"refused-{self._key}-".ljust(79, "0")
        keys = (f"{start}a", f"{start}b", start)
        for key in keys:
            store.write(key, key, _in(_LONG))
        found = [store.read(key) for key in keys]
        for key in keys:
            store.delete(key)
        _require(found == list(keys), "keys of 80 characters that differ in their last are mixed")
        _require(store.read(self._key) is None, "read returns an entry where none was written")

    def test_deletes(self) -> None:
        """A token that was revoked would come back; a deletion of nothing would be a failure."""
        store, other = self._open(), self._open()
        store.write(self._key, "entry", _in(_LONG))
        for each in (store, other):
            each.delete(self._key)
            _require(other.read(self._key) is None, "read returns an entry after its deletion")

    def test_expires(self) -> None:
        """What is over would be handed out, or kept for ever."""
        store = self._open()
        store.write(self._key, "entry", _in(_LONG))
        store.write(self._key, "entry", _in(-1))
        _require(store.read(self._key) is None, "read returns an entry that was written expired")
        store.write(self._key, "entry", _in(_SHORT))
        time.sleep(2 * _SHORT)
        _require(store.read(self._key) is None, "read returns an entry that has expired since")

    def test_lock_excludes(self) -> None:
        """Those who hold one lock at once make a token request each."""
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
        _require(
            seen == [1] * 20,
            f"of 20 who asked for one lock, {len(seen)} got it, and up to {most} held it at once",
        )

    def test_locks_of_other_keys_are_free(self) -> None:
        """Connections that have nothing to do with each other would wait for each other."""
        store = self._open()
        with store.lock(self._key, _LONG):
            held = self._is_held(store, f"rate-limit-{self._key}")
            store.write(self._key, "entry", _in(_LONG))
            same = store.read(self._key) == "entry"
        _require(not held, "the lock of one key is held with that of another")
        _require(same, "an entry can't be used while the lock of its key is held")

    def test_waiting_for_a_lock_ends(self) -> None:
        """A waiter would wait for ever, or get an error that nobody expects."""
        store, other = self._open(), self._open()
        with store.lock(self._key, _LONG):
            for each in (store, other):
                _require(self._is_held(each), "entering a lock that is held did not raise")
        _require(not self._is_held(other), "a lock is still held after its block")

    def test_lock_is_freed_by_an_error(self) -> None:
        """A token request that failed would lock everybody out."""
        store = self._open()
        with contextlib.suppress(KeyError), store.lock(self._key, _LONG):
            raise KeyError
        _require(not self._is_held(store), "a lock is still held after its block raised")

    def test_lock_is_taken_from_one_who_hangs(self) -> None:
        """A holder that hangs would block all others; one that wakes up would let others in."""
        late, store, other = self._open(), self._open(), self._open()
        hanging = late.lock(self._key, _SHORT)
        hanging.__enter__()
        time.sleep(2 * _SHORT)
        if not self.takes_over:
            held = self._is_held(store)
            hanging.__exit__(None, None, None)
            _require(held, "a lock was taken from its holder: leave out `takes_over = False`")
            return
        with _taken(store.lock(self._key, _LONG), "hangs"):
            hanging.__exit__(None, None, None)
            _require(self._is_held(other), "a holder that came too late freed another's lock")

    def test_killed_holder_is_overcome(self) -> None:
        """A worker killed in mid-request would block all others, or a forked one break them."""
        store = self._open()
        store.write(self._key, "entry", _in(_LONG))
        _require(
            self._is_held_by_child_until_killed(store),
            "a forked process can't use the store that its parent opened",
        )
        with _taken(store.lock(self._key, _LONG), "was killed"):
            same = store.read(self._key) == "entry"
        _require(same, "a forked process changed what its parent reads")

    def _is_held_by_child_until_killed(self, store: TokenStore) -> bool:
        """Tell whether a child process could read the entry, and was killed holding the lock."""
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Applications fork with threads too, and a store has to bear it.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:  # pragma: no cover - it is killed
            try:
                with store.lock(self._key, 4 * _SHORT):
                    os.write(writing, (store.read(self._key) or "").encode())
                    time.sleep(_LONG)
            finally:
                os._exit(1)
        os.close(writing)
        told = select.select([reading], [], [], _LONG)[0] and os.read(reading, 80)
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return told == b"entry"

    def _open(self) -> TokenStore:
        store = self.new_store()
        self._opened.append(store)
        return store

    def _is_held(self, store: TokenStore, key: str = "") -> bool:
        try:
            with store.lock(key or self._key, _SHORT):
                return False
        except TimeoutError:
            return True


@contextlib.contextmanager
def _taken(lock: AbstractContextManager[None], holder: str) -> Generator[None]:
    try:
        lock.__enter__()
    except TimeoutError:
        raise AssertionError(
            f"a lock does not come after its lease when its holder {holder}."
        ) from None
    with contextlib.ExitStack() as stack:
        stack.push(lock)
        yield


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - as in `assert`
    if not condition:
        raise AssertionError(f"{message}.")


def _in(seconds: float) -> float:
    return time.time() + seconds
