"""The lifecycle of a connection: opening, use by threads and tasks, copying, closing."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import pickle
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._connection import make_connection, manager_of
from keyturn._tokens.options import Specification
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

# A token for an hour: fresh until 225 to 300 s before its end, usable until 5 s before it.
STALE = 3400
EXPIRED = 3596
SHOP: dict[str, Any] = {
    "url": "https://shop.example",
    "client_id": "cid",
    "client_secret": "s3cret-for-tests",
}


def test_connect_names_all_mistakes_and_the_connection() -> None:
    """The user would fix one mistake at a time."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", name="shop", url="x", sid="backoffice", client_secret="")

    assert str(caught.value).startswith("shop: the settings for orocommerce have 4 mistake(s):")
    assert [problem.path for problem in caught.value.problems] == [
        "client_id",
        "client_secret",
        "sid",
        "url",
    ]


def test_error_for_an_unknown_provider_suggests_the_nearest() -> None:
    """A typo would send the user to the documentation."""
    with pytest.raises(errors.ProviderNotFound, match=r"Did you mean orocommerce\? Installed: "):
        keyturn.connect("orocomerce")


def test_connections_of_a_process_share_their_memory() -> None:
    """Two `connect` calls would send two token requests."""
    one, other = keyturn.connect("orocommerce", **SHOP), keyturn.connect("orocommerce", **SHOP)
    request = one.token_request()

    assert other.token_request() == request
    elsewhere = keyturn.connect("orocommerce", store=MemoryStore(), **SHOP)
    assert elsewhere.token_request().provider == request.provider


def test_store_comes_from_the_argument_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tokens would be kept in a store that the user did not choose."""
    monkeypatch.delenv("KEYTURN_FINGERPRINT_KEY")
    store = MemoryStore()
    monkeypatch.setenv("KEYTURN_STORE", "nonsense://x")
    keyturn.connect("orocommerce", store=store, **SHOP).token_request()
    assert store.read("fingerprint-key")

    with pytest.raises(errors.ConfigurationError, match="'nonsense'"):
        keyturn.connect("orocommerce", **SHOP)
    monkeypatch.setenv("KEYTURN_STORE", "memory://")
    one, other = keyturn.connect("orocommerce", **SHOP), keyturn.connect("orocommerce", **SHOP)
    assert one.token_request().fingerprint != other.token_request().fingerprint


@pytest.mark.parametrize("address", ["memory", "memory://x", "disk://relative", "redis", "://"])
def test_unusable_store_is_refused(address: str) -> None:
    """A typo in a store's address would silently select the memory store."""
    with pytest.raises(errors.ConfigurationError, match="no token store"):
        keyturn.connect("orocommerce", store=address, **SHOP)


def test_secret_may_be_given_as_a_secret_object() -> None:
    """A caller that keeps secrets hidden would have to reveal them."""
    secret = keyturn.Secret("s3cret-for-tests")
    hidden = keyturn.connect("orocommerce", **(SHOP | {"client_secret": secret}))
    plain = keyturn.connect("orocommerce", **SHOP)

    assert hidden.token_request().fingerprint == plain.token_request().fingerprint


def test_closed_connection_gives_no_token(world: World) -> None:
    """A connection would still return tokens after its `with` block."""
    with world.connect(name="shop") as connection:
        connection.token()

    with pytest.raises(errors.ConfigurationError, match="shop: the connection is closed"):
        connection.token()
    with pytest.raises(errors.ConfigurationError):
        connection.headers()
    assert world.connect().token().access_token == "token-1"


def test_connection_that_is_closed_during_a_renewal_stays_closed(world: World) -> None:
    """A background renewal would reopen the closed connection."""
    connection = world.connect()
    connection.token()
    world.clock.advance(STALE)

    def close_first() -> keyturn.plugins.Response:
        connection.close()
        return world.endpoint.token("token-2")

    world.endpoint.responses.append(close_first)
    connection.token()
    world.land()
    with pytest.raises(errors.ConfigurationError):
        connection.token()


def test_async_methods_return_what_the_sync_methods_return(world: World) -> None:
    """The async methods would behave differently from the sync ones."""

    async def use() -> None:
        async with world.connect(name="shop") as connection:
            first = await connection.atoken()
            assert await connection.atoken() is first
            assert await connection.aheaders() == {"Authorization": "Bearer token-1"}
            second = await connection.atoken(stale=first)
            assert second.access_token == "token-2"
            world.clock.advance(STALE)
            assert await connection.atoken() is second
            world.land()
            assert (await connection.atoken()).access_token == "token-3"
            world.clock.advance(EXPIRED)
            world.endpoint.refuse()
            with pytest.raises(errors.InvalidClient, match=r"^shop: "):
                await connection.atoken()
            await connection.aclose()
        with pytest.raises(errors.ConfigurationError):
            await connection.atoken()

    asyncio.run(use())


