"""The protocol of token stores: four operations."""

import logging
from contextlib import AbstractContextManager
from typing import Final, NoReturn, Protocol, runtime_checkable

# The prefix of encrypted entries, which no other entry has.
SEALED: Final = "keyturn-1."
logger: Final = logging.getLogger("keyturn.stores")


@runtime_checkable
class TokenStore(Protocol):
    """A store of entries (tokens, rate limits, error responses) between calls.

    keyturn may call every method from any thread. A method may raise any exception: keyturn then
    logs a warning and makes an extra token request. Keys consist of lower-case letters, digits and
    hyphens, at most 80 characters; entries are strings.

    A store may have an attribute `location`, a string with its directory or its host, without a
    password. keyturn's messages about an outage show it.
    """

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None if it does not exist or has expired."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing an earlier entry."""

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error if it does not exist."""

    def lock(self, key: str, lease: float) -> AbstractContextManager[None]:
        """Hold the lock of `key` for a `with` block.

        This waits while another thread, process or host holds the lock. A holder that died, or that
        has held it for longer than `lease` seconds, loses it.

        Args:
            key: The lock's key; locks and entries have separate name spaces.
            lease: The maximum time in seconds to hold the lock, and to wait for it.

        Returns:
            A context manager; entering it raises `TimeoutError` after `lease` seconds of waiting.
        """
        ...


def refuse_pickling(self: object, _: object = None) -> NoReturn:
    """Raise an error instead of copying or pickling, because a copy would not share the store.

    Serializers that don't pickle, such as jsonpickle, call any of the three methods.
    """
    raise TypeError(
        f"A {type(self).__name__} can't be pickled or copied: open a store in each process."
    )
