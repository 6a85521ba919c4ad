"""A Redis server with a failure: each failure costs a warning, and the token comes."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn.stores._redis import COOLDOWN, RedisStore
from keyturn.stores._resilient import ResilientStore
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    StartRedis = Callable[..., Any]

PASSWORD = "s3cret-for-tests"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Yield an emulator without rate limits."""
    with Emulator(rate_limits=False) as running:
        yield running


def stopped(start: StartRedis) -> str:
    """Return the URL of a stopped server."""
    server = start()
    server.stop()
    return str(server.url)


def hanging(start: StartRedis) -> str:
    """Return the URL of a server that accepts connections and does not respond."""
    server = start()
    server.send_signal(signal.SIGSTOP)
    return str(server.url)


def hanging_at_the_password(start: StartRedis) -> str:
    """Return the URL of such a server, with a password."""
    return hanging(start).replace("redis://", f"redis://:{PASSWORD}@")


def read_only(start: StartRedis) -> str:
    """Return the URL of a replica whose master can't be reached."""
    return str(start(replicaof="127.0.0.1 1").url)


def full(start: StartRedis) -> str:
    """Return the URL of a server without free memory."""
    return str(start(maxmemory=1, maxmemory_policy="noeviction").url)


def without_password(start: StartRedis) -> str:
    """Return a URL without the password that the server requires."""
    return str(start(requirepass=PASSWORD).url)


def wrong_password(start: StartRedis) -> str:
    """Return a URL with a wrong password."""
    return without_password(start).replace("redis://", f"redis://:not-{PASSWORD}@")


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (stopped, "ConnectionError"),
        (hanging, "TimeoutError"),
        (hanging_at_the_password, "TimeoutError"),
        (read_only, "ReadOnlyError"),
        (full, "OutOfMemoryError"),
        (without_password, "AuthenticationError"),
        (wrong_password, "AuthenticationError"),
    ],
)
def test_a_token_comes(
    start_redis: StartRedis,
    emulator: Emulator,
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[[StartRedis], str],
    reason: str,
) -> None:
    """A failing server would stop every program that shares tokens through it."""
    settings = emulator.settings("orocommerce")
    with keyturn.connect("orocommerce", **settings, store=trouble(start_redis)) as connection:
        token = connection.token()
        assert connection.token() is token
        assert connection.token(stale=token).access_token != token.access_token
        assert emulator.token_requests("orocommerce") == 2
    assert f"OSError: Redis failed with {reason}" in caplog.text
    for secret in (PASSWORD, token.access_token, settings["client_secret"]):
        assert secret not in caplog.text


@pytest.mark.parametrize("nonsense", [b"\xff\xfe", b"9999999999 {}", b"nan []", b"5", b""])
def test_invalid_entries_are_ignored(server: Any, emulator: Emulator, nonsense: bytes) -> None:
    """Another writer's entry would be read as a token, a rate limit or an error response."""
    settings = emulator.settings("norce-commerce", environment="stage")
    with keyturn.connect("norce-commerce", **settings, store=server.url) as connection:
        connection.token()
    keys = server.admin.keys()
    assert len(keys) == 2
    for key in keys:
        server.admin.set(key, nonsense)
    for count in (2, 2):
        with keyturn.connect("norce-commerce", **settings, store=server.url) as connection:
            assert connection.token().access_token
        assert emulator.token_requests("norce-commerce") == count


def test_a_restart_costs_no_warning(server: Any) -> None:
    """Every restart of the server would cost each process a warning and a token request."""
    store = RedisStore(server.url)
    for _ in range(2):
        store.write("a", "entry", float("inf"))
        assert store.read("a") == "entry"
        server.stop()
        server.start()
        assert store.read("a") is None
    store.close()


def test_the_store_is_used_again_after_an_outage(server: Any) -> None:
    """After a short outage, the server would never be used again."""
    now = time.time()
    store = RedisStore(server.url, now=lambda: now)
    translate_errors = ResilientStore(store)
    translate_errors.write("a", "entry", float("inf"))
    server.stop()
    assert translate_errors.read("a") is None
    server.start()
    assert translate_errors.read("a") is None
    translate_errors.write("a", "entry", float("inf"))
    now += COOLDOWN
    assert (
        translate_errors.read("a") == "entry"
    )  # this process has its own writes of the meantime in memory
    assert store.read("a") is None
    translate_errors.write("a", "entry", float("inf"))
    assert store.read("a") == "entry"
    store.close()


def test_a_server_that_pauses_writes_keeps_no_lock(server: Any) -> None:
    """After a failover, a lock without a holder would block all callers until its lease ends."""
    taker, newcomer = RedisStore(f"{server.url}?socket_timeout=0.1"), RedisStore(server.url)
    taker.read("a")
    server.admin.client_pause(60_000, all=False)
    with pytest.raises(OSError, match="TimeoutError"), taker.lock("a", 30):
        pass
    server.admin.client_unpause()
    with newcomer.lock("a", 5):
        pass
    for store in (newcomer, taker):
        store.close()


def test_many_threads_use_few_connections(server: Any) -> None:
    """Many processes would use up the server's connections, and slow it down."""
    store = RedisStore(server.url)

    def use(number: int) -> None:
        for _ in range(5):
            with store.lock(f"key-{number}", 30):
                store.write(f"key-{number}", "entry", float("inf"))

    threads = [threading.Thread(target=use, args=[number]) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.admin.client_list()) <= 1 + 4
    assert [store.read(f"key-{number}") for number in range(30)] == ["entry"] * 30
    store.close()


def test_a_short_hang_leaves_no_lock(server: Any) -> None:
    """After a hang, a lock without a holder would block all callers until its lease ends."""
    short = f"{server.url}?socket_timeout=0.1"
    holder, newcomer = RedisStore(short), RedisStore(server.url)
    with pytest.raises(OSError, match="TimeoutError"), holder.lock("a", 30):
        server.send_signal(signal.SIGSTOP)
    taker = RedisStore(short)
    with pytest.raises(OSError, match="TimeoutError"), taker.lock("b", 30):
        pass
    server.send_signal(signal.SIGCONT)
    # The server now executes what was sent to it during the hang.
    with newcomer.lock("a", 5), newcomer.lock("b", 5):
        pass
    for store in (holder, newcomer, taker):
        store.close()
