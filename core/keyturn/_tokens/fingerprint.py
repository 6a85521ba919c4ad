"""The key of the fingerprints, which all processes that share a store have without configuration.

A fingerprint covers the client's secret and appears in store keys, file names and transcripts. It
is keyed with random bytes, so that a reader can't test a guessed secret against it. The key is an
entry of the store itself. SECURITY.md describes what a reader of an unencrypted store can do.
"""

import hashlib
import json
import logging
import os
import re

from keyturn import errors
from keyturn._clock import Clock
from keyturn._common.base64url import base64url, from_base64url
from keyturn.stores._base import SEALED
from keyturn.stores._resilient import FAILED, ResilientStore, place

# The environment variable that replaces the store's entry.
VARIABLE = "KEYTURN_FINGERPRINT_KEY"
# The store's key of the entry.
ENTRY = "fingerprint-key"
# The format of the entry; an entry of another format is not changed.
VERSION = 1
_SIZE = 32
_SHORTEST = 16
_LEASE = 5.0
_KEPT_SECONDS = 366 * 86_400.0
_ENTRY_REGEX = re.compile(r"[A-Za-z0-9_-]{43}")
# A random key of this process, for fingerprints that never leave it.
LOCAL_KEY = os.urandom(_SIZE)

_logger = logging.getLogger("keyturn")


def fingerprint_key(store: ResilientStore, clock: Clock, *, again: bool = False) -> bytes:
    """Return the key of the fingerprints of a store's entries, and create it if it is missing.

    While the store fails, or if its entry can't be read, this is a random key of this process.

    Args:
        store: The store.
        clock: The clocks.
        again: Whether to read the entry again, even if this process knows it.

    Raises:
        keyturn.errors.ConfigurationError: `KEYTURN_FINGERPRINT_KEY` is too short.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return _given_key(given)
    state = store.state
    if state.fingerprint_key is None or again:
        entry = store.stored(ENTRY)
        if state.fingerprint_key is None or entry != state.fingerprint_entry:
            key = _key_in(store, entry) or _created(store, clock)
            if key is LOCAL_KEY:
                return key
            state.fingerprint_key, state.fingerprint_entry = key, entry
    return state.fingerprint_key


def _given_key(given: str) -> bytes:
    if len(given) < _SHORTEST:
        raise errors.ConfigurationError(
            f"the environment variable {VARIABLE} has fewer than {_SHORTEST} characters, so the "
            "key and the secrets could be guessed.",
            hint="Set it to the output of: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    return hashlib.sha256(given.encode()).digest()


def _created(store: ResilientStore, clock: Clock) -> bytes:
    """Return a new key, or the key that another process created in the meantime."""
    with store.lock(ENTRY, _LEASE):
        found = _key_in(store, store.stored(ENTRY))
        if found is not None:
            return found
        key = os.urandom(_SIZE)
        encoded = base64url(key)
        entry = json.dumps({"v": VERSION, "key": encoded})
        if store.write(ENTRY, entry, clock.time() + _KEPT_SECONDS):
            return key
    return LOCAL_KEY


def _key_in(store: ResilientStore, entry: object) -> bytes | None:
    """Return the key in an entry; None if a new one may replace it."""
    if entry is FAILED:
        return LOCAL_KEY
    if not isinstance(entry, str):
        is_unreadable = getattr(store.store, "is_unreadable", None)
        return _unreadable(store) if is_unreadable and is_unreadable(ENTRY) else None
    if entry.startswith(SEALED):
        return _unreadable(store)
    try:
        fields = json.loads(entry)
        version, encoded = fields["v"], fields.get("key")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        version = encoded = None
    if version == VERSION and isinstance(encoded, str) and _ENTRY_REGEX.fullmatch(encoded):
        return from_base64url(encoded)
    if isinstance(version, int) and version != VERSION:
        return LOCAL_KEY  # another version of keyturn uses it
    message = "the entry %s of the token store %s is damaged; writing a new one"
    _logger.warning(message, ENTRY, place(store.store))
    return None


def _unreadable(store: ResilientStore) -> bytes:
    """Return this process's key instead of one that it can't decrypt.

    It is not overwritten, because other hosts with the right store key use it.
    """
    _logger.warning(
        "the entry %s of the token store %s can't be decrypted, so this process shares no tokens. "
        "Add the store_key of the other hosts, or delete that entry if its key is lost",
        ENTRY,
        place(store.store),
    )
    return LOCAL_KEY
