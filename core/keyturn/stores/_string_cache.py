"""A `diskcache.Cache` that keeps strings only, and trusts nothing in its database.

diskcache 5.6.3 takes its settings, SQLite's pragmas, names of files to read and to delete, and
pickles to load from the database itself (CVE-2025-69872). Every override here that goes beyond
diskcache's documented extension points (https://grantjenks.com/docs/diskcache/tutorial.html#disk)
serves against that: here a database can at most hold strings.
"""

import contextlib
import errno
import os
import sqlite3
from typing import Any, Final, cast

import diskcache

from keyturn.stores._base import logger

# How long an operation waits for another writer of the database, in seconds.
PATIENCE: Final = 2.0
# The most bytes that SQLite may load for one row, whatever the file says.
_LONGEST_ROW: Final = 1024 * 1024
_MODE_RAW: Final = 1  # diskcache's, which doesn't export it

# A row as no store writes one, by its columns.
_FOREIGN: Final = (
    "NOT (raw IS 1 AND mode IS 1 AND filename IS NULL AND expire_time IS NULL"
    " AND typeof(value) = 'text' AND typeof(tag) = 'real' AND tag > 0)"
)
_FIND_FOREIGN: Final = f"SELECT 1 FROM Cache WHERE key = ? AND {_FOREIGN}"  # noqa: S608 - ours
_PURGE: Final = f"DELETE FROM Cache WHERE tag <= ? OR {_FOREIGN}"  # noqa: S608 - ours

_SETTINGS: Final[dict[str, Any]] = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "statistics": 0,
    "tag_index": 0,
    "disk_min_file_size": _LONGEST_ROW,  # what is shorter is kept in the row itself
}

_PRAGMAS: Final = (
    # A write-ahead log is found by its name: a handle on a database that was moved or deleted
    # would destroy the log of its successor when it is closed.
    "journal_mode = DELETE",
    # A power cut may cost the entries, which can be requested again; a killed process does not.
    "synchronous = OFF",
    # Deleted tokens are overwritten.
    "secure_delete = ON",
    # SQLite's advice for files that may be damaged or hostile: https://sqlite.org/security.html
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "mmap_size = 0",
)


class _Connection(sqlite3.Connection):
    """A connection that reports what fails outside the file's contents as an `OSError`.

    diskcache takes every `OperationalError` for a busy database, and retries or hides it.

    Attributes:
        schema: What diskcache saw to being there, as SQLite keeps it.
    """

    schema: frozenset[str] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._process = os.getpid()
        super().__init__(*args, **kwargs)

    def __del__(self) -> None:
        if self._process != os.getpid():
            # Closed in a child, it would roll back what its parent is writing, or wait for a lock
            # of its parent (https://sqlite.org/howtocorrupt.html section 2.6): it is never freed.
            import ctypes  # milliseconds, where Python's fork hooks do not run

            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
            return
        # Python 3.13 warns of a connection that garbage collection closes.
        with contextlib.suppress(sqlite3.Error):  # it could not be opened
            self.close()

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql.startswith("CREATE "):
            self.schema |= {sql.replace(" IF NOT EXISTS", "", 1)}
        # Threat: planted settings. And SQLite itself has rolled back, if the disk is full for one.
        elif "Settings" in sql or (sql == "ROLLBACK" and not self.in_transaction):
            return self.cursor()
        try:
            return super().execute(sql, parameters)
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF  # without the bits of the extended codes
            if code == sqlite3.SQLITE_ERROR:
                raise
            if code == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
            number = errno.ETIMEDOUT if code == sqlite3.SQLITE_BUSY else errno.EIO
            raise OSError(number, f"the token store's {error} ({error.sqlite_errorname})") from None


class StringDisk(diskcache.Disk):  # type: ignore[misc]
    """What turns columns into keys and values: strings, in the row itself, and nothing else."""

    def get(self, key: object, raw: object) -> object:  # noqa: ARG002 - diskcache's signature
        """Return the key of a row as it is; diskcache's own would unpickle it."""
        return key

    def fetch(
        self,
        mode: object,
        filename: object,
        value: object,
        read: object,  # noqa: ARG002 - diskcache's signature
    ) -> str:
        """Return the value of a row; an `OSError` is how diskcache learns of a miss."""
        if mode != _MODE_RAW or filename is not None or not isinstance(value, str):
            raise FileNotFoundError("Not a row with a string.")
        return value

    def remove(self, file_path: object) -> None:
        """Delete no file, because rows have no files."""


class StringCache(diskcache.Cache):  # type: ignore[misc]
    """The database at `path`, through one connection that any thread may use, one at a time.

    Args:
        path: The database; it must exist, since SQLite would create it for others to read.

    Raises:
        OSError: The file can't be read or written; a `TimeoutError` when another process has been
            writing for `PATIENCE` seconds.
    """

    # Threat: a second connection, without the limits below, as diskcache's own property opens it.
    _con: Any = None

    # Threat: diskcache's own `__init__` opens the database with settings and pragmas that it
    # reads from it, creates it readable by others, and takes `$` and `~` in its path.
    def __init__(self, path: str) -> None:
        self._con = sqlite3.connect(
            path,
            timeout=PATIENCE,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        self._con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_ROW)

    def fill(self, *, new: bool) -> None:
        """Let diskcache make its tables, or see that they are there and nothing else is.

        Args:
            new: Whether the file was made just now, and is to be filled.

        Raises:
            sqlite3.DatabaseError: The file is no database, or not one of keyturn's making.
        """
        for pragma in _PRAGMAS:
            self._sql(f"PRAGMA {pragma}")
        self._sql("BEGIN")
        select = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
        found = frozenset(sql for (sql,) in self._sql(select))
        self.__dict__.update(_SETTINGS)
        # diskcache would expand `~` and `$` in a path, and uses this one for nothing else.
        super().__init__(os.sep, disk=StringDisk, **_SETTINGS)
        # A trigger could drop what is written, or a column change it, without any error.
        if not new and found != self._con.schema:
            raise sqlite3.DatabaseError("emptied, or changed by something other than keyturn")
        self._sql("COMMIT")

    # Threat: settings in a planted database, such as a size limit that makes it delete rows.
    def reset(self, key: object, value: object = None, update: object = True) -> None:  # noqa: FBT002 - diskcache's signature
        """Set nothing: the settings are those above, whatever the database says."""

    def load(self, key: str) -> tuple[str, float] | None:
        """Return the entry at `key` and when it expires (epoch seconds), or None."""
        entry, expires_at = cast("tuple[str | None, object]", self.get(key, tag=True))
        if isinstance(entry, str) and isinstance(expires_at, float) and expires_at > 0:
            return entry, expires_at
        # One statement: what another process writes between two would be taken for a foreign row.
        if self._sql(_FIND_FOREIGN, (key,)).fetchone():
            logger.warning("a row of the token store is not keyturn's: ignoring it")
        return None

    def purge(self, now: float) -> None:
        """Delete the rows that expired before `now` (epoch seconds), and foreign ones."""
        self._sql(_PURGE, (now,))

    def disconnect(self) -> None:
        """Close the connection, for good."""
        self._con.close()
