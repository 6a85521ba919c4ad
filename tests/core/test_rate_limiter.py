"""The rate limiter's keys, its messages, and the buckets of a store that has failed meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import errors
from keyturn._rate_limit import TokenBucket, to_entry
from keyturn._tokens.rate_limiter import SharedBuckets, count_refused, shared_key
from keyturn.stores._resilient import ResilientStore

if TYPE_CHECKING:
    from tests.conftest import World

LIMIT = keyturn.plugins.RateLimit(per_minute=6, burst=4)


class TwoEntries:
    """Stands for a store that failed: it has this process's entry, and the one that was stored."""

    def __init__(self, *entries: str) -> None:
        self._entries = entries

    def entries(self, key: str) -> tuple[str, ...]:
        """Return both entries of the one key that is used here."""
        assert key == "key"
        return self._entries


def test_keys_of_a_store_are_those_of_earlier_releases() -> None:
    """Processes of two releases would count requests apart, and exceed the limit together."""
    keys = {
        shared_key(url)
        for url in ("https://Shop.example/oauth/token", "https://shop.example:443/another")
    }

    assert keys == {"rate-limit-f617a4db4e7353d6b4cc51809771c3b0"}


def test_count_of_refused_tokens_is_kept_where_earlier_releases_look(world: World) -> None:
    """An application that is updated would send a burst that the last release had stopped."""
    count_refused(ResilientStore(world.store), world.clock.clock, "0" * 64)

    assert world.store.read(f"forced-{'0' * 64}")


@pytest.mark.parametrize("fuller", [0, 1])
def test_stricter_of_two_buckets_counts(world: World, fuller: int) -> None:
    """What was sent while the store failed, or before, would be sent again."""
    now = world.clock.now
    buckets = [
        {(LIMIT, ""): TokenBucket(left, now), (LIMIT, each): TokenBucket(left, now)}
        for left, each in ((3.0, "a"), (1.0, "b"))
    ]
    entries = [to_entry(each, now)[0] for each in buckets]
    store: Any = TwoEntries(entries[fuller], entries[1 - fuller])

    assert SharedBuckets(store, world.clock.clock, "key").read() == {
        (LIMIT, ""): TokenBucket(1.0, now),
        (LIMIT, "a"): TokenBucket(3.0, now),
        (LIMIT, "b"): TokenBucket(1.0, now),
    }


def test_older_of_two_buckets_is_refilled_before_they_are_compared(world: World) -> None:
    """A bucket that was emptied long ago would seem the stricter one, and hold up a caller."""
    now = world.clock.now
    old = to_entry({(LIMIT, ""): TokenBucket(0.5, now - 30)}, now)[0]
    new = to_entry({(LIMIT, ""): TokenBucket(2.0, now)}, now)[0]
    store: Any = TwoEntries(old, new)

    assert SharedBuckets(store, world.clock.clock, "key").read() == {
        (LIMIT, ""): TokenBucket(2.0, now)
    }


def test_damaged_entry_does_not_hide_the_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged store would free a host from its limit."""
    bucket = {(LIMIT, ""): TokenBucket(1.0, world.clock.now)}
    store: Any = TwoEntries('{"v": 2}', to_entry(bucket, world.clock.now)[0])

    assert SharedBuckets(store, world.clock.clock, "key").read() == bucket
    assert caplog.messages == ["the store's entry at key is not a valid rate limit; ignoring it"]


def test_limit_says_what_to_do(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A user would not learn whose limit it is, when to ask again, or how to wait."""
    connection = world.connect(options={"rate_limit": "6/min"})
    connection.token()
    connection.forget()
    with pytest.raises(errors.RateLimited) as caught:
        connection.token()

    assert caught.value.retry_after == pytest.approx(10)
    assert str(caught.value).startswith(
        "acme: the token endpoint's rate limit, or the pause that it requested, allows no token "
        "request now."
    )
    assert caught.value.hint == "Try again in 10 s, or let keyturn wait with wait=seconds."
    waiting = world.connect(options={"rate_limit": "6/min", "wait": 20.0})
    with caplog.at_level(logging.INFO, "keyturn"):
        waiting.token()
    assert "waiting 10.0 s for the rate limit of https://shop.acme.example" in caplog.messages


def test_refused_account_is_told_that_others_share_the_limit(world: World) -> None:
    """A user would take the pause for the server's, and wait instead of correcting a setting."""
    provider = world.changed(rate_limit=keyturn.plugins.RateLimit(per_minute=3, burst=4))
    for _ in range(3):
        world.endpoint.refuse()
        connection = world.connect(provider)
        with pytest.raises(errors.InvalidClient):
            connection.token()
        connection.forget()
    with pytest.raises(errors.RateLimited) as caught:
        world.connect(provider).token()

    assert "the token endpoint refused the last requests with this connection's settings" in str(
        caught.value
    )
    assert caught.value.hint == "Correct the settings; try again in 200 s."
    assert caught.value.retry_after == pytest.approx(200)


def test_api_that_refuses_every_token_is_named(world: World) -> None:
    """A user would look for the cause at the token endpoint."""
    store, clock = ResilientStore(world.store), world.clock.clock
    for _ in range(5):
        count_refused(store, clock, "f")
    with pytest.raises(errors.RateLimited) as caught:
        count_refused(store, clock, "f")

    assert caught.value.retry_after == pytest.approx(30)
    assert str(caught.value).startswith(
        "the API keeps refusing new tokens, so keyturn requests no other now."
    )
    assert caught.value.hint == "Check the API's responses; try again in 30 s."


def test_refused_attempt_costs_nothing_and_the_next_second_counts(world: World) -> None:
    """An application that asks a little too early would be held up for longer each time."""
    store, clock = ResilientStore(world.store), world.clock.clock
    for _ in range(5):
        count_refused(store, clock, "f")
    world.clock.advance(29.5)
    with pytest.raises(errors.RateLimited):
        count_refused(store, clock, "f")
    world.clock.advance(0.51)

    count_refused(store, clock, "f")


def test_pause_of_the_server_gives_nothing_back(world: World) -> None:
    """A short pause that a server asks for would fill the bucket of a host that is used up."""
    buckets = SharedBuckets(ResilientStore(world.store), world.clock.clock, "key")
    for _ in range(4):
        buckets.take(LIMIT)
    buckets.cool_down([LIMIT], 1)

    assert buckets.read() == {(LIMIT, ""): TokenBucket(0.0, world.clock.now)}
