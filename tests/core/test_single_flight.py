"""One token request for all callers: threads, tasks, processes, forks, killed processes."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import itertools
import json
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.core.bare_fork import BARE_FORK

import keyturn
from keyturn import errors
from keyturn._clock import Clock
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer, World


# Runs in its own process: a connection to a loopback endpoint, tokens kept on disk.
OPEN = """
import sys, keyturn
def open_connection(client_id="cid"):
    return keyturn.connect(
        "orocommerce", url=sys.argv[1], store="disk://" + sys.argv[2], client_id=client_id,
        client_secret="s3cret-for-tests",
    )
connection = open_connection()
"""


class Gate:
    """A gate that delays the endpoint's responses until it is opened."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reached = threading.Event()
        self.opened = threading.Event()

    def hold(self, *responses: keyturn.plugins.Response | BaseException) -> None:
        """Delay these responses, in order; without any, delay one token."""
        for response in responses or (self.world.endpoint.token("held"),):
            self.world.endpoint.responses.append(functools.partial(self._release, response))

    def _release(
        self, response: keyturn.plugins.Response | BaseException
    ) -> keyturn.plugins.Response:
        self.reached.set()
        assert self.opened.wait(20)
        if isinstance(response, BaseException):
            raise response
        return response


@pytest.fixture
def gate(world: World) -> Gate:
    """Give a gate for the world's endpoint."""
    return Gate(world)


def in_threads(number: int, work: Callable[[], object]) -> tuple[list[threading.Thread], list[Any]]:
    """Start threads, and return them and the list of their results and exceptions."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except errors.KeyturnError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads, results


def joined(threads: list[threading.Thread]) -> None:
    """Wait for threads."""
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_hundred_threads_make_one_request(world: World, gate: Gate) -> None:
    """A cold start would send a token request for each thread."""
    connections = [world.connect(name=str(number)) for number in range(10)]
    gate.hold()
    threads, results = [], []
    for connection in connections:
        started, gathered = in_threads(10, connection.token)
        threads += started
        results.append(gathered)
    gate.opened.set()
    joined(threads)

    assert {token.access_token for gathered in results for token in gathered} == {"held"}
    assert sum(map(len, results)) == 100
    assert len(world.endpoint.requests) == 1


def test_hundred_tasks_make_one_request(world: World, gate: Gate) -> None:
    """A cold start would send a token request for each task, or block the event loop."""
    connection = world.connect()
    gate.hold()

    async def work() -> list[keyturn.Token]:
        tasks = [asyncio.create_task(connection.atoken()) for _ in range(100)]
        await asyncio.sleep(0)
        gate.opened.set()  # this runs while the tasks wait, so they don't block the loop
        return await asyncio.gather(*tasks)

    tokens = asyncio.run(work())
    assert {token.access_token for token in tokens} == {"held"}
    assert len(world.endpoint.requests) == 1


def test_threads_and_tasks_share_one_request(world: World, gate: Gate) -> None:
    """An application with threads and tasks would send two requests."""
    connection = world.connect()
    gate.hold()
    threads, results = in_threads(20, connection.token)

    async def work() -> list[keyturn.Token]:
        tasks = [asyncio.create_task(connection.atoken()) for _ in range(20)]
        await asyncio.sleep(0)
        gate.opened.set()
        return await asyncio.gather(*tasks)

    tokens = asyncio.run(work())
    joined(threads)
    assert {token.access_token for token in (*tokens, *results)} == {"held"}
    assert len(world.endpoint.requests) == 1


def test_connections_with_different_stores_do_not_share_a_request(world: World, gate: Gate) -> None:
    """A token would be in another connection's store, but not in its own."""
    stores = [MemoryStore(lambda: world.clock.now) for _ in range(2)]
    connections = [world.connect(store=store) for store in stores]
    gate.hold()
    gate.hold()
    threads, _ = in_threads(1, connections[0].token)
    assert gate.reached.wait(10)
    others, _ = in_threads(1, connections[1].token)
    gate.opened.set()
    joined(threads + others)

    key = connections[0].token_request().fingerprint
    assert all(store.read(key) for store in stores)


