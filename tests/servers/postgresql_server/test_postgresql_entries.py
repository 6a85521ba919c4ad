"""The example's PostgreSQL store on a real server behaves like every store, and leaks nothing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

import keyturn

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = REPOSITORY / "examples" / "keyturn-postgresql"
EVERY_STORE = REPOSITORY / "tests" / "stores" / "test_every_store.py"


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


every_store = _load(EVERY_STORE)
# The tests of memory and disk stores also hold here; they use this directory's fixture `store`.
globals().update(
    {name: test for name, test in vars(every_store).items() if name.startswith("test_")}
)


def test_operations_match_a_dictionary(server: Any, open_store: Callable[..., Any]) -> None:
    """A sequence of operations would give another result than with a dictionary."""

    class PostgresqlMachine(every_store.StoreMachine):  # type: ignore[misc]  # it is loaded by path
        def make_store(self, now: Callable[[], float]) -> Any:
            server.run("DROP TABLE IF EXISTS keyturn_entries, keyturn_locks")
            self.opened = open_store(server.socket_url, now=now)
            return self.opened

        def teardown(self) -> None:
            self.opened.close()

    limits = settings(max_examples=25, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(PostgresqlMachine, settings=limits)


def test_the_examples_own_tests_pass(server: Any) -> None:
    """A copy of the example would start with failing tests."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=EXAMPLE,
        env=os.environ
        | {"KEYTURN_POSTGRESQL_URL": server.url, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_accepts_its_own_schemes_only(
    server: Any, stores: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A plugin would accept the URLs of another one, or import psycopg for them."""
    for url in (server.url, server.url.replace("postgresql:", "postgres:")):
        store = keyturn.stores.from_url(url)
        assert isinstance(store, stores.PostgresqlStore)
        store.write("a", "entry", float("inf"))
        assert store.read("a") == "entry"
        store.close()
    with pytest.raises(keyturn.errors.ConfigurationError, match="mysql"):
        keyturn.stores.from_url("mysql://localhost")
    assert caplog.text == ""


def test_other_plugins_do_not_import_psycopg(start: Callable[..., Any]) -> None:
    """Every program with this plugin installed would take longer to start."""
    code = """
import sys, keyturn
try:
    keyturn.stores.from_url("mysql://localhost")
except keyturn.errors.ConfigurationError:
    print("keyturn_postgresql" in sys.modules, "psycopg" in sys.modules)
"""
    assert start(code).communicate() == ("True False\n", "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret-for-tests@[::1/database",
        "postgresql://user:s3cret-for-tests@localhost/database?pasword=s3cret-for-tests",
        "postgresql://user:s3cret-for-tests%zz@localhost/database",
    ],
)
def test_an_unusable_url_is_not_shown(stores: Any, url: str) -> None:
    """A typing error in a URL would put its password into a log."""
    with pytest.raises(keyturn.errors.ConfigurationError, match="percent-encoded") as caught:
        stores.PostgresqlStore(url)
    shown: BaseException | None = caught.value
    while shown is not None:
        assert "s3cret" not in repr(shown)
        assert "s3cret" not in str(shown)
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)


def test_the_password_is_not_shown(server: Any, open_store: Callable[..., Any]) -> None:
    """Printing a store or its attributes would show the password."""
    store = open_store(server.url)
    store.write("a", "entry", float("inf"))
    database = vars(store)["_database"]
    shown = repr(store) + repr(vars(store)) + repr(vars(database))
    assert "s3cret" not in shown
    assert "entry" not in repr(vars(database)["_connection"])


def test_other_users_cannot_read_entries(server: Any, store: Any) -> None:
    """Tokens would be readable by other users of the database, or be in its backups and log."""
    store.write("a", "entry", 2000)
    with store.lock("a", 30):
        tables = "FROM pg_class WHERE relname LIKE 'keyturn%' AND relkind = 'r'"
        assert server.run(f"SELECT relname::text {tables} ORDER BY 1") == [
            b"keyturn_entries",
            b"keyturn_locks",
        ]
        assert server.run(f"SELECT relpersistence {tables}") == [b"u", b"u"]
        assert server.run(f"SELECT relacl {tables}") == [None, None]  # only the owner has access
    assert server.run("SELECT count(*) FROM keyturn_locks") == [0]


def test_expired_entries_are_deleted(server: Any, open_store: Callable[..., Any]) -> None:
    """The table would grow forever with entries that are never read."""
    now = 1000.0
    store = open_store(server.socket_url, now=lambda: now)
    for number in range(3):
        store.write(f"a-{number}", "entry", 1010 + number)
    now = 1011
    store.write("b", "entry", 2000)
    assert server.run("SELECT key::bytea FROM keyturn_entries ORDER BY 1") == [b"a-2", b"b"]


def test_a_dropped_table_is_created_again(server: Any, store: Any) -> None:
    """After a database was recreated, each process would warn for every token."""
    store.write("a", "entry", 2000)
    server.run("DROP TABLE keyturn_entries, keyturn_locks")
    assert store.read("a") is None
    with store.lock("a", 30):
        store.write("a", "entry", 2000)
    assert store.read("a") == "entry"


def test_a_role_needs_no_right_to_create_tables(server: Any, store: Any) -> None:
    """A role would need more rights than an administrator may want to grant."""
    store.write("a", "entry", 2000)
    server.run("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
    server.run("GRANT USAGE ON SCHEMA public TO guest")
    server.run("GRANT SELECT, INSERT, UPDATE, DELETE ON keyturn_entries, keyturn_locks TO guest")
    with pytest.raises(Exception, match="permission denied"):
        server.run("SET ROLE guest; CREATE TABLE another ()")
    guest = type(store)(server.socket_url.replace("keyturn@", "guest@"), now=lambda: 1000.0)
    with guest.lock("a", 30):
        guest.write("b", "entry", 2000)
        assert guest.read("a") == guest.read("b") == "entry"
        guest.delete("a")
    guest.close()
    server.run("DROP OWNED BY guest; DROP ROLE guest")


def test_threads_share_one_connection(server: Any, open_store: Callable[..., Any]) -> None:
    """Each renewal would open a connection, and a server usually allows a hundred."""
    store = open_store(server.socket_url)
    connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'keyturn'"
    results = []

    def work(number: int) -> None:
        for _ in range(10):
            store.write(f"a-{number}", str(number), float("inf"))
            results.append(store.read(f"a-{number}") == str(number))

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80
    assert server.run(connections) == [1]
