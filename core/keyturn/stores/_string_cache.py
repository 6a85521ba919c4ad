"""A `diskcache.Cache` that keeps only strings, and trusts nothing in its database.

diskcache 5.6.3 reads from the database its settings, SQLite's pragmas, names of files to read and
delete, and pickles to load (CVE-2025-69872). The overrides here that go beyond diskcache's
documented extension points (https://grantjenks.com/docs/diskcache/tutorial.html#disk) prevent that:
a database can contain only strings.
"""

import contextlib
import errno
import os
import sqlite3
from typing import Any, Final, cast

import diskcache

from keyturn.stores._base import logger

# Seconds that an operation waits for another writer of the database.
PATIENCE: Final = 2.0
# The maximum bytes that SQLite loads for one row, for any content of the file.
_LONGEST_ROW: Final = 1024 * 1024
_MODE_RAW: Final = 1  # diskcache's constant, which it doesn't export

# The condition for a row that no store writes.
_FOREIGN: Final = (
    "NOT (raw IS 1 AND mode IS 1 AND filename IS NULL AND expire_time IS NULL"
    " AND typeof(value) = 'text' AND typeof(tag) = 'real' AND tag > 0)"
)
_FIND_FOREIGN: Final = f"SELECT 1 FROM Cache WHERE key = ? AND {_FOREIGN}"  # noqa: S608 - constants
_PURGE: Final = f"DELETE FROM Cache WHERE tag <= ? OR {_FOREIGN}"  # noqa: S608 - constants

_SETTINGS: Final[dict[str, Any]] = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "statistics": 0,
    "tag_index": 0,
    "disk_min_file_size": _LONGEST_ROW,  # shorter values are kept in the row itself
}

_PRAGMAS: Final = (
    # SQLite finds a write-ahead log by its name. Closing a database that was moved or deleted
    # would destroy the log of its successor.
    "journal_mode = DELETE",
    # A power cut, but no killed process, may lose entries, which can be requested again.
    "synchronous = OFF",
    # Deleted tokens are overwritten.
    "secure_delete = ON",
    # SQLite's advice for files that may be damaged or hostile: https://sqlite.org/security.html
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "mmap_size = 0",
)


class _Connection(sqlite3.Connection):
    """A connection that raises an `OSError` for failures outside the file's contents.

    diskcache treats every `OperationalError` as a busy database, and retries or hides it.

    Attributes:
        schema: The schema that diskcache created or found, as SQLite stores it.
    """

    schema: frozenset[str] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._process = os.getpid()
        super().__init__(*args, **kwargs)

    def __del__(self) -> None:
        if self._process != os.getpid():
            # Closing it in a child would roll back its parent's transaction, or wait for the
            # parent's lock (https://sqlite.org/howtocorrupt.html section 2.6): it is never freed.
            import ctypes  # takes milliseconds; only for forks without Python's hooks

            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
            return
        # Python 3.13 warns of a connection that garbage collection closes.
        with contextlib.suppress(sqlite3.Error):  # it could not be opened
            self.close()

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql.startswith("CREATE "):
            self.schema |= {sql.replace(" IF NOT EXISTS", "", 1)}
        # Threat: forged settings. Also, SQLite itself rolls back, for example if the disk is full.
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
    """Converts columns to keys and values: only strings, which are in the row itself."""

    def get(self, key: object, raw: object) -> object:  # noqa: ARG002 - diskcache's signature
        """Return the key of a row unchanged; diskcache's own method would unpickle it."""
        return key

    def fetch(
        self,
        mode: object,
        filename: object,
        value: object,
        read: object,  # noqa: ARG002 - diskcache's signature
    ) -> str:
        """Return the value of a row; diskcache treats an `OSError` as a miss."""
        if mode != _MODE_RAW or filename is not None or not isinstance(value, str):
            raise FileNotFoundError("Not a row with a string.")
        return value

    def remove(self, file_path: object) -> None:
        """Delete no file, because rows have no files."""


class StringCache(diskcache.Cache):  # type: ignore[misc]
    """The database at `path`, with one connection for all threads, which use it one at a time.

    Args:
        path: The database; it must exist, because SQLite would create it readable for others.

    Raises:
        OSError: The file can't be read or written; a `TimeoutError` if another process writes for
            longer than `PATIENCE` seconds.
    """

    # Threat: diskcache's own property would open a second connection without the limits below.
    _con: Any = None

    # Threat: diskcache's own `__init__` reads settings and pragmas from the database, creates it
    # readable for others, and expands `$` and `~` in its path.
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
        """Let diskcache create its tables, or check that they exist and nothing else does.

        Args:
            new: Whether the file is new and needs its tables.

        Raises:
            sqlite3.DatabaseError: The file is not a database, or keyturn did not create it.
        """
        for pragma in _PRAGMAS:
            self._sql(f"PRAGMA {pragma}")
        self._sql("BEGIN")
        select = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
        found = frozenset(sql for (sql,) in self._sql(select))
        self.__dict__.update(_SETTINGS)
        # diskcache would expand `~` and `$` in a path, and does not use this one otherwise.
        super().__init__(os.sep, disk=StringDisk, **_SETTINGS)
        # A trigger could delete, or a column change, a written entry without an error.
        if not new and found != self._con.schema:
            raise sqlite3.DatabaseError("emptied, or changed by something other than keyturn")
        self._sql("COMMIT")

    # Threat: settings in a forged database, such as a size limit that makes it delete rows.
    def reset(self, key: object, value: object = None, update: object = True) -> None:  # noqa: FBT002 - diskcache's signature
        """Set nothing: the settings are those above, not those of the database."""

    def load(self, key: str) -> tuple[str, float] | None:
        """Return the entry at `key` and its expiry (epoch seconds), or None."""
        entry, expires_at = cast("tuple[str | None, object]", self.get(key, tag=True))
        if isinstance(entry, str) and isinstance(expires_at, float) and expires_at > 0:
            return entry, expires_at
        # One statement, because a row written between two statements would count as foreign.
        if self._sql(_FIND_FOREIGN, (key,)).fetchone():
            logger.warning("a row of the token store is not keyturn's: ignoring it")
        return None

    def purge(self, now: float) -> None:
        """Delete the rows that expired before `now` (epoch seconds), and foreign rows."""
        self._sql(_PURGE, (now,))

    def disconnect(self) -> None:
        """Close the connection permanently."""
        self._con.close()
