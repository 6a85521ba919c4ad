"""The token store at a URL, and the default store of a connection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import unquote

from keyturn import errors, stores
from keyturn._common.once import cached_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn._secret import Secret
    from keyturn.stores import TokenStore

# The environment variable with the URL of the default token store.
STORE_VARIABLE = "KEYTURN_STORE"
_NEEDED = {
    "sqlite3": "Python's module sqlite3; use memory:// or redis://.",
    "_sqlite3": "Python's module sqlite3; use memory:// or redis://.",
    "redis": "the package redis: pip install keyturn[redis]",
}


def from_url(url: str) -> TokenStore:
    """Return the token store at a URL.

    Args:
        url: `memory://` for a new store in this process; `disk:///var/cache/x` for a directory;
            `redis://host:6379/0`, `rediss://…` (TLS) or `unix:///path/to/socket` for a Redis or
            Valkey server; any other scheme is passed to the plugins of the group `keyturn.plugins`.

    Raises:
        keyturn.errors.ConfigurationError: No installed store supports the URL.

    Example:
        >>> store = from_url("memory://")
        >>> store.read("a") is None
        True
    """
    if not isinstance(url, str):
        raise errors.ConfigurationError("a token store's URL must be a string.")
    if url == "memory://":
        return stores.MemoryStore()
    if url.startswith("disk:///") and "\0" not in unquote(url):
        return _store("DiskStore", unquote(url.removeprefix("disk://")))
    if url.startswith(("redis://", "rediss://", "unix://")):
        return _store("RedisStore", url)
    from keyturn._plugins.loading import call_plugins

    scheme, separator, _ = url.partition("://")
    found: list[TokenStore] = (
        call_plugins("keyturn_store", stores.TokenStore, url=url) if separator else []
    )
    if found:
        return found[0]
    # Without "://", it may be any part of the URL, including its password.
    shown = f"with the scheme {scheme[:20]!r}" if separator else "without ://"
    raise errors.ConfigurationError(
        f"no token store is known for a URL {shown}.",
        hint="Use memory://, disk:///absolute/path, redis://host:6379/0, or install a plugin "
        "for the scheme.",
    )


def _store(name: str, argument: str) -> TokenStore:
    try:
        store: TokenStore = stores.__getattr__(name)(argument)
    except ImportError as error:
        is_missing = isinstance(error, ModuleNotFoundError)
        problem = f"the module {error.name} is missing" if is_missing else str(error)
        raise errors.ConfigurationError(
            f"the token store {name} can't be used: {problem}.",
            hint=f"It needs {_NEEDED.get(error.name or '', f'the module {error.name}.')}",
        ) from None
    return store


def open_store(store: str | TokenStore | None) -> TokenStore:
    """Return the token store for `connect`'s argument `store`."""
    if store is None:
        store = os.environ.get(STORE_VARIABLE) or None
    if store is None:
        return shared_store("memory://")
    if isinstance(store, str):
        return from_url(store) if store == "memory://" else shared_store(store)
    if isinstance(store, stores.TokenStore):
        return store
    raise errors.ConfigurationError(
        f"a {type(store).__name__} is not a token store.",
        hint="Give a URL such as disk:///var/cache/x, or an object with a store's four methods.",
    )


# One store for all connections of this process with the same URL.
shared_store = cached_once(from_url)


def shared_encrypted_store(store: TokenStore, keys: Sequence[Secret]) -> TokenStore:
    """Return an encrypted store, one for all connections of this process.

    Callers share requests in progress, and entries in memory while the store fails, only if they
    have the same store object.

    Raises:
        keyturn.errors.ConfigurationError: A key is missing or invalid.
    """
    for inner, used, encrypted in _encrypted_stores:
        if inner is store and used == keys:
            return encrypted
    _encrypted_stores.append((store, keys, stores.EncryptedStore(store, keys)))
    return shared_encrypted_store(store, keys)  # the first one, if two threads made one each


_encrypted_stores: list[tuple[TokenStore, Sequence[Secret], TokenStore]] = []