def test_failed_renewal_of_a_valid_token_is_logged_once(
    world: World, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call during a failing renewal would log a line."""
    connection = world.connect()
    connection.token()
    world.clock.advance(3400)  # it is stale
    gate.hold(world.endpoint.response(400, {"error": "invalid_request"}))
    for _ in range(10):
        connection.token()
    gate.opened.set()
    world.land()

    assert caplog.text.count("the renewal before expiry failed") == 1


def test_different_keys_do_not_wait_for_each_other(world: World, gate: Gate) -> None:
    """One slow account would delay all others."""
    slow, quick = world.connect(client_id="slow"), world.connect(client_id="quick")
    gate.hold()
    threads, results = in_threads(1, slow.token)
    assert gate.reached.wait(10)

    assert quick.token().access_token == "token-2"
    assert results == []
    gate.opened.set()
    joined(threads)
    assert results[0].access_token == "held"


def test_cancelled_task_cancels_no_other(world: World, gate: Gate) -> None:
    """The first caller's cancellation would fail all other waiters, or repeat the request."""
    connection = world.connect()
    gate.hold()

    async def work() -> keyturn.Token:
        leader = asyncio.create_task(connection.atoken())
        follower = asyncio.create_task(connection.atoken())
        await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.opened.set()
        return await follower

    assert asyncio.run(work()).access_token == "held"
    assert len(world.endpoint.requests) == 1


def test_closed_event_loop_does_not_affect_other_callers(world: World, gate: Gate) -> None:
    """A renewal that an event loop started would fail or hang when the loop is closed."""
    connection = world.connect()
    gate.hold()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.atoken(), 0.01)

    asyncio.run(leave())
    assert gate.reached.wait(10)
    threads, results = in_threads(3, connection.token)
    gate.opened.set()
    joined(threads)
    assert {token.access_token for token in results} == {"held"}
    assert len(world.endpoint.requests) == 1


