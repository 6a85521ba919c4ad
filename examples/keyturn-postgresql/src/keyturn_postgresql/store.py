"""The token store: a table of entries, and a table of locks."""

from __future__ import annotations

import errno
import os
import random
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from keyturn_postgresql.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.005, 0.05

# UNLOGGED: no token is written to the write-ahead log, to replicas or to base backups, and
# no write waits for the disk. After a crash both tables are empty, which costs a token request.
# bytea: the table accepts any string, whatever the encoding of the database.
# The advisory lock: IF NOT EXISTS alone fails for some processes that create a table at once.
_SCHEMA: Final = """
SELECT pg_advisory_xact_lock(7031883560);
CREATE UNLOGGED TABLE IF NOT EXISTS keyturn_entries
    (key text PRIMARY KEY, entry bytea NOT NULL, expires_at float8 NOT NULL);
CREATE UNLOGGED TABLE IF NOT EXISTS keyturn_locks
    (key text PRIMARY KEY, holder text NOT NULL, held_until timestamptz NOT NULL);
"""
_READ: Final = "SELECT entry, expires_at FROM keyturn_entries WHERE key = %s"
_WRITE: Final = """
INSERT INTO keyturn_entries (key, entry, expires_at) VALUES (%s, %s, %s)
ON CONFLICT (key) DO UPDATE SET entry = EXCLUDED.entry, expires_at = EXCLUDED.expires_at
"""
# SKIP LOCKED: concurrent deletions of expired entries do not wait for each other, or deadlock.
_SWEEP: Final = """
DELETE FROM keyturn_entries WHERE key IN
    (SELECT key FROM keyturn_entries WHERE expires_at <= %s FOR UPDATE SKIP LOCKED)
"""
_DELETE: Final = "DELETE FROM keyturn_entries WHERE key = %s"
# A caller that repeats the statement after a lost response may hold the lock already.
_TAKE: Final = """
INSERT INTO keyturn_locks AS held (key, holder, held_until)
VALUES (%s, %s, now() + make_interval(secs => %s))
ON CONFLICT (key) DO UPDATE SET holder = EXCLUDED.holder, held_until = EXCLUDED.held_until
WHERE held.held_until <= now() OR held.holder = EXCLUDED.holder
RETURNING true
"""
# A holder that lost its lock must not free the lock of its successor.
_FREE: Final = "DELETE FROM keyturn_locks WHERE key = %s AND holder = %s"


class PostgresqlStore:
    """Entries in a database, shared by any number of threads, processes and hosts.

    It creates its two tables when they are missing, in the first schema of the user's search path.
    Every operation may raise `OSError`: the server is gone, too slow, read-only, or refuses the
    password or the tables.

    Args:
        url: A libpq connection URI
            (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS).
        now: The clock for the expiry of entries, in epoch seconds.

    Raises:
        keyturn.errors.ConfigurationError: The URL can't be used.
    """

    def __init__(self, url: str, now: Callable[[], float] = time.time) -> None:
        self._database = Database(url, _SCHEMA)
        self._now = now

    def read(self, key: str) -> str | None:
        """Return the entry at `key`, or None if there is none or it has expired."""
        # By this host's clock, which keyturn uses for the token in the entry.
        for entry, expires_at in self._database.run(_READ, key):
            if self._now() < expires_at:
                return str(entry, "utf-8")
        return None

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Keep `entry` at `key` until `expires_at` (epoch seconds), replacing an earlier one."""
        now = self._now()
        if now < expires_at:
            self._database.run(_WRITE, key, entry.encode(), float(expires_at))
        else:
            self.delete(key)
        self._database.run(_SWEEP, now)

    def delete(self, key: str) -> None:
        """Remove the entry at `key`; no error when there is none."""
        self._database.run(_DELETE, key)

    @contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold the lock of `key` among threads, processes and hosts for a `with` block.

        The lock is a row with the time until which it is held, by the database's clock, which is
        the only one that all hosts share. (An advisory lock would end with its holder's session,
        but a holder that hangs would keep it forever, and one behind a pool of connections might
        lose it.)

        Args:
            key: The lock's key.
            lease: The maximum time of the lock in seconds, after which a waiter takes it; also the
                longest wait for it.

        Raises:
            TimeoutError: The lock was not acquired within `lease` seconds.
        """
        holder, process = secrets.token_hex(16), os.getpid()
        self._take(key, holder, lease)
        try:
            yield
        finally:
            # A child that is forked inside the block must not free the parent's lock.
            if os.getpid() == process:
                self._database.run(_FREE, key, holder)

    def close(self) -> None:
        """Close the connection; the next operation opens another."""
        self._database.close()

    def _take(self, key: str, holder: str, lease: float) -> None:
        start = time.monotonic()
        while not self._database.run(_TAKE, key, holder, lease):
            waited = time.monotonic() - start
            if waited >= lease:
                message = f"the lock of {key} is still held after {lease:g} s"
                raise TimeoutError(errno.ETIMEDOUT, message)
            # The pause grows with the wait: a waiter is a tenth late at most, with few statements.
            pause = min(max(waited / 10, _SHORTEST_PAUSE), _LONGEST_PAUSE, lease - waited)
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
