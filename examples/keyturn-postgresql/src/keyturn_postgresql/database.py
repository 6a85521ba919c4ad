"""The database: one connection for each process, and errors without values."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, LiteralString, TypeAlias
from weakref import WeakSet

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import keyturn

if TYPE_CHECKING:
    from collections.abc import Generator

PATIENCE: Final = 1.0
"""Seconds after which a server that doesn't respond counts as failed; a connection gets two."""

COOLDOWN: Final = 5.0
"""Seconds for which a server that can't be reached, or doesn't respond, is not called."""

_DEFAULTS: Final[dict[str, str | int | None]] = {
    "connect_timeout": 2,
    "fallback_application_name": "keyturn",
}

Row: TypeAlias = tuple[Any, ...]


class Database:
    """A PostgreSQL database, with one connection that all threads use in turn.

    The connection is opened when it is first needed, and again after it broke. (Statements are
    short and rare, so a pool has no advantage, and its threads would not survive a fork.)

    Args:
        url: A libpq connection URI.
        schema: Statements that create missing tables; processes that run them at once take turns.

    Raises:
        keyturn.errors.ConfigurationError: The URL can't be used.
    """

    def __init__(self, url: str, schema: LiteralString) -> None:
        self._conninfo = _conninfo(url)
        self._schema: LiteralString = schema
        self.reset()
        _databases.add(self)

    def reset(self) -> None:
        """Reset the state after a fork: the connection and its users belong to the parent."""
        self._mutex = threading.Lock()
        self._connection: psycopg.Connection[Row] | None = None
        self._silent_until = 0.0

    def run(self, statement: LiteralString, *values: Any) -> list[Row]:
        """Run a statement and return its rows.

        Raises:
            OSError: The server is gone, too slow, or refuses the statement.
        """
        with self._mutex:
            if time.monotonic() < self._silent_until:
                message = f"PostgreSQL has failed, and is not called for {COOLDOWN:g} s"
                raise OSError(errno.EIO, message)
            try:
                return self._attempt(statement, values)
            except psycopg.Error as error:
                if self._connection is None or self._connection.closed:
                    self._silent_until = time.monotonic() + COOLDOWN
                kind = type(error).__name__
        # The server's message may quote the statement's values, and with them an entry.
        raise OSError(errno.EIO, f"PostgreSQL failed with {kind}")

    def close(self) -> None:
        """Close the connection; the next statement opens another."""
        with self._mutex:
            if self._connection is not None:
                self._connection.close()

    def _attempt(self, statement: LiteralString, values: Row) -> list[Row]:
        """Run a statement, again if a table was missing, or the kept connection had broken."""
        kept = self._connection
        try:
            return self._send(statement, values)
        except psycopg.errors.UndefinedTable:
            self._send(self._schema)
        except psycopg.OperationalError:
            if kept is None or not kept.closed:
                raise
        return self._send(statement, values)

    def _send(self, statement: LiteralString, values: Row | None = None) -> list[Row]:
        if self._connection is None or self._connection.closed:
            # Nothing is prepared: statements may go through a pool such as PgBouncer.
            self._connection = psycopg.connect(
                self._conninfo.reveal(), autocommit=True, prepare_threshold=None
            )
        with _limited(self._connection), self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


def _conninfo(url: str) -> keyturn.Secret:
    try:
        return keyturn.Secret(make_conninfo("", **(_DEFAULTS | conninfo_to_dict(url))))
    except psycopg.Error:
        pass  # whose message may show the password
    raise keyturn.errors.ConfigurationError(
        "the token store's PostgreSQL URL can't be used.",
        hint="Its form is postgresql://user:password@host:5432/database?sslmode=verify-full, with "
        "user and password percent-encoded.",
    )


@contextmanager
def _limited(connection: psycopg.Connection[Row]) -> Generator[None]:
    """Shut down a connection that is still busy after `PATIENCE`: libpq itself waits forever."""
    # Its own descriptor, since libpq may close the other one in the meantime.
    with socket.socket(fileno=os.dup(connection.fileno())) as wire:
        timer = threading.Timer(PATIENCE, _cut, [wire])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _cut(wire: socket.socket) -> None:
    with suppress(OSError):  # the server has closed it at the same moment
        wire.shutdown(socket.SHUT_RDWR)


_databases: WeakSet[Database] = WeakSet()


def _reset_in_child() -> None:
    with warnings.catch_warnings():
        # Closing the connection, which psycopg wants, would end its parent's session.
        warnings.simplefilter("ignore", ResourceWarning)
        for database in list(_databases):
            database.reset()


_register = getattr(os, "register_at_fork", None)
if _register:  # pragma: no branch - Windows has no fork
    _register(after_in_child=_reset_in_child)
