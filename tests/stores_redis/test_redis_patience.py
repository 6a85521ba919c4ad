"""How long the Redis store waits for its server, and how many operations it runs at once."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis

import keyturn
from keyturn.stores._redis import COOLDOWN, RedisStore, _TimedSocket

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.conftest import World

    Serve = Callable[..., Any]

GREETING = b"+OK\r\n"
AT_ONCE = 4


class Client:
    """A redis-py client whose behaviour the test sets.

    Args:
        get: Called to read.
        take: Called to take a lock.
        release: Called to release a lock.
    """

    def __init__(
        self,
        get: Callable[[], bytes] = bytes,
        take: Callable[[], int] = lambda: 1,
        release: Callable[[], object] = lambda: 1,
    ) -> None:
        self._get, self._take, self._release = get, take, release

    def getrange(self, *_: object) -> bytes:
        """Read."""
        return self._get()

    def eval(self, script: str, *_: object) -> object:
        """Take a lock, or release it."""
        return self._release() if '"del"' in script else self._take()


def store_of(client: Client, now: Callable[[], float] = lambda: 1000.0) -> RedisStore:
    """Return a store with such a client."""
    return RedisStore(cast("redis.Redis", client), now)


def greeting_first(
    response: Callable[[socket.socket], None],
) -> Callable[[Any, socket.socket], None]:
    """Return a behaviour: greet as Redis does, and then call `response`."""

    def behave(server: Any, connection: socket.socket) -> None:
        while data := connection.recv(65_536):
            server.received.append(data)
            if b"SETINFO" in data:
                connection.sendall(GREETING * data.count(b"SETINFO"))
                continue
            with contextlib.suppress(OSError):
                response(connection)

    return behave


def dripping(connection: socket.socket) -> None:
    """Send a long response byte by byte."""
    connection.sendall(b"$200000\r\n")
    for _ in range(200_000):
        connection.sendall(b"a")
        time.sleep(0.02)


def endless(connection: socket.socket) -> None:
    """Send a line that never ends."""
    while True:
        connection.sendall(b"a" * 65_536)


def test_wait_for_a_slow_response_is_limited(serve: Serve) -> None:
    """Each byte would restart the timeout, and a token would wait for the store forever."""
    server = serve(greeting_first(dripping))
    store = RedisStore(f"redis://127.0.0.1:{server.port}?socket_timeout=0.1")
    failures: list[OSError] = []

    def read() -> None:
        try:
            store.read("a")
        except OSError as error:
            failures.append(error)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(10)
    (failure,) = failures
    # Either the total time or that of a single read was over.
    message = str(failure).removesuffix(": the operation took too long")
    assert message == "[Errno 5] Redis failed with TimeoutError"
    store.close()


def test_line_without_an_end_is_not_stored(serve: Serve) -> None:
    """A faulty server would fill this process's memory until the timeout."""
    server = serve(greeting_first(endless))
    store = RedisStore(f"redis://127.0.0.1:{server.port}?socket_timeout=60")
    with pytest.raises(OSError, match="Redis failed with ConnectionError"):
        store.read("a")
    store.close()


