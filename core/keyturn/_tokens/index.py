"""The index of the tokens of each id in a store, so that they can be removed by the id alone.

One entry for each id lists the fingerprints of its tokens. One entry for each fingerprint lists the
ids that share its token. keyturn writes both before the token, under the fingerprint's lock.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn._clock import is_time
from keyturn.stores._resilient import FAILED, ResilientStore, place

if TYPE_CHECKING:
    from keyturn._clock import Clock

# The format of the entries; an entry of another format is a cache miss.
_VERSION = 1
_MAX_TOKENS = 64
_MAX_SHARERS = 256
_DIGEST_REGEX = re.compile(r"[0-9a-f]{64}")
_LEASE = 5.0
# A token request in another process holds the fingerprint's lock.
_REMOVAL_LEASE = 45.0
# The prefixes of a fingerprint in the keys of a store's entries about it.
_PREFIXES = ("", "refused-", "forced-", "sharers-")

_logger = logging.getLogger("keyturn")


@attrs.define(eq=False, repr=False)
class TokenIndex:
    """The part of a store's index that belongs to one id.

    Args:
        store: The store.
        clock: The clocks.
        id: The id. It is hashed, so that an id can't produce another id's key.
        is_removed: Whether the id's tokens were removed; no token is stored then.
    """

    store: ResilientStore
    clock: Clock
    id: str
    is_removed: bool = attrs.field(default=False, init=False)

    def lists(self, fingerprint: str, until: float) -> bool:
        """Return whether the index lists a token until a time (epoch seconds)."""
        in_both = ((self._key, fingerprint), (f"sharers-{fingerprint}", self._digest))
        return all(self._read(key).get(member, 0.0) >= until for key, member in in_both)

    def add(self, fingerprint: str, until: float) -> None:
        """List a token before it is stored; the caller holds the lock of its fingerprint.

        Args:
            fingerprint: The key of its token request.
            until: Its expiry, in epoch seconds.

        Raises:
            keyturn.errors.ConfigurationError: The id's tokens were removed in the meantime.
        """
        with self.store.lock(self._key, _LEASE):
            dropped = self._include(self._key, fingerprint, until, _MAX_TOKENS)
        for each in dropped:  # every token in the store must be listed
            self._delete(each)
        # Checked after the write: a removal either finds the new entry, or is detected here.
        if self.is_removed:
            self._unlist(fingerprint)
            raise errors.ConfigurationError("the connection was removed in the meantime.")
        self._include(f"sharers-{fingerprint}", self._digest, until, _MAX_SHARERS)

    def is_shared(self, fingerprint: str) -> bool:
        """Return whether another id shares a token."""
        return bool(self._sharers(fingerprint))

    def remove(self) -> None:
        """Remove the id's tokens and error responses from the store, except shared ones.

        Raises:
            keyturn.errors.KeyturnError: The store failed, or can't read the entry; try again then.
        """
        self.is_removed = True
        is_unreadable = getattr(self.store.store, "is_unreadable", None)
        try:
            failed = self.store.stored(self._key) is FAILED
            failed = failed or bool(is_unreadable and is_unreadable(self._key))
            for fingerprint in {} if failed else self._checked(self._key):
                with self.store.lock(fingerprint, _REMOVAL_LEASE):
                    failed = failed or not self._withdraw(fingerprint)
        except Exception:  # noqa: BLE001 - a damaged entry; a third-party store may raise anything
            failed = True
        if failed:
            raise errors.KeyturnError(
                f"the token store {place(self.store.store)} failed, so tokens may remain in it "
                "until they expire.",
                hint="Remove the connection again when the store works.",
            )

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.id.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def _key(self) -> str:
        return f"connection-{self._digest}"

    def _withdraw(self, fingerprint: str) -> bool:
        """Remove a token, or this id from the ids that share it; return whether this succeeded."""
        others = self._sharers(fingerprint)
        if others:
            self._write(f"sharers-{fingerprint}", others)
        elif not self._delete(fingerprint):
            return False
        self._unlist(fingerprint)
        return True

    def _delete(self, fingerprint: str) -> bool:
        """Remove all entries about a token; return whether this succeeded."""
        failed = [each for each in _PREFIXES if not self.store.delete(f"{each}{fingerprint}")]
        return not failed

    def _unlist(self, fingerprint: str) -> None:
        with self.store.lock(self._key, _LEASE):
            listed = self._read(self._key)
            listed.pop(fingerprint, None)
            self._write(self._key, listed)

    def _sharers(self, fingerprint: str) -> dict[str, float]:
        """Return the other ids that share a token, with their expiry."""
        now, own = self.clock.time(), self._digest
        listed = self._read(f"sharers-{fingerprint}")
        return {each: until for each, until in listed.items() if until > now and each != own}

    def _include(self, key: str, member: str, until: float, most: int) -> set[str]:
        """Add a member to an entry; return the surplus members that this removes."""
        now, listed = self.clock.time(), self._read(key)
        if listed.get(member, 0.0) >= until:
            return set()
        listed = {each: end for each, end in listed.items() if end > now} | {member: until}
        latest = sorted(listed, key=lambda each: (each == member, listed[each]))[-most:]
        self._write(key, {each: listed[each] for each in latest})
        return listed.keys() - latest

    def _write(self, key: str, listed: dict[str, float]) -> None:
        if listed:
            entry = json.dumps({"v": _VERSION, "until": listed})
            self.store.write(key, entry, max(listed.values()))
        else:
            self.store.delete(key)

    def _read(self, key: str) -> dict[str, float]:
        try:
            return self._checked(key)
        except ValueError:
            _logger.warning(
                "the store's entry at %s is not a valid index of tokens; ignoring it", key
            )
            return {}

    def _checked(self, key: str) -> dict[str, float]:
        """Return the members of an entry, with their expiry.

        Raises:
            ValueError: The entry is invalid, or a value in it is out of range.
        """
        found: dict[str, float] = {}
        for entry in self.store.entries(key):
            try:
                fields = json.loads(entry)
                listed: dict[str, float] = dict(fields["until"]) if fields["v"] == _VERSION else {}
                if all(_is_sane(*item) for item in listed.items()):
                    found |= listed
                    continue
            except (TypeError, LookupError, RecursionError):
                pass
            raise ValueError("The entry is not an index of tokens.")
        return found


def _is_sane(member: str, until: object) -> bool:
    return is_time(until) and _DIGEST_REGEX.fullmatch(member) is not None