def test_system_clock_is_used_by_default(world: World) -> None:
    """A connection without its own clock would not work."""
    connection = make_connection(
        Specification(world.plain(), world.connect().settings),
        MemoryStore(),
        transport=world.endpoint,  # type: ignore[arg-type]  # only `send` is used
    )
    world.clock.now = time.time()
    first = connection.token()

    async def again() -> keyturn.Token:
        return await connection.atoken()

    assert connection.token() is first
    assert asyncio.run(again()) is first
    assert connection.token(stale=first).access_token == "token-2"
    connection.close()
    with pytest.raises(errors.ConfigurationError):
        connection.token()


def test_uptime_includes_the_time_in_which_the_machine_is_suspended() -> None:
    """A token would be used after its expiry when the machine was suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    before, now, after = time.clock_gettime(clock), SYSTEM.monotonic(), time.clock_gettime(clock)

    assert before <= now <= after


def renewal_moment(world: World, connection: keyturn.Connection) -> float:
    """Return how many seconds pass until a connection renews its token."""
    began, requests = world.clock.uptime, len(world.endpoint.requests)
    while len(world.endpoint.requests) == requests:
        world.clock.advance(1)
        connection.token()
        world.land()
    return world.clock.uptime - began


def test_processes_renew_at_different_moments(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the processes that share a token would renew it at once."""
    moments = set()
    for process in range(5):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        connection = world.connect(client_id=str(process))
        connection.token()
        world.clock.advance(3200)
        moments.add(renewal_moment(world, connection))

    assert len(moments) > 1


def test_forked_children_renew_at_different_moments(world: World) -> None:
    """Workers that inherit a token at the fork would all renew it at once."""
    connection = world.connect()
    connection.token()
    held = manager_of(connection).snapshot
    world.clock.advance(held.fresh_until - world.clock.uptime - 1)
    children = []
    for _ in range(5):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            world.clock.advance(2)
            connection.token()
            os.write(write, str(manager_of(connection).snapshot.fresh_until).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            children.append(float(pipe.read()))
        os.waitpid(child, 0)

    assert len(set(children)) == 5
    assert all(held.fresh_until <= moment < held.usable_until for moment in children)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"]
)
def test_connection_refuses_to_be_copied(world: World, copied: Callable[[object], object]) -> None:
    """A copy would fail later with an unclear error, or expose a secret."""
    with pytest.raises(TypeError, match="A Connection can't be copied or pickled: pass the name"):
        copied(world.connect())


def test_async_methods_do_not_block_the_loop(world: World) -> None:
    """A store on a slow network would block every task of the process."""

    class Slow(MemoryStore):
        is_slow = False
        passed = threading.Event()

        def delete(self, key: str) -> None:
            # Only the loop sets it: a call on the loop's own thread would never see it set.
            assert not self.is_slow or self.passed.wait(10)
            super().delete(key)

    def no_revocation(*_: object) -> None:
        assert store.passed.wait(10)

    store = Slow(lambda: world.clock.now)
    connection = world.connect(world.changed(revocation_request=no_revocation), store=store)

    async def use() -> None:
        token = await connection.atoken()
        store.is_slow = True
        works = (
            lambda: connection.ainvalidate(token),
            connection.aforget,
            connection.arevoke,
        )
        for work in works:
            store.passed.clear()
            if work == connection.arevoke:
                await connection.atoken()
            task = asyncio.create_task(work())
            await asyncio.sleep(0)
            store.passed.set()
            with contextlib.suppress(errors.ConfigurationError):  # the provider has no revocation
                await task

    asyncio.run(use())


def test_repr_names_the_connection(world: World) -> None:
    """A log line could not say which connection is meant."""
    assert repr(world.connect(name="shop")) == "<Connection 'shop' to acme>"
    assert repr(world.connect()) == "<Connection 'acme' to acme>"


def test_errors_of_two_connections_name_each(world: World) -> None:
    """A shared failure would name the wrong connection."""
    world.endpoint.refuse()
    for name in ("one", "two"):
        with pytest.raises(errors.InvalidClient, match=f"^{name}: "):
            world.connect(name=name).token()
