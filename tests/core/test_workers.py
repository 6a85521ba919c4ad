"""Thousands of tenants in one process: a bound on threads, and a share for each host."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

import keyturn
from keyturn import errors
from keyturn._connection import manager_of
from keyturn._tokens import schedule, token_request
from keyturn._tokens import workers as under_test
from keyturn._tokens.single_flight import Progress, overdue
from keyturn._tokens.token_query import TokenQuery
from keyturn._tokens.workers import Workers, limit_requests, pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import World

    from keyturn._clock import Clock
    from keyturn._tokens.schedule import Lane


class Hosts:
    """An endpoint for each tenant; those whose name has "hang" do not respond until released."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.released = threading.Event()
        self.busy: list[str] = []
        self.keeps_time = False
        self.send = world.endpoint.send

    def __call__(
        self, request: keyturn.plugins.TokenRequest, seconds: float, clock: Clock, *others: Any
    ) -> keyturn.plugins.Response:
        """Send a token request."""
        if "hang" in request.url:
            self.busy.append(request.url)
            if not self.released.wait(seconds if self.keeps_time else 20):
                raise errors.EndpointUnavailable("it did not respond.")
        return self.send(request, seconds, clock, *others)


@pytest.fixture
def hosts(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    """Give the endpoints of all tenants; all are released at the end."""
    hosts = Hosts(world)
    monkeypatch.setattr(world.endpoint, "send", hosts)
    yield hosts
    hosts.released.set()
    world.land()


def worker_threads() -> int:
    """Return the number of workers of this process."""
    return sum(thread.name == "keyturn-worker" for thread in threading.enumerate())


async def beside(world: World, hosts: Hosts, tenants: list[str], healthy: list[str]) -> int:
    """Request tokens of healthy tenants while others hang; return how many requests hang."""
    hanging = [
        asyncio.create_task(world.connect(tenant=tenant, client_id=f"c{number}").atoken())
        for number, tenant in enumerate(tenants)
    ]
    await asyncio.sleep(0)
    for tenant in healthy:
        await world.connect(tenant=tenant).atoken()
    assert worker_threads() <= 300
    assert not any(task.done() for task in hanging)
    busy = len(hosts.busy)
    hosts.released.set()
    await asyncio.gather(*hanging)
    return busy


def test_hanging_hosts_use_a_bounded_number_of_threads(world: World, hosts: Hosts) -> None:
    """Six hundred hanging hosts would use as many threads, or leave none for other hosts."""
    world.connect(tenant="known").token()
    tenants = [f"hang-{number}" for number in range(600)]

    assert asyncio.run(beside(world, hosts, tenants, ["known"])) <= 216
    assert len(set(hosts.busy)) == 600


def test_hanging_host_uses_only_its_share(world: World, hosts: Hosts) -> None:
    """The tenants of one hanging provider would block those of all others."""
    assert asyncio.run(beside(world, hosts, ["hang"] * 600, ["one", "two", "three"])) <= 8
    assert len(hosts.busy) == 600


@pytest.fixture
def few_workers() -> Iterator[None]:
    """Allow eight token requests in progress."""
    keyturn.Connections(store="memory://", max_requests=8)
    yield
    limit_requests(256)


@pytest.mark.usefixtures("few_workers")
def test_hanging_new_hosts_do_not_block_another_new_host(
    world: World, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A new customer would get no token while the hosts of hundreds of others hang."""
    monkeypatch.setattr(schedule, "_LEASH", 0.02)
    monkeypatch.setattr(token_request, "_SLOW", 0.01)
    caplog.set_level(logging.INFO, "keyturn")
    hosts.keeps_time = True
    tenants = [f"hang-unseen-{number}" for number in range(40)]

    asyncio.run(beside(world, hosts, tenants, ["unseen", "unseen-too"]))
    assert "the token request waits for hosts that respond" in caplog.text


@pytest.mark.usefixtures("hosts")
def test_error_of_a_queued_caller_says_why(world: World) -> None:
    """An operator would look for a failure of the network or the store."""

    async def fail() -> list[str]:
        connections = [
            world.connect(tenant="hang-queue", client_id=f"c{number}", options={"timeout": 0.1})
            for number in range(12)
        ]
        results = await asyncio.gather(*(c.atoken() for c in connections), return_exceptions=True)
        return [str(each) for each in results]

    messages = asyncio.run(fail())

    assert sum("hang-queue.acme.example has not responded" in each for each in messages) == 8
    queued = "its token request is queued, one of 12 to hang-queue.acme.example"
    assert sum(queued in each for each in messages) == 4


@pytest.fixture
def blocked_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Give an event that ends the resolution of each name."""
    released = threading.Event()

    def resolve(*_: object, **__: object) -> list[Any]:
        released.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield released
    released.set()
    while pool.get().load():
        released.wait(0.01)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_deadline_holds_while_a_name_is_resolved(
    blocked_resolver: threading.Event, asynchronous: bool
) -> None:
    """A dead name server would block a caller for twelve seconds instead of its timeout."""
    connection = keyturn.connect(
        "orocommerce",
        url="https://shop.example",
        client_id=f"c-{asynchronous}",
        client_secret="made-up",
        store="memory://",
        timeout=0.3,
    )
    with pytest.raises(errors.EndpointUnavailable, match=r"shop\.example has not responded"):
        asyncio.run(connection.atoken()) if asynchronous else connection.token()

    assert not blocked_resolver.is_set()


@pytest.fixture
def one_worker() -> Iterator[None]:
    """Allow one token request in progress."""
    keyturn.Connections(store="memory://", max_requests=1)
    yield
    limit_requests(256)


@pytest.mark.usefixtures("one_worker")
def test_worker_that_needs_another_token_does_not_deadlock(world: World) -> None:
    """A value that is computed from another connection's token would block a full pool."""
    other = world.connect(tenant="other")
    started, may_ask = threading.Event(), threading.Event()

    def token_request(*_: object) -> keyturn.plugins.TokenRequest:
        if not started.is_set():
            started.set()
            assert may_ask.wait(10)
        return keyturn.plugins.TokenRequest(
            "changed",
            "https://changed.example/token",
            (("assertion", other.token().access_token),),
        )

    provider = world.changed(authorization=lambda *_: token_request() and ("Authorization", "x"))
    asking = world.connect(provider, tenant="first")

    async def ask() -> list[keyturn.Token]:
        first = asyncio.create_task(asking.atoken())
        await asyncio.to_thread(started.wait, 10)
        second = asyncio.create_task(other.atoken())  # it is queued
        await asyncio.sleep(0)
        may_ask.set()
        return await asyncio.gather(first, second)

    assert len(asyncio.run(ask())) == 2
    world.land()
    assert len(world.endpoint.requests) == 2


@pytest.mark.parametrize("most", [0, 301, 1.5, True, "8"])
def test_max_requests_is_checked(most: Any) -> None:
    """A typing error would prevent all token requests, or start thousands of threads."""
    with pytest.raises(errors.ConfigurationError, match="an integer, 1 to 300"):
        keyturn.Connections(store="memory://", max_requests=most)


NO_THREAD = """
import asyncio, sys, threading, keyturn
def refuse(_):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
def connect(number):
    return keyturn.connect(
        "orocommerce", url=sys.argv[1], client_id=f"c{number}", client_secret="x", store="memory://"
    )
print(connect(0).token().access_token)
async def all():
    return await asyncio.gather(*(connect(number).atoken() for number in range(1, 20)))
print(len(asyncio.run(all())))
asyncio.run(connect(0).aforget())
"""


def test_callers_do_the_work_if_no_thread_can_be_started(
    serve: Callable[..., Any], token_response: bytes, run_python: Callable[..., str]
) -> None:
    """Without threads, or at interpreter shutdown, no caller would get a token."""
    server = serve(token_response)

    assert run_python(NO_THREAD, server.url.removesuffix("/token")).split() == ["t0ken", "19"]


def refuse(_: threading.Thread) -> None:
    """Refuse to start a thread, as a system at its limit does."""
    raise RuntimeError("can't start new thread")


def test_worker_runs_queued_tasks_if_no_other_can_be_started(
    monkeypatch: pytest.MonkeyPatch, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    """A task that was queued when no thread could be started would never run."""
    workers, begun = Workers(4), threading.Event()
    done: list[int] = []

    def first() -> Lane:
        assert begun.wait(10)
        return "proven"  # so that more of its tasks may begin

    workers.submit("h", lambda: "suspect")
    wait_until(lambda: not workers.load())
    workers.submit("h", first)
    for number in range(3):
        workers.submit("h", functools.partial(done.append, number))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    begun.set()

    wait_until(lambda: sorted(done) == [0, 1, 2])


def test_caller_without_a_worker_runs_the_queued_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of several callers could wait for a worker that never comes."""
    workers, order, start = Workers(4), list[str](), threading.Thread.start

    def first() -> None:
        other = threading.Thread(target=workers.submit, args=("h", lambda: order.append("second")))
        start(other)
        other.join()
        order.append("first")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    workers.submit("h", lambda: "suspect")  # its tasks run one after another
    workers.submit("h", first)

    assert order == ["first", "second"]


def test_idle_workers_end(
    monkeypatch: pytest.MonkeyPatch, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    """After a burst in the morning, 256 threads would stay for the rest of the day."""
    monkeypatch.setattr(under_test, "_IDLE_SECONDS", 0.01)
    workers, barrier = Workers(8), threading.Barrier(3)
    threads: list[threading.Thread] = []

    def meet() -> None:
        threads.append(threading.current_thread())
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(10)

    for host in ("a", "b", "c"):
        workers.submit(host, meet)

    wait_until(lambda: len(threads) == 3 and not any(each.is_alive() for each in threads))
    assert workers.load() == 0


def test_additional_workers_run_the_queued_tasks() -> None:
    """Requests would stay queued after a platform has raised `max_requests`."""
    workers, released, second = Workers(1), threading.Event(), threading.Event()

    def hang() -> None:
        released.wait(10)

    workers.submit("a", hang)
    workers.submit("b", second.set)
    workers.resize(8)
    try:
        assert second.wait(10)
    finally:
        released.set()


def test_host_that_fails_slowly_is_suspect(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts with a dead name server, which reports no timeout, would take all workers."""
    monkeypatch.setattr(token_request, "_SLOW", -1.0)
    unavailable = errors.EndpointUnavailable("its name can't be resolved.")
    monkeypatch.setattr(world.endpoint, "send", Mock(side_effect=unavailable))
    query = TokenQuery()
    with pytest.raises(errors.EndpointUnavailable):
        manager_of(world.connect()).acquisition.acquire(query)

    assert query.progress.lane == "suspect"


@pytest.mark.parametrize(
    ("is_started", "step", "stage"),
    [
        (False, None, "is queued, one of 0 to shop.example"),
        (True, None, "waits for the store or another process"),
        (True, ("settings", 1.0), "a secret reference or the provider's code"),
        (True, ("request", 1.0), "shop.example has not responded"),
    ],
)
def test_timeout_error_names_the_stage(is_started: bool, step: Any, stage: str) -> None:
    """A user would look for a network failure while the store hangs, or the reverse."""
    progress = Progress()
    progress.is_started, progress.step = is_started, step

    error = overdue(progress, "shop.example", 2.5)

    assert "no token came within 2.5 s" in str(error)
    assert stage in str(error)
