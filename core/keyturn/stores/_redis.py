"""The token store for several hosts: a Redis or Valkey server."""

import errno
import os
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import redis

from keyturn import errors
from keyturn._common.once import PerProcess
from keyturn.stores._base import refuse_pickling
from keyturn.stores._resilient import cause

# The longest entry, in bytes of UTF-8.
LONGEST_ENTRY: Final = 256 * 1024
# Seconds after which a server that doesn't connect or respond counts as failed.
PATIENCE: Final = 1.0
# Seconds for which a failed server is not called.
COOLDOWN: Final = 5.0
_LONGEST_VALUE = LONGEST_ENTRY + 32
_LONGEST_KEPT = 400 * 86_400.0
_PORT = 6379
# The characters allowed before the @ (RFC 3986 section 3.2.1); others are percent-encoded.
_USER = r"(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?"
_HOST = r"(?:(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_OPTIONS = r"(?:\?[a-z_]+=[^&#\s]*(?:&[a-z_]+=[^&#\s]*)*)?"
_URL_REGEX = re.compile(
    rf"rediss?://{_USER}{_HOST}(?:/[0-9]{{0,5}})?{_OPTIONS}|unix://{_USER}/[^?#\s]+{_OPTIONS}",
    re.ASCII,
)
# Many processes with many connections each would slow down the server and this machine.
_CONNECTIONS = 4
_QUEUE_PATIENCE = 10.0
# At most this number of locks is freed later; the others expire with their lease.
_RELEASES = 64
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.005, 0.5
# The maximum expiry of a lock, longer than any lease of keyturn's.
_LONGEST_LEASE = 2 * 86_400.0 + 60.0
# PTTL returns -2 without a key, and -1 for a key without an expiry. A key without an expiry, or
# with one in years, is not a lock of keyturn's and would never be freed.
_TAKE = """
local left = redis.call("pttl", KEYS[1])
if left >= 0 and left <= tonumber(ARGV[3]) then
    local holder = redis.pcall("get", KEYS[1])
    return type(holder) == "string" and holder or "of another type"
end
redis.call("set", KEYS[1], ARGV[1], "px", ARGV[2])
return 1
"""
# A holder that lost its lock must not free the lock of its successor.
_RELEASE = """
if redis.pcall("get", KEYS[1]) == ARGV[1] then
    return redis.call("del", KEYS[1])
end
"""

_random = secrets.SystemRandom()
_Result = TypeVar("_Result")


class RedisStore:
    """Entries on a server that any number of threads, processes and hosts share.

    All keys begin with `keyturn:`. Locks are lost if the server loses its memory or is replaced by
    a replica.

    Every operation may raise `OSError`: the server is unreachable, too slow, full, read-only, or
    refuses the password. If the server can't be reached, or does not respond within `PATIENCE`
    twice in a row, the store does not call it for `COOLDOWN` seconds, so that it can't delay every
    token. During that time, operations fail at once. A single late response may be caused by a busy
    machine.

    Args:
        server: A URL with the scheme `redis`, `rediss` (TLS) or `unix`, whose query may contain
            redis-py's options (https://redis.readthedocs.io/en/stable/connections.html); or a
            redis-py client, which must not decode responses, and has its own timeouts.
        now: The clock for expiry, in epoch seconds.

    Raises:
        keyturn.errors.ConfigurationError: The URL can't be used.
    """

    def __init__(self, server: str | redis.Redis, now: Callable[[], float] = time.time) -> None:
        self._client = _client(server) if isinstance(server, str) else server
        self._now = now
        self._cooldown_end = 0.0
        self._is_suspected = False
        # The holders of locks that were not freed in time.
        self._hung: dict[str, object] = {}
        # A lock that a thread of the parent process holds would never be free in a child.
        self._places = PerProcess(lambda: threading.BoundedSemaphore(_CONNECTIONS))
        # Functions that free a lock when the server responds again; no caller waits for them.
        self._releases: PerProcess[deque[Callable[[], object]]] = PerProcess(
            lambda: deque(maxlen=_RELEASES)
        )

    __getstate__ = __reduce__ = __reduce_ex__ = refuse_pickling

    @property
    def location(self) -> str:
        """The server's address, for messages."""
        options = self._client.connection_pool.connection_kwargs
        address = f"{options.get('host')}:{options.get('port', _PORT)}"
        return str(options.get("path") or address)

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None if it does not exist or has expired.

        Raises:
            ValueError: The entry was not written by a store of this kind.
        """
        value = self._ask(lambda: self._client.getrange(f"keyturn:{key}", 0, _LONGEST_VALUE))
        if not value:
            return None
        if len(value) > _LONGEST_VALUE or not isinstance(value, bytes):
            raise ValueError("The value is not an entry.")
        expires_at, _, entry = value.decode().partition(" ")
        return entry if self._now() < float(expires_at) else None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing an earlier entry.

        The server deletes it at that time, or after 400 days at the latest.

        Raises:
            ValueError: The entry is longer than `LONGEST_ENTRY` bytes.
        """
        if len(entry.encode()) > LONGEST_ENTRY:
            raise ValueError(f"An entry may have {LONGEST_ENTRY} bytes.")
        # A duration (1 ms for NaN), because the server's clock may differ from this one.
        seconds = max(0.001, min(expires_at - self._now(), _LONGEST_KEPT))
        value = f"{float(expires_at)!r} {entry}"
        self._ask(lambda: self._client.set(f"keyturn:{key}", value, px=int(seconds * 1000)))

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error if it does not exist."""
        self._ask(lambda: self._client.delete(f"keyturn:{key}"))

    @contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` among threads, processes and hosts for a `with` block.

        Args:
            key: The lock's key.
            lease: The maximum time in seconds to hold the lock, after which a waiter takes it, and
                to wait for it.

        Raises:
            TimeoutError: The lock was not free within `lease` seconds, now or in an earlier call
                with the same holder.
        """
        name, holder, process = f"keyturn:lock:{key}", secrets.token_hex(16), os.getpid()

        def release() -> object:
            return self._client.eval(_RELEASE, 1, name, holder)

        milliseconds = (str(max(1, int(each * 1000))) for each in (lease, _LONGEST_LEASE))
        arguments = (name, holder, *milliseconds)

        def take() -> object:
            try:
                return self._client.eval(_TAKE, 1, *arguments)
            except BaseException:  # the server may have granted the lock
                self._releases.get().append(release)
                raise

        self._acquire(take, name, lease)
        try:
            yield
        finally:
            # A child forked inside the block must not free its parent's lock.
            if os.getpid() == process:
                if self._is_cooling_down():
                    self._releases.get().append(release)
                else:
                    self._ask(release)

    def close(self) -> None:
        """Close the connections; the next operation opens a new one."""
        self._client.close()

    def _acquire(self, take: Callable[[], object], name: str, lease: float) -> None:
        start, first = time.monotonic(), None
        while (holder := self._ask(take)) != 1:
            waited, first = time.monotonic() - start, first or holder
            if waited >= lease or self._hung.get(name) == holder:
                if first == holder:  # the holder hangs, or another program has written the key
                    self._hung[name] = holder
                raise TimeoutError(
                    errno.ETIMEDOUT, f"the lock {name} was not acquired in {lease:g} s"
                )
            # The pause grows with the wait, so that a waiter is at most a tenth late.
            pause = min(max(waited / 10, _SHORTEST_PAUSE), _LONGEST_PAUSE, lease - waited)
            time.sleep(pause * _random.uniform(0.5, 1))
        self._hung.pop(name, None)

    def _release_others(self) -> None:
        """Free the locks that could not be freed, or were granted too late, during a failure."""
        releases = self._releases.get()
        with suppress(IndexError, redis.RedisError):  # no lock is left, or the server failed again
            while True:
                releases.popleft()()

    def _is_cooling_down(self) -> bool:
        # The pause is bounded, because the clock may have been set back.
        return 0 < self._cooldown_end - self._now() <= COOLDOWN

    def _ask(self, operation: Callable[[], _Result]) -> _Result:
        places = self._places.get()
        if not places.acquire(timeout=_QUEUE_PATIENCE):
            raise OSError(errno.EIO, f"Redis was busy for {_QUEUE_PATIENCE:g} s")
        was_suspected = self._is_suspected
        try:
            if self._is_cooling_down():  # may have begun while this call waited for a connection
                raise OSError(errno.EIO, f"Redis failed, so it is not called for {COOLDOWN:g} s")
            result = operation()
            self._is_suspected = False
            self._release_others()
        except redis.RedisError as error:
            self._is_suspected = is_late = isinstance(error, redis.TimeoutError)
            if (is_late and was_suspected) or isinstance(error, redis.ConnectionError):
                self._cooldown_end = self._now() + COOLDOWN
            failure = f"Redis failed with {cause(error)}"
        else:
            return result
        finally:
            places.release()
        # Not chained, because the server's message may quote the command and its entry.
        raise OSError(errno.EIO, failure)


class _TimedSocket:
    """A socket that bounds the time and the size of a response; redis-py times single reads."""

    def __init__(self, wrapped: Any, seconds: float) -> None:
        self._socket, self._seconds = wrapped, seconds

    def sendall(self, data: bytes) -> None:
        """Send a command; the time and the size of its response are counted from here."""
        self._deadline = time.monotonic() + self._seconds
        self._bytes_left = _LONGEST_VALUE + 1024  # for the handshake and the framing of a value
        self._socket.settimeout(self._seconds)
        self._socket.sendall(data)

    def recv(self, size: int) -> bytes:
        """Receive data, within the limits of time and size."""
        buffer = bytearray(size)
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(self, buffer: bytearray) -> int:
        """Receive data as above (for hiredis, with which redis-py reads if it is installed)."""
        if self._socket.gettimeout():  # it is 0 when redis-py checks for pending data
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError  # like the socket's own timeout
            self._socket.settimeout(left)
        size: int = self._socket.recv_into(buffer)
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise OSError(errno.EMSGSIZE, "the response is too long")
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def _client(url: str) -> redis.Redis:
    try:
        if not _URL_REGEX.fullmatch(url):
            # redis-py would read a part of the password as the host, and resolve it as a name.
            raise ValueError  # noqa: TRY301 - reported below, without the URL
        # The pool retries only if the URL says so, because the token request has its own retries.
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            socket_connect_timeout=PATIENCE,
            socket_timeout=PATIENCE,
            protocol=2,
        )
        base: Any = pool.connection_class

        def connect(self: Any) -> _TimedSocket:
            return _TimedSocket(base._connect(self), self.socket_timeout or PATIENCE)  # noqa: SLF001 - the overridden method

        pool.connection_class = type("Timed", (base,), {"_connect": connect})
        # A wrong option is reported now, not at the first token request.
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, redis.RedisError):
        pass  # its message may show the password
    else:
        return redis.Redis(connection_pool=pool)
    raise errors.ConfigurationError(
        "the token store's Redis URL can't be used.",
        hint="Use redis://user:password@host:6379/0, with percent-encoded user and password, or "
        "unix:///path/to/socket; rediss:// is Redis over TLS.",
    )
