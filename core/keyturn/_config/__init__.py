"""Connections by name: what `keyturn.toml` and the environment make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn._config.configuration import Configuration, read

if TYPE_CHECKING:
    import os

    from keyturn._connection import Connection

__all__ = ["Configuration", "connection_names", "load_connection", "read"]


def load_connection(name: str, *, config: str | os.PathLike[str] | None = None) -> Connection:
    """Return the connection of a name, as the configuration file and the environment have it.

    A variable such as `KEYTURN_CONNECTIONS__NORCE_STAGE__CLIENT_ID` overrides one setting, or
    gives it where there is no file. Tokens are kept in the connection's `store`, else the file's,
    else `$KEYTURN_STORE`, else on disk in the user's cache directory; encrypted if the file has a
    `store_key`.

    All mistakes of the file are reported, whichever connection is asked for. Of the other
    connections only what can be told without importing their providers is checked, and their secret
    references are never resolved: `keyturn check` does both for all of them.

    Args:
        name: The connection's name.
        config: The configuration file; by default `$KEYTURN_CONFIG`, else `keyturn.toml` in the
            user's configuration directory. It is never looked for in the working directory.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read, it has mistakes (all are named,
            by their paths), there is no such connection, or a secret can't be had.
    """
    return read(config).open(name)


def connection_names(config: str | os.PathLike[str] | None = None) -> list[str]:
    """Return the names of the configured connections, sorted.

    Args:
        config: The configuration file; see `load_connection`.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read.
    """
    return read(config).names()
