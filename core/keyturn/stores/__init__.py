"""Token stores: where tokens live between calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from keyturn import errors
from keyturn.stores._base import TokenStore

if TYPE_CHECKING:
    from keyturn.stores._encrypted import EncryptedStore

__all__ = ["EncryptedStore", "TokenStore", "from_url"]


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
        raise errors.ConfigurationError("a token store's URL is a text.")
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "memory" and not rest:
        from keyturn.stores._memory import MemoryStore

        return MemoryStore()
    if separator and scheme == "disk" and rest.startswith("/"):
        from keyturn.stores._disk import DiskStore

        return DiskStore(unquote(rest))
    if separator and scheme in ("redis", "rediss", "unix"):
        return _redis_store(url)
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


def _redis_store(url: str) -> TokenStore:
    try:
        from keyturn.stores._redis import RedisStore
    except ModuleNotFoundError:
        raise errors.ConfigurationError(
            "a token store on Redis needs the package redis, which is not installed.",
            hint="Install it: pip install keyturn[redis]",
        ) from None
    return RedisStore(url)


def __getattr__(name: str) -> Any:
    # Importing cryptography takes longer than a whole read of a token.
    if name == "EncryptedStore":
        from keyturn.stores._encrypted import EncryptedStore

        return EncryptedStore
    message = f"module 'keyturn.stores' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