def test_each_operation_has_its_own_timeout(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection would fail once it is older than the timeout."""
    clock = SimpleNamespace(now=0.0)
    fake = SimpleNamespace(monotonic=lambda: clock.now, sleep=time.sleep)
    monkeypatch.setattr("keyturn.stores._redis.time", fake)
    store = RedisStore(redis_url, now=lambda: 1000.0)
    store.write("a", "entry", 2000)
    clock.now = 1000.0
    assert store.read("a") == "entry"
    assert store.read("a") == "entry"
    store.close()


def test_hiredis_has_the_same_timeout() -> None:
    """hiredis reads into a buffer of its own, so a slow response would never end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        timed, buffer = _TimedSocket(ours, 60), bytearray(65_536)
        timed.sendall(b"command")
        theirs.sendall(b"response")
        assert bytes(buffer[: timed.recv_into(buffer)]) == b"response"
        timed = _TimedSocket(ours, 1e-9)
        timed.sendall(b"command")
        theirs.sendall(b"response")
        with pytest.raises(TimeoutError):
            timed.recv_into(buffer)
        timed = _TimedSocket(ours, 60)
        timed.sendall(b"command")
        with pytest.raises(OSError, match="too long"):  # noqa: PT012 - one of the reads raises
            while True:
                theirs.sendall(bytes(65_536))
                timed.recv_into(buffer)


def test_one_late_response_is_not_yet_an_outage() -> None:
    """On a busy machine, processes would stop using a healthy Redis, and exceed the rate limit."""
    late, ended = redis.TimeoutError(), redis.ConnectionError()
    outcomes: list[Exception | bytes] = [late, b"", late, late]
    now = 1000.0

    def get() -> bytes:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    store = store_of(Client(get), lambda: now)

    def read() -> str:
        try:
            return str(store.read("a"))
        except OSError as error:
            return str(error.strerror)

    late_message = "Redis failed with TimeoutError"
    alone = "Redis failed, so it is not called for 5 s"
    assert [read() for _ in range(5)] == [late_message, "None", late_message, late_message, alone]
    assert not outcomes
    now += COOLDOWN
    outcomes += [late]
    assert [read(), read()] == [late_message, alone]  # the server has not responded since
    now += COOLDOWN
    outcomes += [b"", ended]
    assert [read() for _ in range(3)] == ["None", "Redis failed with ConnectionError", alone]


def test_late_responses_of_one_moment_count_once() -> None:
    """On a busy machine, operations that are late for one reason would count as an outage."""
    together = threading.Barrier(AT_ONCE)
    asked: list[None] = []

    def get() -> bytes:
        asked.append(None)
        if len(asked) > AT_ONCE:
            return b""
        together.wait(10)
        raise redis.TimeoutError

    store = store_of(Client(get))

    def read() -> None:
        with contextlib.suppress(OSError):
            store.read("a")

    threads = [threading.Thread(target=read) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("a") is None


def test_few_operations_run_at_once_and_waiting_ones_fail_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each thread would open a socket; or each would wait until it finds that Redis hangs."""
    go_on, asked = threading.Event(), threading.Semaphore(0)
    calls: list[None] = []
    failed: list[str] = []

    def get() -> bytes:
        calls.append(None)
        asked.release()
        go_on.wait(10)
        raise redis.ConnectionError

    store = store_of(Client(get))

    def read() -> None:
        try:
            store.read("a")
        except OSError as error:
            failed.append(str(error.strerror))

    threads = [threading.Thread(target=read) for _ in range(AT_ONCE + 6)]
    for thread in threads:
        thread.start()
    for _ in range(AT_ONCE):
        assert asked.acquire(timeout=10)
    monkeypatch.setattr("keyturn.stores._redis._QUEUE_PATIENCE", 0.01)
    with pytest.raises(OSError, match=r"Redis was busy for 0\.01 s"):
        store.read("a")
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(calls) == AT_ONCE
    assert failed.count("Redis failed with ConnectionError") == AT_ONCE
    assert failed.count("Redis failed, so it is not called for 5 s") == 6


def test_child_does_not_wait_for_the_threads_of_its_parent(
    run_python: Callable[..., str],
) -> None:
    """A worker forked from a busy program could never use the store."""
    code = """
import os, threading
from keyturn.stores._redis import RedisStore

asked, go_on = threading.Semaphore(0), threading.Event()

class Client:
    def getrange(self, *_):
        if threading.current_thread() is not threading.main_thread():
            asked.release()
            go_on.wait(10)
        return b""

store = RedisStore(Client())
threads = [threading.Thread(target=store.read, args=["a"]) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in threads:
    asked.acquire()
if not (child := os.fork()):
    try:
        os._exit(store.read("a") is not None)
    finally:
        os._exit(2)
print(os.waitpid(child, 0)[1])
go_on.set()
for thread in threads:
    thread.join()
"""
    assert run_python(code) == "0"


@pytest.mark.parametrize("fails", ["at the lock", "in the block"])
def test_lock_is_released_when_the_server_responds_again(fails: str) -> None:
    """A server that hangs would delay a token twice, or block others until the lease ends."""
    now, is_down, released = [1000.0], True, list[str]()

    def take() -> int:
        if fails == "at the lock":
            raise redis.TimeoutError
        return 1

    def get() -> bytes:
        if is_down:
            raise redis.ConnectionError
        return b""

    def release() -> None:
        released.append("tried")
        if len(released) == 1:
            raise redis.TimeoutError

    store = store_of(Client(get, take, release), lambda: now[0])
    for _ in range(2):
        with pytest.raises(OSError, match="Redis failed"), store.lock("a", 30):
            store.read("a")
        assert len(released) <= 1  # no lock at the end of the block
        now[0] += COOLDOWN + 1
    is_down = False
    for _ in range(3):
        assert store.read("a") is None
    assert released == ["tried"] * 2


def test_lock_without_an_expiry_has_no_holder(
    redis_store: RedisStore, redis_client: redis.Redis
) -> None:
    """A key that was set manually would delay each renewal by the whole lease, forever."""
    redis_client.set("keyturn:lock:a", "x")
    with redis_store.lock("a", 30):
        assert 0 < redis_client.pttl("keyturn:lock:a") <= 30_000
        with pytest.raises(TimeoutError), redis_store.lock("a", 0.02):
            pass
    assert not redis_client.exists("keyturn:lock:a")


@pytest.mark.parametrize("held", ["for years", "as a list"])
def test_lock_of_another_program_is_taken_or_waited_for_once(
    redis_store: RedisStore, redis_client: redis.Redis, held: str
) -> None:
    """A key of another program would delay each renewal by the whole lease, for years."""
    name = "keyturn:lock:a"
    if held == "for years":
        redis_client.set(name, "theirs", px=3 * 366 * 86_400_000)
        with redis_store.lock("a", 30):
            assert 0 < redis_client.pttl(name) <= 30_000
    else:
        redis_client.lpush(name, "theirs")
        redis_client.pexpire(name, 3_600_000)
        for lease in (0.02, 600):  # the second attempt must fail at once
            with pytest.raises(TimeoutError), redis_store.lock("a", lease):
                pass
        redis_client.delete(name)
        with redis_store.lock("a", 30):
            assert redis_client.type(name) == b"string"


def test_lock_with_a_new_holder_is_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy lock would count as stale, and every process would continue without it."""
    clock, holders = SimpleNamespace(now=0.0), itertools.count()

    def sleep(seconds: float) -> None:
        clock.now += seconds

    fake = SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep)
    monkeypatch.setattr("keyturn.stores._redis.time", fake)
    store = store_of(Client(take=lambda: next(holders) + 10 if clock.now < 40 else 1))
    with pytest.raises(TimeoutError), store.lock("a", 30):
        pass
    with store.lock("a", 30):
        assert clock.now >= 40


@pytest.mark.timeout(30)
def test_malicious_locks_and_a_slow_endpoint_cost_time_and_no_token(
    world: World,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An attacker who can write to a shared Redis could prevent every token."""
    for module, name, seconds in (
        ("acquisition", "_LEASE_EXTRA", 0.1),
        ("rate_limiter", "_LEASE", 0.5),
        *((each, "STORE_PATIENCE", 0.8) for each in ("acquisition", "manager", "token_request")),
    ):
        monkeypatch.setattr(f"keyturn._tokens.{module}.{name}", seconds)

    class LockedStore(RedisStore):
        """A store whose locks are all held by an unknown holder."""

        def lock(self, key: str, lease: float) -> AbstractContextManager[None]:
            redis_client.set(f"keyturn:lock:{key}", "theirs", px=3_600_000)
            return super().lock(key, lease)

    def slow() -> keyturn.plugins.Response:
        time.sleep(0.7)
        return world.endpoint.token("t0ken")

    world.endpoint.responses.append(slow)
    limit = keyturn.plugins.RateLimit(per_minute=3, burst=20)
    connection = world.connect(
        world.changed(rate_limit=limit), store=LockedStore(redis_client), options={"timeout": 1}
    )

    assert connection.token().access_token == "t0ken"
    assert len([each for each in caplog.messages if "failed to lock" in each]) == 1


def test_waiter_polls_less_often_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many waiters for a lock would overload the server."""
    clock = SimpleNamespace(now=0.0)
    asked: list[float] = []

    def take() -> int:
        asked.append(clock.now)
        return 0

    def sleep(seconds: float) -> None:
        clock.now += seconds

    fake = SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep)
    monkeypatch.setattr("keyturn.stores._redis.time", fake)
    with pytest.raises(TimeoutError), store_of(Client(take=take)).lock("a", 30):
        pass
    assert len(asked) < 200
    assert all(later - at <= max(at / 10, 0.005) for at, later in itertools.pairwise(asked))
