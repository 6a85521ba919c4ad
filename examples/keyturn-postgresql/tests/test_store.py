"""The store passes keyturn's own tests of stores, on the database at $KEYTURN_POSTGRESQL_URL."""

from __future__ import annotations

import os

import keyturn
from keyturn.testing import StoreConformance
from keyturn_postgresql.store import PostgresqlStore


class TestPostgresqlStore(StoreConformance):
    """Every behaviour that a store must have."""

    def new_store(self) -> PostgresqlStore:
        """Return a store with its own connection."""
        return PostgresqlStore(os.environ["KEYTURN_POSTGRESQL_URL"])


def test_is_found_by_its_url() -> None:
    """A plugin that isn't found by its URL can't be chosen in a configuration."""
    for scheme in ("postgresql", "postgres"):
        store = keyturn.stores.from_url(f"{scheme}://user@localhost/database")
        assert isinstance(store, PostgresqlStore)
