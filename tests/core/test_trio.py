"""Single flight for trio tasks: one request for all callers, which no cancellation ends."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
import trio.testing

import keyturn
from keyturn import errors
from keyturn._tokens.single_flight import wait
from keyturn.integrations.httpx import KeyturnAuth

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer, World


def hold(world: World) -> threading.Event:
    """Delay the endpoint's next response until the event is set."""
    opened = threading.Event()

    def response() -> keyturn.plugins.Response:
        assert opened.wait(20)
        return world.endpoint.token("held")

    world.endpoint.responses.append(response)
    return opened


def test_tasks_and_threads_share_one_request(world: World) -> None:
    """A trio program would get no token, or send a request for each task."""
    connection = world.connect()
    opened = hold(world)
    tokens: list[str] = []

    def ask() -> None:
        tokens.append(connection.token().access_token)

    async def ask_async() -> None:
        tokens.append((await connection.atoken()).access_token)

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ask_async)
            await trio.testing.wait_all_tasks_blocked()
            opened.set()  # this runs while the tasks wait, so they don't block the loop

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    trio.run(work)
    for thread in threads:
        thread.join(20)
    assert tokens == ["held"] * 60
    assert len(world.endpoint.requests) == 1


def test_cancelled_task_cancels_no_other(world: World) -> None:
    """The first caller's cancellation would fail all other waiters, or repeat the request."""
    connection = world.connect()
    opened = hold(world)
    tokens: list[str] = []

    async def follow() -> None:
        tokens.append((await connection.atoken()).access_token)

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as leader:
                leader.cancel()
                await connection.atoken()
            assert leader.cancelled_caught
            nursery.start_soon(follow)
            await trio.testing.wait_all_tasks_blocked()
            opened.set()

    trio.run(work)
    assert tokens == ["held"]
    assert len(world.endpoint.requests) == 1


def test_ended_run_does_not_affect_other_callers(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Waking a task whose run has ended would break the worker's other waiters."""
    connection = world.connect()
    opened = hold(world)

    async def leave() -> None:
        with trio.move_on_after(0.01):
            await connection.atoken()

    trio.run(leave)
    opened.set()
    world.land()
    assert caplog.records == []
    assert connection.token().access_token == "held"
    assert asyncio.run(connection.atoken()).access_token == "held"
    assert len(world.endpoint.requests) == 1


def test_wait_for_a_request_times_out() -> None:
    """A hanging worker would block every task."""
    future: Future[bool] = Future()
    trio.run(wait, future, 0.01)
    assert not future.done()
    future.set_result(True)
    trio.run(wait, future, 20)


def test_failure_reaches_the_task(world: World) -> None:
    """After an error response, the task would hang, or the error be lost."""
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        trio.run(world.connect().atoken)


def test_asyncio_works_after_trio_was_imported(world: World) -> None:
    """A program that imports asyncio and trio would wait in the wrong loop."""
    assert asyncio.run(world.connect().atoken()).access_token == "token-1"


def test_httpx_under_trio(
    serve: Callable[..., RawServer], http_response: Callable[..., bytes], token_response: bytes
) -> None:
    """The adapter would work only under asyncio, although httpx works under both."""
    api, endpoint = serve(http_response({"ok": True})), serve(token_response)
    base = api.url.removesuffix("/token")
    connection = keyturn.connect(
        "orocommerce",
        url=base,
        token_url=endpoint.url,
        store="memory://",
        client_id="cid",
        client_secret="s3cret-for-tests",
    )

    async def work() -> int:
        async with httpx.AsyncClient(auth=KeyturnAuth(connection)) as client:
            return (await client.get(f"{base}/admin/api/orders")).status_code

    assert trio.run(work) == 200
    assert b"Bearer t0ken" in api.received[0]
