"""The life of the disk store's database: opening it, losing it, replacing it, and forks."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from keyturn._once import PerProcess
from keyturn.stores._files import (
    identity,
    locked,
    make_private_directory,
    make_private_file,
    replaceable_by_all,
)
from keyturn.stores._text_cache import PATIENCE, TextCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

# What comes out of diskcache and SQLite when the contents of the file make no sense to them; what
# fails for other reasons is an OSError.
_UNUSABLE = (sqlite3.DatabaseError, TypeError, ValueError)

_logger = logging.getLogger("keyturn.stores")
_Result = TypeVar("_Result")


class Database:
    """A database that is opened when it is needed, and again when it was deleted or replaced.

    One that can't be read, was emptied or has other tables than keyturn's is moved aside to
    `….corrupt`, with a warning, and begun afresh.

    Args:
        path: The file; its directory is created too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cache: TextCache | None = None
        self._identity: tuple[int, int] | None = None
        self._process = os.getpid()
        _databases.add(self)

    def run(self, operation: Callable[[TextCache], _Result]) -> _Result:
        """Return what `operation` gives on the open database.

        Raises:
            TimeoutError: The database has been busy for `PATIENCE` seconds.
            OSError: The directory or the file is refused, or can't be read or written.
        """
        mutex = _mutex.get()  # the one to release, even if the operation is interrupted by a fork
        if not mutex.acquire(timeout=PATIENCE):
            raise TimeoutError(errno.ETIMEDOUT, f"the token store {self._path} is busy")
        try:
            try:
                return operation(self._opened())
            except _UNUSABLE as error:
                self._set_aside(error)
                return operation(self._opened())
        except BaseException:
            self.disconnect()  # Whatever state it is in, the next operation begins anew.
            raise
        finally:
            mutex.release()

    def close(self) -> None:
        """Close the database; the next operation opens it again."""
        with _mutex.get():
            self.disconnect()

    def disconnect(self) -> None:
        """Close the connection, in a thread that has the process's databases for itself."""
        if self._cache is not None:
            self._cache.disconnect()
            self._cache = None

    def abandon(self) -> None:
        """Forget the connection of a parent process without closing it."""
        self._cache = None
        self._process = os.getpid()

    def _opened(self) -> TextCache:
        if self._process != os.getpid():  # a child of a fork that ran none of the hooks below
            self.abandon()
        if self._cache is None or identity(self._path) != self._identity:
            self.disconnect()
            make_private_directory(self._path.parent)
            _warn_of_parents(self._path.parent)
            with self._alone():
                new = make_private_file(self._path)
                self._identity = identity(self._path)
                self._cache = TextCache(str(self._path), new=new)
        return self._cache

    def _set_aside(self, error: Exception) -> None:
        self.disconnect()
        with self._alone():
            if identity(self._path) != self._identity:
                return  # Another process was faster.
            aside = f"{self._path}.corrupt"
            # The companions first: beside a fresh database they would be taken for its own.
            for suffix in ("-journal", "-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    os.replace(f"{self._path}{suffix}", aside + suffix)  # noqa: PTH105 - suffixes
        _logger.warning("the token store %s was unusable (%r): see %s", self._path, error, aside)

    def _alone(self) -> AbstractContextManager[None]:
        """Be the only process that creates, opens or moves the database, for a `with` block."""
        return locked(self._path.with_name("opening.lock"), PATIENCE)


@cache  # once in a process
def _warn_of_parents(directory: Path) -> None:
    if parent := replaceable_by_all(directory):
        _logger.warning(
            "every user of this host can replace the token store %s, since %s is writable by all: "
            "run `chmod o-w` or `chmod +t` on that directory, or keep the store elsewhere",
            directory,
            parent,
        )


# One operation at a time in this process: closing any descriptor of a database, as creating one
# does, takes the locks of every other in the process away (https://sqlite.org/howtocorrupt.html).
_mutex: PerProcess[threading.Lock] = PerProcess(threading.Lock)
_databases: WeakSet[Database] = WeakSet()
_fork = threading.local()


def _before_fork() -> None:
    # Neither a connection nor SQLite's own locks in a locked state may be carried into a child. An
    # operation that lasts longer than any should, hinders no fork.
    _fork.quiet = _mutex.get().acquire(timeout=PATIENCE)
    if _fork.quiet:
        for database in list(_databases):
            database.disconnect()


def _after_fork_in_parent() -> None:
    if _fork.quiet:
        _mutex.get().release()


def _after_fork_in_child() -> None:
    for database in list(_databases):
        database.abandon()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
