"""Within a process, a token's expiry is kept on one clock, whatever the wall clock shows."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import World

from keyturn._clock import Clock
from keyturn._connection import make_connection
from keyturn._tokens.options import Specification
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    import keyturn

# A token for an hour: fresh until 225 to 300 s before its end, usable until 5 s before it.
EXPIRED = 3596


def _sync(connection: keyturn.Connection) -> str:
    return connection.token().access_token


def _async(connection: keyturn.Connection) -> str:
    return asyncio.run(connection.atoken()).access_token


def _headers(connection: keyturn.Connection) -> str:
    return connection.headers()["Authorization"].removeprefix("Bearer ")


def _aheaders(connection: keyturn.Connection) -> str:
    return asyncio.run(connection.aheaders())["Authorization"].removeprefix("Bearer ")


@pytest.fixture(
    params=[_sync, _async, _headers, _aheaders], ids=["token", "atoken", "headers", "aheaders"]
)
def ask(request: pytest.FixtureRequest) -> Callable[[keyturn.Connection], str]:
    """Give each method that returns a token."""
    found: Callable[[keyturn.Connection], str] = request.param
    return found


@pytest.mark.parametrize("jump", [-1e9, -7200, -60, 60, 7200, 1e9])
def test_jump_of_the_wall_clock_does_not_affect_a_fresh_token(
    world: World, ask: Callable[[keyturn.Connection], str], jump: float
) -> None:
    """`freezegun`, or a corrected clock, would cause token requests or errors."""
    connection = world.connect()
    assert ask(connection) == "token-1"
    world.clock.now += jump

    assert ask(connection) == "token-1"
    world.clock.uptime += EXPIRED
    assert ask(connection) == "token-2"


def test_cache_hit_reads_only_the_monotonic_clock(world: World) -> None:
    """A cache hit would read a second clock, and depend on a clock that can be set."""
    reads: list[str] = []

    def read(name: str, value: float) -> float:
        reads.append(name)
        return value

    world.clock.clock = Clock(
        time=lambda: read("time", world.clock.now),
        monotonic=lambda: read("monotonic", world.clock.uptime),
    )
    connection = world.connect()
    first = connection.token()
    reads.clear()

    assert connection.token() is first
    assert reads == ["monotonic"]


@pytest.mark.parametrize("back", [-1800, 0, 1800, 3000])
def test_second_connection_knows_the_age_of_a_token(world: World, back: float) -> None:
    """A clock that was set back would prolong the lifetime of a token in the store."""
    world.connect().token()
    world.clock.uptime += 3000
    world.clock.now += 3000 - back
    other = world.connect()
    first = other.token().access_token
    assert first == "token-1" or back == -1800  # the store's own expiry may come early

    world.clock.uptime += 596
    assert other.token().access_token != "token-1"


def test_token_of_another_process_is_used_for_its_lifetime_at_most(world: World) -> None:
    """A host with a slow clock would use a token for longer than its lifetime."""
    world.connect().token()
    world.clock.now -= 50  # within the difference that is allowed between the clocks of two hosts
    world.clock.clock = Clock(time=lambda: world.clock.now, monotonic=lambda: world.clock.uptime)
    other = world.connect()
    assert other.token().access_token == "token-1"

    world.clock.uptime += EXPIRED
    world.clock.now += EXPIRED - 100
    assert other.token().access_token == "token-2"


def test_system_clock_works_with_a_frozen_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users' tests that freeze the time would fail, or send endless token requests."""
    store = MemoryStore()
    made = [
        make_connection(
            Specification(world.plain(), world.connect().settings),
            store,
            transport=world.endpoint,  # type: ignore[arg-type]  # only `send` is used
        )
        for _ in range(3)
    ]
    world.clock.now = time.time()
    monkeypatch.setattr(time, "time", lambda: 1_577_836_800.0)  # 2020-01-01
    tokens = {connection.token().access_token for connection in made * 2}

    assert tokens == {"token-1"}


@given(
    lifetime=st.sampled_from([2, 3, 10]),
    steps=st.lists(st.floats(0.001, 0.3), min_size=20, max_size=60),
    jumps=st.dictionaries(st.integers(0, 60), st.floats(-7200, 7200) | st.floats(-3, 3)),
)
def test_jump_of_the_wall_clock_does_not_return_an_expired_token(
    lifetime: int, steps: list[float], jumps: dict[int, float]
) -> None:
    """After a clock correction, API requests would be sent with an expired token."""
    world = World()
    ends: dict[str, float] = {}

    def issue(text: str) -> keyturn.plugins.Response:
        ends[text] = world.clock.uptime + lifetime
        fields = {"access_token": text, "token_type": "Bearer", "expires_in": lifetime}
        return world.endpoint.response(200, fields)

    world.endpoint.token = issue  # type: ignore[method-assign, assignment]
    kept = world.connect()
    for number, seconds in enumerate(steps):
        world.clock.advance(seconds)
        world.clock.now += jumps.get(number, 0.0)
        for connection in (kept, world.connect(name="new")):
            assert world.clock.uptime < ends[connection.token().access_token]
        world.land()