def test_loop_closed_during_a_wait_does_not_affect_other_callers(
    world: World, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """Waking a task of a closed loop would break the worker's other waiters."""
    connection = world.connect()
    gate.hold()
    loop = asyncio.new_event_loop()
    task = loop.create_task(connection.atoken())
    loop.run_until_complete(asyncio.sleep(0))
    assert gate.reached.wait(10)
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    gate.opened.set()
    world.land()

    assert connection.token().access_token == "held"
    assert caplog.records == []


def test_failure_reaches_all_waiters_and_the_next_call_sends_a_request(
    world: World, gate: Gate
) -> None:
    """Waiters would hang or share one exception object, or the next call get an old failure."""
    connection = world.connect(name="shop")
    gate.hold(world.endpoint.response(400, {"error": "invalid_request"}))
    threads, results = in_threads(20, connection.token)
    gate.opened.set()
    joined(threads)

    assert {type(error) for error in results} == {errors.TokenRequestRefused}
    assert len({id(error) for error in results}) == 20
    connection.forget()
    assert connection.token().access_token == "token-2"


def test_wait_for_a_request_times_out(world: World, gate: Gate) -> None:
    """A hanging worker would block every caller."""
    connection = world.connect(options={"timeout": 0.1})
    gate.hold()
    message = r"no token came within 0\.1 s: shop\.acme\.example has not responded"
    with pytest.raises(errors.EndpointUnavailable, match=message):
        connection.token()
    with pytest.raises(errors.EndpointUnavailable, match=message):
        asyncio.run(connection.atoken())
    gate.opened.set()
    world.land()

    assert connection.token().access_token == "held"


def test_waiter_that_resumes_late_gets_no_expired_token(world: World, gate: Gate) -> None:
    """After a blocked event loop or a suspended machine, a call would return an expired token."""
    connection = world.connect()
    gate.hold()

    async def wait() -> keyturn.Token:
        task = asyncio.create_task(connection.atoken())
        await asyncio.sleep(0)
        gate.opened.set()
        world.land()
        world.clock.advance(4000)
        return await task

    assert asyncio.run(wait()).access_token == "token-2"
    assert connection.token().access_token == "token-2"


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_tokens_that_expire_before_a_caller_gets_them_are_reported(
    world: World, asynchronous: bool
) -> None:
    """A call would never end, or return an expired token."""

    def authorization(_: object, __: object, token: keyturn.Token) -> tuple[str, str]:
        world.clock.advance(4000)
        return "Authorization", f"Bearer {token.access_token}"

    connection = world.connect(world.changed(authorization=authorization))
    with pytest.raises(
        errors.EndpointUnavailable, match="4 tokens in a row expired before they could be used"
    ):
        asyncio.run(connection.atoken()) if asynchronous else connection.token()


DISCARDS: dict[str, Callable[[keyturn.Connection, keyturn.Token], object]] = {
    "invalidated": lambda connection, token: connection.invalidate(token),
    "refused": lambda connection, token: connection.token(stale=token),
    "forgotten": lambda connection, _: connection.forget(),
}


@pytest.mark.parametrize("how", DISCARDS)
def test_late_waiter_does_not_restore_a_discarded_token(world: World, gate: Gate, how: str) -> None:
    """A token that was refused, invalidated or revoked would be returned again."""
    connection = world.connect()
    gate.hold()

    async def wait() -> None:
        task = asyncio.create_task(connection.atoken())
        await asyncio.sleep(0)
        gate.opened.set()
        DISCARDS[how](connection, connection.token())
        await task

    asyncio.run(wait())

    assert connection.token().access_token == "token-2"


def test_token_discarded_while_it_is_installed_is_not_cached(world: World) -> None:
    """A token that another thread invalidates at the same time would be cached."""

    def authorization(_: object, __: object, token: keyturn.Token) -> tuple[str, str]:
        if token.access_token == "token-1":
            connection.invalidate(token)
        return "Authorization", f"Bearer {token.access_token}"

    connection = world.connect(world.changed(authorization=authorization))
    connection.token()

    assert connection.token().access_token == "token-2"


def test_hundred_waiters_install_a_token_once(world: World, gate: Gate) -> None:
    """Each waiter would run the provider's code, although all get one token."""
    calls: list[str] = []

    def authorization(_: object, __: object, token: keyturn.Token) -> tuple[str, str]:
        calls.append(token.access_token)
        return "Authorization", f"Bearer {token.access_token}"

    connection = world.connect(world.changed(authorization=authorization))
    gate.hold()
    threads, results = in_threads(50, connection.headers)

    async def work() -> list[dict[str, str]]:
        tasks = [asyncio.create_task(connection.aheaders()) for _ in range(50)]
        await asyncio.sleep(0)
        gate.opened.set()
        return await asyncio.gather(*tasks)

    results += asyncio.run(work())
    joined(threads)

    assert results == [{"Authorization": "Bearer held"}] * 100
    assert calls == ["held"]


@pytest.mark.parametrize("reads", range(1, 5))
def test_late_caller_installs_no_second_token(world: World, reads: int) -> None:
    """A caller that is slow at the wrong moment would run the provider's code again.

    It waits, at one of its first reads of the clock, until another caller has installed a token.
    """
    calls: list[str] = []

    def authorization(_: object, __: object, token: keyturn.Token) -> tuple[str, str]:
        calls.append(token.access_token)
        return "Authorization", f"Bearer {token.access_token}"

    waits, installed = threading.Event(), threading.Event()
    late, seen, results = list[threading.Thread](), itertools.count(1), list[dict[str, str]]()

    def monotonic() -> float:
        if threading.current_thread() in late and next(seen) == reads:
            waits.set()
            installed.wait()
        return world.clock.uptime

    def call() -> None:
        results.append(connection.headers())
        waits.set()

    usual = world.clock.clock
    world.clock.clock = Clock(time=usual.time, monotonic=monotonic, sleep=usual.sleep)
    connection = world.connect(world.changed(authorization=authorization))
    late += [threading.Thread(target=call)]
    late[0].start()
    waits.wait()
    results.append(connection.headers())
    installed.set()
    joined(late)

    assert results == [{"Authorization": "Bearer token-1"}] * 2
    assert calls == ["token-1"]


def test_each_caller_waits_as_its_own_options_say(world: World, gate: Gate) -> None:
    """A caller with a long `wait` would get the timeout of another caller."""
    gate.hold(errors.EndpointUnavailable("too slow."), world.endpoint.token("second"))
    hasty, patient = (world.connect(options={"timeout": seconds}) for seconds in (0.2, 30))
    threads, results = in_threads(1, hasty.token)
    assert gate.reached.wait(20)
    more, later = in_threads(1, patient.token)
    gate.opened.set()
    joined(threads + more)

    assert [type(each) for each in results] == [errors.EndpointUnavailable]
    assert [each.access_token for each in later] == ["second"]


def test_log_handler_that_asks_for_the_token_gets_an_error(world: World) -> None:
    """The handler would deadlock, and block the first caller too."""
    caught: list[BaseException] = []

    class Asks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                connection.token()
            except errors.KeyturnError as error:
                caught.append(error)

    connection = world.connect(scope="read write")
    world.endpoint.responses.append(world.endpoint.token("narrow", scope="read"))
    handler = Asks()
    logging.getLogger("keyturn").addHandler(handler)
    try:
        assert connection.token().access_token == "narrow"
    finally:
        logging.getLogger("keyturn").removeHandler(handler)

    assert "this thread already acquires this token" in str(caught[0])


def test_hundred_threads_with_one_bad_token_renew_it_once(world: World, gate: Gate) -> None:
    """A hundred 401 responses would cause a hundred renewals."""
    connection = world.connect()
    bad = connection.token()
    gate.hold()
    threads, results = in_threads(100, lambda: connection.token(stale=bad))
    gate.opened.set()
    joined(threads)

    assert {token.access_token for token in results} == {"held"}
    assert len(world.endpoint.requests) == 2


def test_caller_sends_the_request_if_no_thread_can_be_started(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At interpreter shutdown, or without free threads, no caller would get a token."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    connection = world.connect()
    first = connection.token()
    asyncio.run(connection.ainvalidate(first))

    assert first.access_token == "token-1"
    assert asyncio.run(connection.atoken()).access_token == "token-2"


def test_context_of_the_caller_reaches_the_worker(world: World) -> None:
    """A trace would not show which request caused a token request."""
    trace = contextvars.ContextVar("trace", default="none")
    seen: list[str] = []

    def response() -> keyturn.plugins.Response:
        seen.append(trace.get())
        return world.endpoint.token("token")

    world.endpoint.responses.append(response)
    trace.set("request-7")
    world.connect().token()

    assert seen == ["request-7"]


def test_many_retries_after_a_failure_make_one_request(world: World, gate: Gate) -> None:
    """All waiters of a failed request would retry at once, each with its own request."""
    connection = world.connect()
    gate.hold(world.endpoint.response(400, {"error": "invalid_request"}))
    threads, _ = in_threads(50, connection.token)
    gate.opened.set()
    joined(threads)
    threads, results = in_threads(50, connection.token)
    joined(threads)

    assert {type(error) for error in results} == {errors.TokenRequestRefused}
    assert len(world.endpoint.requests) == 1
    world.clock.advance(31)
    gate.opened.clear()
    gate.hold()
    threads, results = in_threads(50, connection.token)
    gate.opened.set()
    joined(threads)
    assert {token.access_token for token in results} == {"held"}
    assert len(world.endpoint.requests) == 2


FORKS = {"python": "os.fork()", "c": "bare_fork()"}
STORES = {"memory": "MemoryStore()", "disk": "keyturn.stores.DiskStore(sys.argv[2] + '/store')"}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("fork", FORKS)
def test_fork_during_a_token_request_blocks_no_process(
    run_python: Callable[..., str],
    serve: Callable[..., RawServer],
    tmp_path: Path,
    token_response: bytes,
    fork: str,
    store: str,
) -> None:
    """A child would wait forever for a worker thread of its parent."""
    asked = threading.Event()

    def response(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        if len(server.received) == 1:
            (tmp_path / "in-progress").touch()
            asked.wait(20)  # the parent's request waits until the child has its token
        else:
            asked.set()
        connection.sendall(token_response)

    server = serve(response)
    code = f"""{OPEN}{BARE_FORK}
import os, signal, threading, time
from keyturn.stores._memory import MemoryStore
store = {STORES[store]}
def connect(client_id):
    return keyturn.connect(
        "orocommerce", url=sys.argv[1], store=store, client_id=client_id, client_secret="x"
    )
connection = connect("cid")
thread = threading.Thread(target=connection.token)
thread.start()
# Forked any earlier, while the worker imports, the child would have half a module.
while not os.path.exists(sys.argv[2] + "/in-progress"):
    time.sleep(0.001)
child = {FORKS[fork]}
if not child:
    signal.alarm(30)  # a child that hangs must not hang the test
    # On disk, the parent still holds the lock of its own token request.
    own = connection if "{store}" == "memory" else connect("child")
    os._exit(0 if own.token().access_token == "t0ken" else 1)
assert os.waitpid(child, 0)[1] == 0
thread.join()
print(connection.token().access_token)
"""
    assert run_python(code, server.url.removesuffix("/token"), tmp_path) == "t0ken"
    assert len(server.received) == 2


def numbered(http_response: Callable[..., bytes]) -> Callable[[RawServer, socket.socket], None]:
    """Return an endpoint's behaviour: a new token for each request, after a short time."""

    def response(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        server.ended.wait(0.2)
        fields = {"token_type": "Bearer", "expires_in": 3600}
        text = f"token-{len(server.received)}"
        connection.sendall(http_response(fields | {"access_token": text}))

    return response


def test_eight_processes_make_one_request(
    python: Callable[..., subprocess.Popen[str]],
    serve: Callable[..., RawServer],
    tmp_path: Path,
    http_response: Callable[..., bytes],
) -> None:
    """Each worker of a web server would send a request, and use up a limit of three a minute."""
    server = serve(numbered(http_response))
    code = f"{OPEN}\nprint(connection.token().access_token)"
    address = server.url.removesuffix("/token")
    processes = [python(code, address, tmp_path / "store") for _ in range(8)]
    outcomes = [process.communicate(timeout=50) for process in processes]

    assert [output for output, _ in outcomes] == ["token-1\n"] * 8, outcomes
    assert len(server.received) == 1


def test_killed_process_blocks_no_other(
    python: Callable[..., subprocess.Popen[str]],
    new_python: Callable[..., subprocess.Popen[str]],
    run_python: Callable[..., str],
    serve: Callable[..., RawServer],
    tmp_path: Path,
    http_response: Callable[..., bytes],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """A process that is killed while it holds the lock would block all others for 30 s."""
    released = threading.Event()

    def response(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        if len(server.received) == 1:
            released.wait(20)
            return
        numbered_response = {"access_token": "second", "token_type": "Bearer", "expires_in": 60}
        connection.sendall(http_response(numbered_response))

    server = serve(response)
    code = f"{OPEN}\nprint(connection.token().access_token)"
    arguments = (server.url.removesuffix("/token"), tmp_path / "store")
    victim = new_python(code, *arguments)
    wait_until(lambda: server.received)
    waiter = python(code, *arguments)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(10)

    assert waiter.communicate(timeout=20)[0] == "second\n"
    assert run_python(code, *arguments) == "second"
    released.set()
    assert len(server.received) == 2


def test_processes_share_the_rate_limit(
    run_python: Callable[..., str],
    serve: Callable[..., RawServer],
    tmp_path: Path,
    token_response: bytes,
) -> None:
    """Each process would count its own requests, and together they would exceed the limit."""
    server = serve(token_response)
    code = """
import sys, keyturn
for number in range(12):
    try:
        keyturn.connect(
            "norce-storm", scope="lab", token_url=sys.argv[1], store="disk://" + sys.argv[2],
            client_id=f"{sys.argv[3]}-{number}", client_secret="x",
        ).token()
    except keyturn.errors.RateLimited:
        print("limited")
    else:
        print("token")
"""
    lines = [
        line
        for name in ("one", "other")
        for line in run_python(code, server.url, tmp_path / "store", name).splitlines()
    ]

    assert lines == ["token"] * 20 + ["limited"] * 4
    assert len(server.received) == 20


def test_error_response_is_cached_across_processes(
    run_python: Callable[..., str],
    serve: Callable[..., RawServer],
    tmp_path: Path,
    http_response: Callable[..., bytes],
) -> None:
    """A job that restarts endlessly would send its wrong secret again at each start."""
    server = serve(http_response({"error": "invalid_client"}, 401))
    code = f"""{OPEN}
try:
    connection.token()
except keyturn.errors.InvalidClient as error:
    print(error.status)
"""
    for _ in range(2):
        assert run_python(code, server.url.removesuffix("/token"), tmp_path / "store") == "401"
    assert len(server.received) == 1
    assert json.loads(server.received[0].partition(b"\r\n\r\n")[2])["client_id"] == "cid"


FORK_DURING_IMPORT = """
import os, sys, threading, time
import keyturn

begun = threading.Event()

class SlowImport:
    def find_spec(self, name, path, target=None):
        if name == "httpcore":
            begun.set()
            time.sleep(0.3)

sys.meta_path.insert(0, SlowImport())
url = sys.argv[1]
settings = {"token_url": url, "client_secret": "made-up"}
first = keyturn.connect("generic", client_id="first", **settings)
asking = threading.Thread(target=first.token)
asking.start()
begun.wait()
child = os.fork()
if child == 0:
    keyturn.connect("generic", client_id="second", **settings).token()
    os._exit(0)
asking.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_fork_during_an_import_breaks_no_child(
    serve: Callable[..., RawServer], token_response: bytes, run_new_python: Callable[..., str]
) -> None:
    """A server that forks during its first token request would have broken workers."""
    server = serve(token_response)

    assert run_new_python(FORK_DURING_IMPORT, server.url) == "0"
