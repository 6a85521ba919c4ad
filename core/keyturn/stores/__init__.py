"""Token stores: where tokens live between calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from keyturn import errors
from keyturn._lazy import lazy_names
from keyturn._once import importing
from keyturn.stores._base import TokenStore
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from keyturn.stores._disk import DiskStore
    from keyturn.stores._encrypted import EncryptedStore
    from keyturn.stores._redis import RedisStore

__all__ = ["DiskStore", "EncryptedStore", "MemoryStore", "RedisStore", "TokenStore", "from_url"]

_find, __dir__ = lazy_names(
    __name__,
    {
        "DiskStore": "keyturn.stores._disk",
        "EncryptedStore": "keyturn.stores._encrypted",
        "RedisStore": "keyturn.stores._redis",
    },
)
_NEEDED = {
    "fcntl": "an operating system with flock(2); use memory:// or redis://.",
    "sqlite3": "Python's module sqlite3; use memory:// or redis://.",
    "_sqlite3": "Python's module sqlite3; use memory:// or redis://.",
    "redis": "the package redis: pip install keyturn[redis]",
}

# As users import them.
MemoryStore.__module__ = TokenStore.__module__ = __name__


def __getattr__(name: str) -> Any:
    # sqlite3, cryptography and redis are imported when they are needed.
    with importing:
        found = _find(name)
    found.__module__ = __name__
    return found


def from_url(url: str) -> TokenStore:
    """Return the token store at a URL.

    Args:
        url: `memory://` for a new store in this process; `disk:///var/cache/x` for a directory;
            `redis://host:6379/0`, `rediss://…` (TLS) or `unix:///path/to/socket` for a Redis or
            Valkey server; anything else is offered to the plugins of the group `keyturn.plugins`.

    Raises:
        keyturn.errors.ConfigurationError: It is no URL that an installed store understands.

    Example:
        >>> store = from_url("memory://")
        >>> store.read("a") is None
        True
    """
    if not isinstance(url, str):
        raise errors.ConfigurationError("a token store's URL must be a string.")
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "memory" and not rest:
        return MemoryStore()
    if separator and scheme == "disk" and rest.startswith("/"):
        return _store("DiskStore", unquote(rest))
    if separator and scheme in ("redis", "rediss", "unix"):
        return _store("RedisStore", url)
    from keyturn._plugins.loading import call_plugins

    found: list[TokenStore] = (
        call_plugins("keyturn_store", TokenStore, url=url) if separator else []
    )
    if found:
        return found[0]
    raise errors.ConfigurationError(
        f"no token store is known for a URL of the scheme {scheme[:20]!r}.",
        hint="Use memory://, disk:///absolute/path, redis://host:6379/0, or install a plugin "
        "for the scheme.",
    )


def _store(name: str, argument: str) -> TokenStore:
    try:
        store: TokenStore = __getattr__(name)(argument)
    except ModuleNotFoundError as error:
        raise errors.ConfigurationError(
            f"the token store {name} can't be used: the module {error.name} is missing.",
            hint=f"It needs {_NEEDED.get(error.name or '', f'the module {error.name}.')}",
        ) from None
    return store
