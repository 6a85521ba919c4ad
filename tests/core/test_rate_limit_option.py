"""Which rate limit applies, and how much of it one account may use."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import World

RATE_LIMIT = keyturn.plugins.RateLimit
ACCOUNT = {"url": "https://shop.example", "client_id": "x", "client_secret": "x"}


def tokens(world: World, count: int, provider: Any = "", **given: Any) -> int:
    """Return how many of `count` connections, each with its own account, get a token."""
    got = 0
    for number in range(count):
        try:
            world.connect(provider, client_id=f"neighbour-{number}", **given).token()
            got += 1
        except errors.RateLimited:
            pass
    return got


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("3/min burst 20", RATE_LIMIT(3.0, 20)),
        ("3/min", RATE_LIMIT(3.0, 1)),
        ("2/s burst 10", RATE_LIMIT(120.0, 10)),
        ("30/h", RATE_LIMIT(0.5, 1)),
        ("0.5/min burst 2", RATE_LIMIT(0.5, 2)),
        ("none", None),
        (RATE_LIMIT(3.0, 20), RATE_LIMIT(3.0, 20)),
    ],
)
@pytest.mark.parametrize("declared", [None, RATE_LIMIT(60.0, 3)])
def test_option_replaces_the_declared_limit(
    world: World,
    declared: keyturn.plugins.RateLimit | None,
    text: str,
    limit: keyturn.plugins.RateLimit | None,
) -> None:
    """A user could not set a limit that the provider does not declare, or remove one."""
    provider = world.changed(rate_limit=declared)
    connection = world.connect(provider, options={"rate_limit": text})
    sent = limit.burst if limit else 30
    for _ in range(sent):
        connection.token()
        connection.forget()

    if limit:
        with pytest.raises(errors.RateLimited) as caught:
            connection.token()
        assert caught.value.retry_after == pytest.approx(limit.period)
    assert len(world.endpoint.requests) == sent


@for_each(
    "value",
    [
        "",
        "3",
        "3/day",
        "3 / min",
        "/min",
        "0/min",
        "0.0/s",
        "-1/min",
        "1e3/min",
        "nan/min",
        "3/min burst 0",
        "3/min burst 1.5",
        "3/min burst",
        "3/min burst 20 ",
        "3/MIN",
        "None",
        "٣/min",
        "9" * 400 + "/min",
        3,
        True,
        ["3/min"],
        {"per_minute": 3, "burst": 20},
        RATE_LIMIT(0, 1),
        RATE_LIMIT(3, 0),
        RATE_LIMIT(3, 1.5),  # type: ignore[arg-type]  # the wrong type
        RATE_LIMIT(float("nan"), 1),
    ],
)
def test_invalid_limit_is_reported(value: Any) -> None:
    """A mistyped limit would have no effect, or fail at the first token request."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", **ACCOUNT, rate_limit=value)

    assert [problem.path for problem in caught.value.problems] == ["rate_limit"]


def test_mistake_says_how_a_limit_is_written() -> None:
    """A user would have to find the syntax in the documentation."""
    with pytest.raises(errors.ConfigurationError, match="'3/min burst 20'"):
        keyturn.connect("orocommerce", **ACCOUNT, rate_limit="3 per minute")


def test_equal_limits_of_a_host_are_one(world: World) -> None:
    """Thirty connections with the same option would send thirty times what it allows."""
    assert tokens(world, 10, options={"rate_limit": "6/min burst 4"}) == 4


def test_equal_limit_of_the_provider_and_of_the_option_is_one(world: World) -> None:
    """A connection that repeats the provider's limit would double it."""
    provider = world.changed(rate_limit=RATE_LIMIT(per_minute=6, burst=4))
    script = {"rate_limit": "6/min burst 4"}

    assert tokens(world, 2, provider) == 2
    assert tokens(world, 10, world.changed(name="other"), options=script) == 2


@pytest.mark.parametrize("limit", ["0.001/h", "1/h burst 999999999", "999999999/s burst 999999999"])
def test_extreme_limit_is_kept(world: World, limit: str) -> None:
    """A store would get an expiry out of range, or a pause would be out of range."""
    connection = world.connect(options={"rate_limit": limit})
    connection.token()
    connection.forget()
    world.clock.advance(4_000_000)
    world.endpoint.responses.append(world.endpoint.response(429, {}))
    with pytest.raises(errors.RateLimited) as caught:
        connection.token()

    assert caught.value.retry_after <= 3600


