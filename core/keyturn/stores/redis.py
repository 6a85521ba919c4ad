"""The token store that several hosts share: a Redis or Valkey server."""

from __future__ import annotations

import errno
import os
import random
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

LONGEST_ENTRY: Final = 256 * 1024
"""The longest entry that is kept, in bytes of UTF-8."""

PATIENCE: Final = 1.0
"""Seconds after which a server that doesn't connect or answer counts as failed."""

SILENCE: Final = 5.0
"""Seconds for which a server that failed is left alone."""

_LONGEST_VALUE = LONGEST_ENTRY + 32
_LONGEST_KEPT = 400 * 86_400.0
_CONNECTIONS = 32
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.005, 0.05
# A holder that was overcome must not free the lock of its successor.
_RELEASE = """
if redis.call("get", KEYS[1]) == ARGV[1] then
    return redis.call("del", KEYS[1])
end
"""

_Result = TypeVar("_Result")


class RedisStore:
    """Entries on a server that any number of threads, processes and hosts share.

    Everything is below `keyturn:` in the server's database. Locks hold as far as the server does:
    one that loses its memory, or is replaced by a replica, forgets who held them.

    Every operation may raise `OSError`: the server is gone, too slow, full, read-only, or refuses
    the password. A server that can't be reached, or doesn't answer within `PATIENCE`, is then left
    alone for `SILENCE`, so that it can't hold up every token; operations fail at once meanwhile.

    Args:
        server: A URL of the scheme `redis`, `rediss` (TLS) or `unix`, whose query may hold
            redis-py's options (https://redis.readthedocs.io/en/stable/connections.html); or a
            redis-py client, which must not decode responses, and brings its own timeouts.
        now: The clock that expiry is measured by, in epoch seconds.

    Raises:
        keyturn.errors.ConfigurationError: The URL can't be used.
    """

    def __init__(self, server: str | redis.Redis, now: Callable[[], float] = time.time) -> None:
        self._client = _client(server) if isinstance(server, str) else server
        self._now = now
        self._silent_until = 0.0

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None when there is none or it has expired.

        Raises:
            ValueError: What is there was not written by a store of this kind.
        """
        value = self._ask(lambda: self._client.getrange(f"keyturn:{key}", 0, _LONGEST_VALUE))
        if not value:
            return None
        expires_at, entry = _parse(value)
        return entry if self._now() < expires_at else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing what was there.

        The server forgets it then, but after 400 days at the latest.

        Raises:
            ValueError: The entry is longer than `LONGEST_ENTRY` bytes.
        """
        if len(entry.encode()) > LONGEST_ENTRY:
            raise ValueError(f"An entry may have {LONGEST_ENTRY} bytes.")
        left = expires_at - self._now()
        if not left > 0:  # NaN too
            self.delete(key)
            return
        # The server's clock may differ from this one: it is told a duration.
        px = _milliseconds(min(left, _LONGEST_KEPT))
        value = f"{float(expires_at)!r} {entry}"
        self._ask(lambda: self._client.set(f"keyturn:{key}", value, px=px))

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error when there is none."""
        self._ask(lambda: self._client.delete(f"keyturn:{key}"))

    @contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` among threads, processes and hosts for a `with` block.

        Args:
            key: The lock's key.
            lease: How long the lock may be held, in seconds, after which a waiter takes it; also
                the longest wait for it.

        Raises:
            TimeoutError: `lease` seconds of waiting did not bring the lock.
        """
        self._check_silence()
        name, holder, process = f"keyturn:lock:{key}", secrets.token_hex(16), os.getpid()
        try:
            self._acquire(name, holder, lease)
            yield
        finally:
            # Also after a failure: the server may have given the lock, and the answer been lost.
            # A child forked inside the block frees nothing of its parent's.
            if os.getpid() == process:
                self._send(lambda: self._client.eval(_RELEASE, 1, name, holder))

    def close(self) -> None:
        """Close the connections; the next operation opens another."""
        self._client.close()

    def _acquire(self, name: str, holder: str, lease: float) -> None:
        px = _milliseconds(lease)
        start = time.monotonic()
        while not self._send(lambda: self._client.set(name, holder, nx=True, px=px)):
            waited = time.monotonic() - start
            if waited >= lease:
                message = f"the lock {name} did not come in {lease:g} s"
                raise TimeoutError(errno.ETIMEDOUT, message)
            # In step with the wait: nobody is more than a tenth late, nor asks without need.
            pause = min(max(waited / 10, _SHORTEST_PAUSE), _LONGEST_PAUSE, lease - waited)
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret

    def _ask(self, operation: Callable[[], _Result]) -> _Result:
        self._check_silence()
        return self._send(operation)

    def _check_silence(self) -> None:
        # The clock may have been set back: no silence is longer than it should be.
        if 0 < self._silent_until - self._now() <= SILENCE:
            raise OSError(errno.EIO, f"Redis has failed, and is left alone for {SILENCE:g} s")

    def _send(self, operation: Callable[[], _Result]) -> _Result:
        try:
            return operation()
        except redis.RedisError as error:
            if isinstance(error, (redis.ConnectionError, redis.TimeoutError)):
                self._silent_until = self._now() + SILENCE
            kind = type(error).__name__
        # The server's own words may quote the command, and with it an entry.
        raise OSError(errno.EIO, f"Redis failed with {kind}")


def _client(url: str) -> redis.Redis:
    try:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            socket_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),  # whoever asks for a token owns the retries
            protocol=2,
        )
        # A wrong option is told now, and not when the first token is asked for.
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, redis.RedisError):
        pass  # whose text may show the password
    else:
        return redis.Redis(connection_pool=pool)
    raise errors.ConfigurationError(
        "the token store's Redis URL can't be used.",
        hint="Its form is redis://user:password@host:6379/0, with user and password "
        "percent-encoded, or unix:///path/to/socket; rediss:// is Redis over TLS.",
    )


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _parse(value: bytes | str) -> tuple[float, str]:
    """Return when a value expires (epoch seconds), and its entry."""
    if len(value) > _LONGEST_VALUE or not isinstance(value, bytes):
        raise ValueError("This is no entry.")
    expires_at, _, entry = value.decode().partition(" ")
    return float(expires_at), entry
