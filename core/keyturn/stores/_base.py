"""What a token store is: four operations and no more."""

import logging
from contextlib import AbstractContextManager
from typing import Final, NoReturn, Protocol, runtime_checkable

# What an encrypted entry begins with; no other entry does.
SEALED: Final = "keyturn-1."
logger: Final = logging.getLogger("keyturn.stores")


@runtime_checkable
class TokenStore(Protocol):
    """Where entries (tokens, rate limits, error responses) live between calls.

    Every method may be called from any thread, and may raise anything: keyturn turns a store's
    failure into a warning and an extra token request. Keys are lower-case letters, digits and
    hyphens, at most 80 characters; entries are strings.

    A store may have an attribute `location`, a string that says where it is (a directory, or a
    host without a password): keyturn's messages about an outage show it.
    """

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None when there is none or it has expired."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing what was there."""

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error when there is none."""

    def lock(self, key: str, lease: float) -> AbstractContextManager[None]:
        """Hold the lock of `key` for the length of a `with` block.

        Waits while another thread, process or host holds it. A holder that died, or that has held
        it for longer than `lease` seconds, loses it.

        Args:
            key: The lock's key; locks and entries don't share a name space.
            lease: How long the lock may be held, in seconds; also the longest wait for it.

        Returns:
            A context manager; entering it raises `TimeoutError` when `lease` seconds of waiting
            did not bring the lock.
        """
        ...


def refuse_pickling(self: object, _: object = None) -> NoReturn:
    """Raise an error in place of a copy or a pickle, which would share nothing with the store.

    Serializers that don't pickle, such as jsonpickle, call any of the three methods.
    """
    raise TypeError(
        f"A {type(self).__name__} can't be pickled or copied: open one in each process."
    )
