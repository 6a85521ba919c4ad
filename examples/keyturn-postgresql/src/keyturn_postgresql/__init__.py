"""A token store at `postgresql://user:password@host:5432/database`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keyturn

if TYPE_CHECKING:
    from keyturn_postgresql.store import PostgresqlStore


@keyturn.plugins.hookimpl
def keyturn_store(url: str) -> PostgresqlStore | None:
    """Return the token store at a URL, or None if its scheme belongs to another plugin."""
    if url.partition("://")[0] not in ("postgresql", "postgres"):
        return None
    # Every program that loads plugins imports this module; few of them need psycopg, which is slow.
    from keyturn_postgresql.store import PostgresqlStore

    return PostgresqlStore(url)
