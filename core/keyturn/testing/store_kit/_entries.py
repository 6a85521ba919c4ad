"""The tests of a store's entries: they can be read until they expire or are deleted."""

from __future__ import annotations

import secrets
import time
import traceback
from typing import TYPE_CHECKING, Any

from keyturn.testing.store_kit._base import StoreTests, once
from keyturn.testing.store_kit._bounded import require
from keyturn.testing.store_kit._helpers import LONG, SHORT, Shown, attributes_with, in_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

_ENTRIES = (
    "",
    "entry",
    '{"quoted": "\\"\'`%s{}\\\\"}\r\n \t',
    "ключ 鍵 🗝 e\u0301",
    "007",
    "a\0b",
    "1e3",
    "null",
    " spaced ",
    '{"a":' * 500 + "[]" + "}" * 500,
    "x" * 150_000,
    "鍵" * 50_000,
)
# The part of a second in which a store that rounds keeps an entry for too long.
_HALF = 0.5


class EntryTests(StoreTests):
    """The tests of entries in one process."""

    @once
    def test_has_the_four_operations(self) -> None:
        """`keyturn.connect` rejects a store that lacks one of the four operations."""
        methods = ("read", "write", "delete", "lock")
        store = self._open().store
        missing = [name for name in methods if not callable(getattr(store, name, None))]
        require(not missing, "the store has no method {}", " and no ".join(missing))

    @once
    def test_returns_what_was_written(self) -> None:
        """keyturn ignores a changed entry: every process would request its own tokens."""
        store, other = self._open(), self._open()
        for entry in _ENTRIES:
            store.write(self._key, entry, in_seconds(LONG))
            for reader in (store, other):
                found = reader.read(self._key)
                message = "read does not return the written entry, but {!r:.40} for {!r:.40}"
                require(type(found) is str and found == entry, message, found, entry)

    @once
    def test_opening_and_closing_change_nothing(self) -> None:
        """Each process that starts or ends would remove the tokens of all others."""
        store = self._open()
        store.write(self._key, "entry", in_seconds(LONG))
        with store.lock(self._key, LONG):
            other = self._open()
            for reader in (other, store):
                require(
                    reader.read(self._key) == "entry",
                    "opening the store again loses an entry: create only what is missing",
                )
            require(self._is_held(other), "opening the store again frees a lock that is held")
            if other.store is not store.store:
                other.close()
                require(self._is_held(store), "closing a store frees a lock that another holds")
        require(store.read(self._key) == "entry", "closing a store loses the entries of others")
        if self.shared:
            store.close()
            message = "closing the last store loses its entries: leave them for other processes"
            require(self._open().read(self._key) == "entry", message)

    @once
    def test_keys_are_distinct(self) -> None:
        """An entry under another key is ignored, and the key's own entry is lost."""
        store = self._open()
        long, digits = f"rejected-{self._key}-".ljust(79, "0"), str(secrets.randbelow(10**12))
        keys = [f"{long}a", f"{long}b", long, f"0{digits}", digits, f"{digits}e2", f"{digits}00"]
        keys += [f"a-{self._key}", f"a--{self._key}", f"a{self._key}", f"a-{self._key}-"]
        keys += [self._key[:8], f"{self._key[:8]}-1", f"x{long}", f"y{long}"]
        for key in keys:
            store.write(key, key, in_seconds(LONG))
        mixed = [key for key in keys if store.read(key) != key]
        for number, key in enumerate(keys, 1):
            store.delete(key)
            if not mixed:
                lost = [each for each in keys[number:] if store.read(each) != each]
                require(not lost, "deleting the entry of one key deletes that of another")
        message = (
            "keys are mixed up, such as {!r}: keep keys as strings of 80 characters, unchanged"
        )
        require(not mixed, message, *mixed[:1])
        found = store.read(self._key)
        require(found is None, "read returns {!r:.40} where no entry was written", found)

    @once
    def test_deletes(self) -> None:
        """A revoked token would come back, or the deletion of a missing entry would fail."""
        store, other = self._open(), self._open()
        store.write(self._key, "entry", in_seconds(LONG))
        other.read(self._key)
        for each in (store, other):
            each.delete(self._key)
            gone = store.read(self._key) is None and other.read(self._key) is None
            require(gone, "read returns an entry after its deletion")

    @once
    def test_expires(self) -> None:
        """An expired entry would be returned, or a valid one lost."""
        store, other = self._open(), self._open()
        for expires_at in (float("inf"), in_seconds(400 * 86_400), in_seconds(LONG)):
            store.write(self._key, "entry", expires_at)
            message = "an entry that expires at {} epoch seconds is lost"
            require(other.read(self._key) == "entry", message, expires_at)
        store.write(self._key, "entry", in_seconds(-1))
        require(
            store.read(self._key) is None,
            "read returns an entry that was written expired: such an entry replaces the old one",
        )
        begun = time.time() % 1  # a store of whole seconds passes by chance at other times
        time.sleep(0 if _HALF < begun < 1 - 4 * SHORT else (_HALF - begun) % 1)
        store.write(self._key, "entry", in_seconds(SHORT))
        other.read(self._key)
        time.sleep(2 * SHORT)
        expired = [each.read(self._key) for each in (store, other, self._open())] == [None] * 3
        message = "read returns an entry {:g} s after it expired: keep fractions of seconds"
        require(expired, message, SHORT)
        store.write(self._key, "entry", in_seconds(SHORT))
        store.write(self._key, "entry", in_seconds(LONG))
        time.sleep(2 * SHORT)
        message = "an entry that replaces another has the expiry of the old one"
        require(other.read(self._key) == "entry", message)

    @once
    def test_shows_no_entry(self) -> None:
        """Entries hold tokens in clear text: readers of logs and errors would have them."""
        store, other, shown = self._open(), self._open(), Shown()
        entry = secrets.token_hex(20)
        wrong: Any = "soon"
        with shown.gathered():
            store.write(self._key, entry, in_seconds(LONG))
            store.read(self._key)
            with store.lock(self._key, LONG):
                store.write(self._key, entry, in_seconds(LONG))
                self._show_error(shown, lambda: store.store.lock(self._key, SHORT).__enter__())
            shown.add("repr(store)", f"{store.store!r} {store.store}")
            shown.add("the store's location", getattr(store.store, "location", ""))
            write = store.store.write
            self._show_error(shown, lambda: write(self._key, entry * 30_000, in_seconds(LONG)))
            self._show_error(shown, lambda: write(f"{self._key}-wrong", entry, wrong))
            self._show_error(shown, lambda: store.store.delete(f"{self._key}-wrong"))
            if other.store is not store.store:
                other.close()
            store.write(self._key, entry, in_seconds(-1))
            store.read(self._key)
            store.delete(self._key)
        message = "an entry is shown in {}: show its key, which is not secret"
        require(not shown.places(entry), message, " and ".join(shown.places(entry)))
        message = "a password is shown in {}: leave it out"
        require(not shown.passwords(), message, " and ".join(shown.passwords()))
        message = "the attribute {} still has an entry after its deletion: remove it there, too"
        kept = attributes_with(store.store, entry)
        require(not kept, message, *kept)

    @staticmethod
    def _show_error(shown: Shown, work: Callable[[], object]) -> None:
        """Collect the error that a function raises, if it does."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - of any kind
            shown.add("an error", f"{error!r} {''.join(traceback.format_exception(error))}")
