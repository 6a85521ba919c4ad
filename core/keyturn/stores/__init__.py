"""Token stores, which keep tokens between calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn._common.names import lazy_names
from keyturn._common.once import importing

if TYPE_CHECKING:
    from keyturn.stores._base import TokenStore
    from keyturn.stores._disk import DiskStore
    from keyturn.stores._encrypted import EncryptedStore
    from keyturn.stores._memory import MemoryStore
    from keyturn.stores._opening import from_url
    from keyturn.stores._redis import RedisStore

__all__ = ["DiskStore", "EncryptedStore", "MemoryStore", "RedisStore", "TokenStore", "from_url"]

_find, __dir__ = lazy_names(
    __name__,
    {
        "DiskStore": "keyturn.stores._disk",
        "EncryptedStore": "keyturn.stores._encrypted",
        "MemoryStore": "keyturn.stores._memory",
        "RedisStore": "keyturn.stores._redis",
        "TokenStore": "keyturn.stores._base",
        "from_url": "keyturn.stores._opening",
    },
)


def __getattr__(name: str) -> Any:
    # sqlite3, cryptography and redis are imported on first use.
    with importing:
        found = _find(name)
    found.__module__ = __name__  # as users import it
    return found
