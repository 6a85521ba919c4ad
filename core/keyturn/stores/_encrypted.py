"""Encryption of the entries of any other store."""

import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Final, TypeAlias, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn import errors
from keyturn._common.base64url import base64url, from_base64url
from keyturn._secret import Secret
from keyturn.stores._base import SEALED, TokenStore, logger, refuse_pickling
from keyturn.stores._resilient import place

_Key: TypeAlias = Secret | str | bytes

_KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 12


class EncryptedStore:
    """A token store that encrypts entries before it passes them to another store.

    Entries are encrypted and authenticated with AES-256-GCM (NIST SP 800-38D) and a random nonce of
    96 bits, and bound to their key in the store. An entry that was changed, moved to another key,
    or not encrypted with one of the `keys` is a cache miss, and is logged as a warning.

    The other store still sees keys, expiry times and lengths. An older entry that is restored at
    its own key can't be distinguished from the current one. Exceptions of the other store are
    passed on.

    Args:
        store: The store of the encrypted entries.
        keys: The encryption key, or several keys during a rotation: the first encrypts, all
            decrypt. Each is URL-safe base64 of 32 bytes (RFC 4648 section 5), with or without
            padding, like the result of `generate_key`.

    Raises:
        keyturn.errors.ConfigurationError: A key is missing or invalid.

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
                hint="keyturn.stores.EncryptedStore.generate_key() returns a new key.",
            )
        self._store = store
        self.location = f"on {place(store)}"

    @staticmethod
    def generate_key() -> str:
        """Return a new random key: 43 characters, URL-safe base64 of 32 bytes."""
        return base64url(secrets.token_bytes(_KEY_SIZE))

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None if it does not exist or can't be decrypted."""
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
        # 2^32 random nonces are safe with one key (NIST SP 800-38D section 8.3): one write a second
        # for more than a century.
        nonce = secrets.token_bytes(_NONCE_SIZE)
        ciphertext = self._ciphers[0].encrypt(nonce, entry.encode(), f"{SEALED}{key}".encode())
        self._store.write(key, SEALED + base64url(nonce + ciphertext), expires_at)

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error if it does not exist."""
        self._store.delete(key)

    def lock(self, key: str, lease: float) -> AbstractContextManager[None]:
        """Hold the other store's lock of `key` for a `with` block.

        Args:
            key: The lock's key.
            lease: The maximum time in seconds to hold the lock, and to wait for it.

        Returns:
            The other store's context manager.
        """
        return self._store.lock(key, lease)

    __getstate__ = __reduce__ = __reduce_ex__ = refuse_pickling

    def _unsealed(self, key: str, sealed: str) -> str | None:
        content = _decoded(sealed.removeprefix(SEALED)) if sealed.startswith(SEALED) else b""
        nonce, ciphertext = content[:_NONCE_SIZE], content[_NONCE_SIZE:]
        for cipher in self._ciphers:
            # ValueError: the entry is shorter than a nonce.
            with suppress(InvalidTag, ValueError):
                return cipher.decrypt(nonce, ciphertext, f"{SEALED}{key}".encode()).decode()
        return None


def _ciphers(keys: _Key | Sequence[_Key]) -> list[AESGCM]:
    """Return the cipher of each key; an empty list if any key is invalid.

    This raises no error, because its frame contains the plain keys.
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


def _decoded(string: str) -> bytes:
    """Return the bytes that `base64url` converts to `string`; empty if it never does."""
    try:
        content = from_base64url(string)
    except ValueError:
        return b""
    # Python ignores other characters and surplus bits, so many strings decode to the same bytes.
    return content if base64url(content) == string else b""
