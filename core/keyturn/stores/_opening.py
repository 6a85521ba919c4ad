"""Which token store a connection uses: its own, the environment's, or this process's memory."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from keyturn import errors, stores
from keyturn._once import PerProcess, cached_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn._secret import Secret
    from keyturn.stores._base import TokenStore

# The environment variable that names the token store's URL when none is given.
STORE_VARIABLE = "KEYTURN_STORE"


def open_store(store: str | TokenStore | None) -> TokenStore:
    """Return the token store of `connect`'s argument of that name."""
    if store is None:
        store = os.environ.get(STORE_VARIABLE) or None
    if store is None:
        return shared_store("memory://")
    if isinstance(store, str):
        return stores.from_url(store) if store == "memory://" else shared_store(store)
    if isinstance(store, stores.TokenStore):
        return store
    raise errors.ConfigurationError(
        f"a {type(store).__name__} is not a token store.",
        hint="Give a URL such as disk:///var/cache/x, or an object with a store's four methods.",
    )


@cached_once
def shared_store(url: str) -> TokenStore:
    """Return the token store at a URL, one for all connections of this process that name it."""
    return stores.from_url(url)


def shared_encrypted_store(store: TokenStore, keys: Sequence[Secret]) -> TokenStore:
    """Return `store` with its entries encrypted, one for all connections of this process.

    What callers share (a request in progress, what is kept in memory while the store fails)
    belongs to one store object.

    Raises:
        keyturn.errors.ConfigurationError: There is no key, or one is of another form.
    """
    with _encrypting.get():
        for inner, used, encrypted in _encrypted_stores:
            if inner is store and used == keys:
                return encrypted
        new = stores.EncryptedStore(store, keys)
        _encrypted_stores.append((store, keys, new))
        return new


_encrypting = PerProcess(threading.Lock)
_encrypted_stores: list[tuple[TokenStore, Sequence[Secret], TokenStore]] = []
