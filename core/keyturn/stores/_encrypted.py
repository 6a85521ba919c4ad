"""Entries that can't be read or changed without the key, in any other store."""

import base64
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Final, TypeAlias, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn import errors
from keyturn._secret import Secret
from keyturn.stores._base import SEALED, TokenStore, logger, refuse_pickling
from keyturn.stores._resilient import place

_Key: TypeAlias = Secret | str | bytes

_KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 12


class EncryptedStore:
    """A token store whose entries are encrypted before another store gets them.

    An entry is encrypted and authenticated with AES-256-GCM (NIST SP 800-38D) and a random nonce
    of 96 bits, and bound to its key in the store. One that was changed, moved to another key in
    the store, or not encrypted with any of the `keys`, is a miss, with a warning in the log.
    The other store still sees keys, times of expiry and lengths; and an older entry that is put
    back in its own place can't be distinguished from the present one.

    Whatever the other store raises comes through.

    Args:
        store: Where the encrypted entries live.
        keys: The encryption key, or several while one replaces another: the first encrypts, all
            decrypt. Each is URL-safe base64 of 32 bytes (RFC 4648 section 5), with or without the
            padding, as `generate_key` makes it.

    Raises:
        keyturn.errors.ConfigurationError: There is no key, or one is of another form.

    Example:
        >>> import keyturn
        >>> memory = keyturn.stores.from_url("memory://")
        >>> store = EncryptedStore(memory, EncryptedStore.generate_key())
        >>> store.write("a", "made-up", expires_at=float("inf"))
        >>> store.read("a")
        'made-up'
        >>> "made-up" in memory.read("a")
        False
    """

    def __init__(self, store: TokenStore, keys: _Key | Sequence[_Key]) -> None:
        self._ciphers = _ciphers(keys)
        del keys  # a traceback with locals must not show them
        if not self._ciphers:
            raise errors.ConfigurationError(
                "an encrypted store needs at least one key, and each must be 32 bytes in URL-safe "
                "base64.",
                hint="keyturn.stores.EncryptedStore.generate_key() makes one.",
            )
        self._store = store
        self.location = f"on {place(store)}"

    @staticmethod
    def generate_key() -> str:
        """Return a new random key: 43 characters, URL-safe base64 of 32 bytes."""
        return _encoded(secrets.token_bytes(_KEY_SIZE))

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None when there is none that can be decrypted."""
        sealed = self._store.read(key)
        entry = None if sealed is None else self._unsealed(key, sealed)
        if entry is None is not sealed:
            logger.warning(
                "the stored entry %s was changed, or encrypted with another key; ignoring it", key
            )
        return entry

    def is_unreadable(self, key: str) -> bool:
        """Return whether the entry at `key` is encrypted, and none of the keys decrypts it."""
        sealed = self._store.read(key) or ""
        return sealed.startswith(SEALED) and self._unsealed(key, sealed) is None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Encrypt `entry` with the first key, and keep it until `expires_at` (epoch seconds)."""
        # 2^32 random nonces are safe under one key (NIST SP 800-38D section 8.3), which is more
        # than a century of one write a second.
        nonce = secrets.token_bytes(_NONCE_SIZE)
        ciphertext = self._ciphers[0].encrypt(nonce, entry.encode(), f"{SEALED}{key}".encode())
        self._store.write(key, SEALED + _encoded(nonce + ciphertext), expires_at)

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error when there is none."""
        self._store.delete(key)

    def lock(self, key: str, lease: float) -> AbstractContextManager[None]:
        """Hold the other store's lock of `key` for the length of a `with` block.

        Args:
            key: The lock's key.
            lease: How long the lock may be held, and the longest wait for it, in seconds.

        Returns:
            The other store's context manager.
        """
        return self._store.lock(key, lease)

    __getstate__ = __reduce__ = __reduce_ex__ = refuse_pickling

    def _unsealed(self, key: str, sealed: str) -> str | None:
        content = _decoded(sealed.removeprefix(SEALED)) if sealed.startswith(SEALED) else b""
        nonce, ciphertext = content[:_NONCE_SIZE], content[_NONCE_SIZE:]
        for cipher in self._ciphers:
            # ValueError: there isn't even a nonce.
            with suppress(InvalidTag, ValueError):
                return cipher.decrypt(nonce, ciphertext, f"{SEALED}{key}".encode()).decode()
        return None


def _ciphers(keys: _Key | Sequence[_Key]) -> list[AESGCM]:
    """Return what each key encrypts with; nothing if any of them is wrong.

    No error is raised from here, where the keys are bare.
    """
    several = isinstance(keys, Sequence) and not isinstance(keys, (str, bytes))
    given = cast("Sequence[_Key]", keys if several else [keys])
    decoded = [_decoded(_bare(key).rstrip("=")) for key in given]
    are_valid = all(len(each) == _KEY_SIZE for each in decoded)
    return [AESGCM(each) for each in decoded if are_valid]


def _bare(key: _Key) -> str:
    if isinstance(key, Secret):
        return key.reveal()
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(string: str) -> bytes:
    """Return what `_encoded` made into `string`; nothing if it never returns that string."""
    try:
        content = base64.urlsafe_b64decode(string + "=" * (-len(string) % 4))
    except ValueError:
        return b""
    # Python ignores other characters and spare bits, so that many strings decode to one content.
    return content if _encoded(content) == string else b""
