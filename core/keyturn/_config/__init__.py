"""Connections by name: what `keyturn.toml` and the environment define."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn._config.reading import read

if TYPE_CHECKING:
    import os

    from keyturn._connection import Connection

__all__ = ["load_connection", "read"]


def load_connection(name: str, *, config: str | os.PathLike[str] | None = None) -> Connection:
    """Return the connection of a name, as the configuration file and the environment define it.

    A variable such as `KEYTURN_CONNECTIONS__NORCE_STAGE__CLIENT_ID` overrides one setting, or
    gives it where there is no file. Tokens are kept in the connection's `store`, else the file's,
    else `$KEYTURN_STORE`, else on disk in the user's cache directory; encrypted if the file has a
    `store_key`.

    All problems of the file are reported, whichever connection is loaded. Of the other connections
    only what shows without importing their providers is checked, and their references to secrets
    are never resolved: `keyturn check` checks all of them.

    Args:
        name: The connection's name.
        config: The configuration file; by default `$KEYTURN_CONFIG`, else `keyturn.toml` in the
            user's configuration directory. The working directory is never searched.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read, it has problems (all are named,
            by their paths), or there is no such connection.
    """
    return read(config).open(name)