def test_connection_without_limit_is_not_delayed_by_others(world: World) -> None:
    """`none` would have no effect if another connection keeps the declared limit."""
    provider = world.changed(rate_limit=RATE_LIMIT(per_minute=6, burst=4))
    assert tokens(world, 10, provider) == 4
    free = {"rate_limit": "none"}
    for number in range(10):
        world.connect(provider, client_id=f"free-{number}", options=free).token()

    assert len(world.endpoint.requests) == 14


@pytest.mark.parametrize("others", ["none", "60/min burst 20", None])
@pytest.mark.parametrize("own", ["none", "3/min burst 20", None])
def test_pause_that_the_server_asks_for_applies_to_every_limit(
    world: World, own: str | None, others: str | None
) -> None:
    """A host that asked for a pause would get requests of connections with another limit."""
    world.endpoint.responses.append(world.endpoint.response(429, {}, retry_after="90"))
    with pytest.raises(errors.RateLimited):
        world.connect(options={"rate_limit": own}).token()
    world.clock.advance(10)

    with pytest.raises(errors.RateLimited) as caught:
        world.connect(client_id="other", options={"rate_limit": others}).token()
    assert caught.value.retry_after == pytest.approx(80)
    world.clock.advance(80.01)
    assert world.connect(client_id="other", options={"rate_limit": others}).token()


def test_provider_without_a_limit_has_none(world: World) -> None:
    """A guessed limit would refuse most of 5,000 tenants on one host (4,838 at 600 a minute)."""
    assert tokens(world, 1000) == 1000


