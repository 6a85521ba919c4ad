"""A PostgreSQL server with a failure: each failure costs a warning, and the token comes."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import keyturn
from keyturn.stores._resilient import ResilientStore
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Yield an emulator without rate limits."""
    with Emulator(rate_limits=False) as running:
        yield running


def stopped(server: Any) -> str:
    """Return the URL of a stopped server."""
    server.stop()
    return str(server.url)


def hanging(server: Any) -> str:
    """Return the URL of a server that accepts connections and does not respond."""
    server.hang()
    return str(server.url)


def wrong_password(server: Any) -> str:
    """Return a URL with a wrong password."""
    return re.sub(r"s3cret", "not-s3cret", server.url)


def without_database(server: Any) -> str:
    """Return the URL of a database that does not exist."""
    return str(server.url) + "-elsewhere"


def read_only(server: Any) -> str:
    """Return a URL for read-only sessions."""
    return f"{server.url}?options=-cdefault_transaction_read_only%3Don"


def without_rights(server: Any) -> str:
    """Return a URL of a schema that does not exist, so that no table can be created."""
    return f"{server.url}?options=-csearch_path%3Dnowhere"


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (stopped, "OperationalError"),
        (hanging, "ConnectionTimeout"),
        (wrong_password, "OperationalError"),
        (without_database, "OperationalError"),
        (read_only, "ReadOnlySqlTransaction"),
        (without_rights, "InvalidSchemaName"),
    ],
)
def test_a_token_comes(
    server: Any,
    emulator: Emulator,
    open_store: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[[Any], str],
    reason: str,
) -> None:
    """A failing server would stop every program that shares tokens through it."""
    settings = emulator.settings("orocommerce")
    store = open_store(trouble(server))
    with keyturn.connect("orocommerce", **settings, store=store) as connection:
        token = connection.token()
        assert connection.token() is token
        assert connection.token(stale=token).access_token != token.access_token
        assert emulator.token_requests("orocommerce") == 2
    assert f"OSError: PostgreSQL failed with {reason}" in caplog.text
    for secret in ("s3cret", token.access_token, settings["client_secret"]):
        assert secret not in caplog.text


def test_a_server_that_hangs_is_not_called_again(
    server: Any, open_store: Callable[..., Any]
) -> None:
    """libpq waits forever for a response: every renewal would block, one after another."""
    store = open_store(server.url)
    store.write("a", "entry", float("inf"))
    server.hang()
    with pytest.raises(OSError, match="failed with ConnectionTimeout"):
        store.read("a")
    server.go_on()
    with pytest.raises(OSError, match="not called"), store.lock("a", 30):
        pass


def test_a_slow_statement_ends_at_its_timeout(
    server: Any, open_store: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that another session has locked would block every renewal."""
    monkeypatch.setattr("keyturn_postgresql.database.PATIENCE", 0.2)
    store = open_store(server.socket_url)
    store.write("a", "entry", float("inf"))
    with psycopg.connect(server.socket_url) as other:
        other.execute("LOCK TABLE keyturn_entries")
        with pytest.raises(OSError, match="PostgreSQL failed with OperationalError"):
            store.read("a")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_restart_costs_no_warning(
    server: Any, open_store: Callable[..., Any], number: signal.Signals
) -> None:
    """Every restart of the server would cost each process a warning and a token request."""
    store = open_store(server.url)
    store.write("a", "entry", float("inf"))
    server.stop(number)
    server.start()
    # After a crash, an unlogged table is empty.
    assert store.read("a") == ("entry" if number == signal.SIGINT else None)
    with store.lock("a", 30):
        server.stop(number)
        server.start()


def test_a_lost_response_costs_no_lock(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks just after the lock was taken would lock out its own holder."""
    database = vars(store)["_database"]
    send = database._send  # noqa: SLF001 - the server can't be made to disconnect at that point

    def send_and_lose_the_response(statement: str, values: Any) -> Any:
        monkeypatch.undo()
        send(statement, values)
        vars(database)["_connection"].close()
        raise psycopg.OperationalError

    def wait_for_itself(_: float) -> None:
        pytest.fail("the holder waits for itself")

    store.write("a", "entry", 2000)
    monkeypatch.setattr(database, "_send", send_and_lose_the_response)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keyturn_postgresql.store.time.sleep", wait_for_itself)
        with store.lock("a", 30):
            assert store.read("a") == "entry"


def test_the_store_is_used_again_after_an_outage(
    server: Any, open_store: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a short outage, the server would never be used again."""
    monkeypatch.setattr("keyturn_postgresql.database.COOLDOWN", 0.0)
    store = ResilientStore(open_store(server.url))
    store.write("a", "entry", float("inf"))
    server.stop()
    assert store.read("a") is None
    store.write("b", "another", float("inf"))
    server.start()
    assert store.read("a") == "entry"
    assert store.read("b") == "another"


@pytest.mark.parametrize("nonsense", [b"\xff\xfe", b"null", b"{}", b"", b"[1e400]"])
def test_invalid_entries_are_ignored(
    server: Any, emulator: Emulator, open_store: Callable[..., Any], nonsense: bytes
) -> None:
    """Another writer's entry would be read as a token, a rate limit or an error response."""
    settings = emulator.settings("norce-commerce", environment="stage")
    store = open_store(server.url)
    with keyturn.connect("norce-commerce", **settings, store=store) as connection:
        connection.token()
    change = "UPDATE keyturn_entries SET entry = %s RETURNING 1"
    assert server.run(change, nonsense) == [1, 1]
    with keyturn.connect("norce-commerce", **settings, store=store) as connection:
        assert connection.token().access_token
    assert emulator.token_requests("norce-commerce") == 2
