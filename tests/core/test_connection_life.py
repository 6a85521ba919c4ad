"""A connection from its opening to its end, for threads and for tasks."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
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
    """The user would mend one mistake at a time."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", name="shop", url="x", sid="backoffice", client_secret="")

    assert str(caught.value).startswith("shop: the settings for orocommerce have 4 mistake(s):")
    assert [problem.path for problem in caught.value.problems] == [
        "client_id",
        "client_secret",
        "sid",
        "url",
    ]


def test_unknown_provider_is_answered_with_the_nearest() -> None:
    """A typo would send the user to the documentation."""
    with pytest.raises(errors.ProviderNotFound, match=r"Did you mean orocommerce\? Installed: "):
        keyturn.connect("orocomerce")


def test_connections_of_a_process_share_their_memory() -> None:
    """Two `connect` calls would send two token requests."""
    one, other = keyturn.connect("orocommerce", **SHOP), keyturn.connect("orocommerce", **SHOP)

    assert one.renewal.store.store is other.renewal.store.store


def test_store_comes_from_the_argument_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tokens would be kept where the user did not want them."""
    store = MemoryStore()
    monkeypatch.setenv("KEYTURN_STORE", "nonsense://x")
    assert keyturn.connect("orocommerce", store=store, **SHOP).renewal.store.store is store

    with pytest.raises(errors.ConfigurationError, match="'nonsense'"):
        keyturn.connect("orocommerce", **SHOP)
    monkeypatch.setenv("KEYTURN_STORE", "memory://")
    assert keyturn.connect("orocommerce", **SHOP).renewal.store.store is not store


@pytest.mark.parametrize("address", ["memory", "memory://x", "disk://relative", "redis", "://"])
def test_unusable_store_is_refused(address: str) -> None:
    """A typo in a store's address would silently mean memory."""
    with pytest.raises(errors.ConfigurationError, match="no token store"):
        keyturn.connect("orocommerce", store=address, **SHOP)


def test_secret_may_come_as_a_secret() -> None:
    """Who keeps secrets hidden would have to uncover them."""
    secret = keyturn.Secret("s3cret-for-tests")
    hidden = keyturn.connect("orocommerce", **(SHOP | {"client_secret": secret}))
    plain = keyturn.connect("orocommerce", **SHOP)

    assert hidden.token_request().fingerprint == plain.token_request().fingerprint


def test_closed_connection_gives_no_token(world: World) -> None:
    """A connection would live on after its `with` block."""
    with world.connect(name="shop") as connection:
        connection.token()

    with pytest.raises(errors.ConfigurationError, match="shop: the connection is closed"):
        connection.token()
    with pytest.raises(errors.ConfigurationError):
        connection.headers()
    assert world.connect().token().access_token == "token-1"


def test_connection_that_is_closed_during_a_renewal_stays_closed(world: World) -> None:
    """A background renewal would revive it."""
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


def test_tasks_get_what_threads_get(world: World) -> None:
    """The async methods would differ from the others."""

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
    """The quick way for the system's clocks would differ from the one that tests take."""
    connection = keyturn.Connection(
        world.plain(),
        world.connect().settings,
        store=MemoryStore(),
        transport=world.endpoint,  # type: ignore[arg-type]  # it needs `send` alone
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


def test_uptime_counts_the_machines_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token would be used after its end when the machine slept and its clock was set back."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    monkeypatch.setattr(time, "clock_gettime", {clock: 5.0}.get)

    assert SYSTEM.monotonic() == 5.0


def test_processes_renew_at_different_moments(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the processes that share a token would renew it at once."""
    moments = set()
    for process in range(5):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        connection = world.connect()
        moments.add(connection.renewal.plan(connection.token()).renew_at)

    assert len(moments) == 5


def test_forked_children_renew_at_moments_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers forked from one parent that had a token would all renew it at once."""
    connection = world.connect()
    token = connection.token()
    moments = set()
    for process in range(5):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        assert connection.token() is token
        moments.add(connection._manager.held.fresh_until)  # noqa: SLF001 - that is the moment

    assert len(moments) == 5


def test_repr_names_the_connection(world: World) -> None:
    """A log line could not say which connection is meant."""
    assert repr(world.connect(name="shop")) == "<Connection 'shop' to acme>"
    assert repr(world.connect()) == "<Connection 'acme' to acme>"


def test_errors_of_two_connections_name_each(world: World) -> None:
    """A shared failure would be told of the wrong connection."""
    world.endpoint.refuse()
    for name in ("one", "two"):
        with pytest.raises(errors.InvalidClient, match=f"^{name}: "):
            world.connect(name=name).token()