def test_damaged_entry_is_reported_and_ignored(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged store would crash the caller, or let a tenant send nothing for years."""

    class Damaged(MemoryStore):
        def read(self, key: str) -> str | None:
            return '{"v": 2}' if key.startswith("rate-limit-") else super().read(key)

    assert tokens(world, 2, store=Damaged(), options={"rate_limit": "6/min burst 4"}) == 2
    assert "is not a valid rate limit; ignoring it" in caplog.text


def test_slow_limit_is_kept_for_longer_than_an_hour(world: World) -> None:
    """A limit of one request an hour would expire in the store before the bucket refills."""
    connection = world.connect(options={"rate_limit": "1/h burst 5"})
    for _ in range(5):
        connection.token()
        connection.forget()
    world.clock.advance(2 * 3600)
    for _ in range(2):
        connection.token()
        connection.forget()

    with pytest.raises(errors.RateLimited):
        connection.token()


@pytest.mark.parametrize(("asked", "shown"), [("0", 1), ("1", 1), ("90", 90)])
def test_hint_names_whole_seconds_and_never_zero(world: World, asked: str, shown: int) -> None:
    """A user would be advised to retry in 0 s, and be refused again."""
    world.endpoint.responses.append(world.endpoint.response(429, {}, retry_after=asked))
    with pytest.raises(errors.RateLimited) as caught:
        world.connect().token()

    assert f"in {shown} s" in caught.value.hint


def test_hint_is_rounded_up(world: World) -> None:
    """A caller who waits as long as the hint says would be refused again."""
    connection = world.connect(options={"rate_limit": "2/s"})
    connection.token()
    connection.forget()
    world.clock.advance(0.1)
    with pytest.raises(errors.RateLimited) as caught:
        connection.token()

    assert caught.value.retry_after == pytest.approx(0.4)
    assert "in 1 s" in caught.value.hint


def wrong_secrets(world: World, how: str, provider: Any, **given: Any) -> Iterator[None]:
    """Ask repeatedly with a wrong secret, and yield after each time."""
    number = 0
    while True:
        number += 1
        secret = f"wrong-{number if how == 'another secret' else 0}"
        connection = world.connect(provider, client_secret=secret, **given)
        world.endpoint.refuse()
        with pytest.raises(errors.KeyturnError) as caught:
            connection.token()
        world.endpoint.responses.clear()
        if isinstance(caught.value, errors.RateLimited):
            assert re.search(r"in [1-9]\d* s", caught.value.hint)
        if how == "forget":
            connection.forget()
        yield


@pytest.mark.parametrize("how", ["again", "forget", "another secret"])
@pytest.mark.parametrize("given", [{}, {"name": "tenant-17"}], ids=["without a name", "named"])
def test_wrong_secret_takes_only_a_share_of_the_limit(
    world: World, how: str, given: dict[str, str]
) -> None:
    """One tenant's wrong secret would use up the rate limit of all other tenants."""
    provider = world.changed(rate_limit=RATE_LIMIT(per_minute=3, burst=20))
    asking = wrong_secrets(world, how, provider, **given)
    for _ in range(100):
        next(asking)

    assert len(world.endpoint.requests) <= 5
    assert tokens(world, 15, provider) == 15


@pytest.mark.parametrize("how", ["again", "forget", "another secret"])
def test_share_of_a_wrong_secret_stays_small(world: World, how: str) -> None:
    """A tenant that asks all day would use up all requests that the bucket regains."""
    provider = world.changed(rate_limit=RATE_LIMIT(per_minute=3, burst=20))
    asking = wrong_secrets(world, how, provider)
    for _ in range(240):
        next(asking)
        world.clock.advance(30)

    assert len(world.endpoint.requests) <= 5 + 0.1 * 3 * 120 + 1  # in two hours
    assert tokens(world, 15, provider) == 15


def test_right_secret_is_used_at_once_after_a_few_wrong_ones(world: World) -> None:
    """A user who corrects a form would be refused because of earlier mistakes."""
    provider = world.changed(rate_limit=RATE_LIMIT(per_minute=3, burst=1))
    asking = wrong_secrets(world, "another secret", provider, name="tenant-17")
    for _ in range(2):
        next(asking)
        world.clock.advance(20.01)

    assert world.connect(provider, name="tenant-17").token()


def test_wrong_secret_at_a_host_without_limit_is_limited_only_by_the_negative_cache(
    world: World,
) -> None:
    """A tenant that corrects its settings often would be limited without a rate limit."""
    provider = world.changed()
    asking = wrong_secrets(world, "another secret", provider)
    for _ in range(50):
        next(asking)

    assert len(world.endpoint.requests) == 50


def test_share_applies_only_to_connections_with_the_limit(world: World) -> None:
    """A connection without a limit would be refused because of one with a limit."""
    provider = world.changed(rate_limit=RATE_LIMIT(per_minute=3, burst=20))
    asking = wrong_secrets(world, "another secret", provider, name="tenant-17")
    for _ in range(10):
        next(asking)
    with pytest.raises(errors.RateLimited):
        world.connect(provider, name="tenant-17").token()

    assert world.connect(provider, name="tenant-17", options={"rate_limit": "none"}).token()


def test_unusable_response_takes_only_a_share_of_the_limit(world: World) -> None:
    """A tenant whose responses have no token would use up the rate limit of the others."""
    provider = world.changed(rate_limit=RATE_LIMIT(per_minute=3, burst=20))
    for _ in range(50):
        world.endpoint.responses = [world.endpoint.response(200, {})]
        with pytest.raises(errors.KeyturnError):
            world.connect(provider).token()
    world.endpoint.responses = []

    assert tokens(world, 15, provider) == 15


def test_server_failure_takes_no_share_of_the_tenant(world: World) -> None:
    """After an outage, keyturn would refuse each tenant's requests for minutes."""
    provider = world.changed(rate_limit=RATE_LIMIT(per_minute=3, burst=20))
    connection = world.connect(provider)
    for _ in range(5):
        world.endpoint.responses = [world.endpoint.response(503, {})] * 3
        with pytest.raises(errors.EndpointUnavailable):
            connection.token()

    assert connection.token().access_token


def test_repeated_error_response_is_cached_for_twice_as_long(world: World) -> None:
    """A wrong secret that is never corrected would be sent twice a minute forever."""
    connection, sent = world.connect(), list[float]()
    began = world.clock.now
    while world.clock.now < began + 15_000:
        world.endpoint.responses = [world.endpoint.response(401, {"error": "invalid_client"})]
        before = len(world.endpoint.requests)
        with pytest.raises(errors.InvalidClient):
            connection.token()
        sent += [world.clock.now - began] * (len(world.endpoint.requests) - before)
        world.clock.advance(30)

    pauses = [later - earlier for earlier, later in itertools.pairwise(sent)]
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_error_response_after_a_token_is_cached_for_half_a_minute_again(world: World) -> None:
    """The next error response of a corrected client would be cached for an hour."""
    connection = world.connect()
    for _ in range(6):
        world.endpoint.refuse()
        with pytest.raises(errors.InvalidClient):
            connection.token()
        world.clock.advance(2000)
    connection.token()
    world.clock.advance(3600)
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        connection.token()
    world.clock.advance(30)

    assert connection.token()
