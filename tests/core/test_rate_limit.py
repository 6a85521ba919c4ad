"""The token bucket: never more requests than burst + rate x time, with any clock."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.conftest import for_each

from keyturn._rate_limit import (
    RateLimit,
    TokenBucket,
    cool_down,
    from_entry,
    refill,
    take,
    to_entry,
)


class BucketMachine(RuleBasedStateMachine):
    """Callers with and without waiting, while time passes and servers ask for a pause."""

    def __init__(self) -> None:
        super().__init__()
        self.rate_limit = RateLimit(per_minute=6, burst=4)
        self.now = 1_800_000_000.0
        self.bucket: TokenBucket | None = None
        self.sent: list[float] = []
        self.paused_until = 0.0

    def current(self) -> TokenBucket:
        """Return the bucket at the current time."""
        return refill(self.rate_limit, self.bucket, self.now)

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule()
    def ask(self) -> None:
        """Take a token if that needs no wait."""
        left, pause = take(self.rate_limit, self.current())
        if pause == 0:
            self.bucket = left
            self.sent.append(self.now)
            assert self.now >= self.paused_until - 1e-3

    @rule()
    def ask_and_wait(self) -> None:
        """Take a token, and send after the wait."""
        self.bucket, pause = take(self.rate_limit, self.current())
        assert pause >= 0
        self.sent.append(self.now + pause)
        assert self.now + pause >= self.paused_until - 1e-3

    @rule(seconds=st.floats(0, 60))
    def cool_down(self, seconds: float) -> None:
        """The server asks for a pause."""
        self.bucket = cool_down(self.rate_limit, self.current(), seconds)
        self.paused_until = max(self.paused_until, self.now + seconds)

    @rule()
    def go_through_the_store(self) -> None:
        """Continue with the bucket that another process would read from the store."""
        if self.bucket is not None:
            name = self.rate_limit, ""
            self.bucket = from_entry(to_entry({name: self.bucket}, self.now)[0]).get(name)

    @invariant()
    def is_polite(self) -> None:
        """No period has more requests than the burst and the tokens regained in it."""
        sent = sorted(self.sent)
        for first, start in enumerate(sent):
            for count, end in enumerate(sent[first:], 1):
                allowed = self.rate_limit.burst + (end - start) / self.rate_limit.period
                assert count <= allowed + 1e-3


def test_any_sequence_of_events_keeps_the_rate_limit() -> None:
    """The host would respond 429, or block this client."""
    bounds = settings(max_examples=30, stateful_step_count=25)
    run_state_machine_as_test(BucketMachine, settings=bounds)


def test_burst_is_allowed_at_once_and_then_the_rate() -> None:
    """A pause would be too long or too short."""
    rate_limit = RateLimit(per_minute=3, burst=2)
    bucket: TokenBucket | None = None
    pauses = []
    for _ in range(4):
        bucket, pause = take(rate_limit, refill(rate_limit, bucket, 1000.0))
        pauses.append(pause)

    assert pauses == [0.0, 0.0, 20.0, 40.0]
    assert refill(rate_limit, bucket, 1010.0).tokens == -1.5
    assert rate_limit.period == 20


def test_clock_set_back_neither_blocks_nor_adds_tokens() -> None:
    """A corrected clock would block a client for hours, or refill its bucket."""
    rate_limit = RateLimit(per_minute=6, burst=2)
    bucket = cool_down(rate_limit, TokenBucket(tokens=2.0, at=10_000.0), seconds=30)
    _, pause = take(rate_limit, refill(rate_limit, bucket, 10_000.0 - 7200))

    assert pause == 30
    # A small step is the difference between the clocks of two hosts.
    assert refill(rate_limit, bucket, 9_990.0).at == 10_000.0


def test_bucket_refills_after_the_clock_was_set_back() -> None:
    """A client would send nothing until the clock reaches its former time."""
    rate_limit = RateLimit(per_minute=6, burst=2)
    empty = TokenBucket(tokens=0.0, at=10_000.0)

    bucket, pause = take(rate_limit, refill(rate_limit, empty, 2_800.0))
    assert pause == 10
    assert refill(rate_limit, bucket, 2_830.0) == TokenBucket(tokens=2.0, at=2_830.0)


@pytest.mark.parametrize(("ahead", "at"), [(60, 1_060), (60.5, 1_000)])
def test_two_hosts_clocks_may_differ_by_a_minute(ahead: float, at: float) -> None:
    """A host with a slow clock would ignore the requests of another host, or wait too long."""
    bucket = TokenBucket(tokens=1.0, at=1_000 + ahead)

    assert refill(RateLimit(per_minute=6, burst=2), bucket, 1_000) == TokenBucket(tokens=1.0, at=at)


@pytest.mark.parametrize(("left", "pause"), [(0.5, 0.5), (0.998, 0.002), (0.9992, 0)])
def test_wait_below_a_millisecond_counts_as_none(left: float, pause: float) -> None:
    """A caller that waited for the given time would be refused."""
    rate_limit = RateLimit(per_minute=60, burst=2)

    assert take(rate_limit, TokenBucket(left, 1_000))[1] == pytest.approx(pause)


def test_clock_set_forward_refills_no_more_than_the_burst() -> None:
    """A clock that jumps would allow any number of requests."""
    rate_limit = RateLimit(per_minute=6, burst=2)

    assert refill(rate_limit, TokenBucket(tokens=-5.0, at=0.0), 1e9).tokens == 2


def test_shorter_pause_does_not_end_a_longer_one() -> None:
    """A second response with a shorter pause would end the longer pause of the first."""
    rate_limit = RateLimit(per_minute=60, burst=5)
    bucket = cool_down(rate_limit, cool_down(rate_limit, TokenBucket(5, 100.0), 50), 5)

    assert take(rate_limit, bucket)[1] == 50


LIMIT = RateLimit(per_minute=60, burst=20)
NOW = 1e10


def entry(bucket: TokenBucket) -> str:
    """Return the store's entry with one bucket."""
    return to_entry({(LIMIT, ""): bucket}, bucket.at)[0]


@given(st.floats(-1e5, 19.9), st.floats(0, 1e10))
def test_bucket_is_unchanged_when_read_from_its_entry(tokens: float, at: float) -> None:
    """Processes would disagree on the tokens that are left."""
    bucket = TokenBucket(tokens, at)

    assert from_entry(entry(bucket)) == {(LIMIT, ""): bucket}


def test_entry_has_no_buckets_that_are_full_again() -> None:
    """Each request would read and write buckets that were last used days ago."""
    full = RateLimit(60, 5), ""
    buckets = {
        full: TokenBucket(4.0, NOW - 1),
        (LIMIT, "an account"): TokenBucket(-7180.0, NOW),
        (LIMIT, ""): TokenBucket(19.5, NOW),
    }
    written, until = to_entry(buckets, NOW)

    assert from_entry(written) == {name: buckets[name] for name in buckets if name != full}
    assert until == NOW + 7200
    assert to_entry({}, NOW)[1] == NOW + 3600
    slow = RateLimit(per_minute=1e-9, burst=1)
    assert to_entry({(slow, ""): TokenBucket(0.0, NOW)}, NOW)[1] == NOW + 366 * 86_400


def test_entry_does_not_grow_with_the_accounts() -> None:
    """Each request would read the counts of all accounts that the host ever refused."""
    buckets = {(LIMIT, f"{number}"): TokenBucket(0.0, NOW) for number in range(1000)}

    assert [*from_entry(to_entry(buckets, NOW)[0])] == [*buckets][-256:]


@for_each(
    "row",
    [
        "",
        "null",
        "[]",
        '[60, 20, "", 1]',
        '[60, 20, "", 1, 1, 1]',
        '[60, 20, "", "x", 1]',
        '[60, 20, "", NaN, 2]',
        '[60, 20, "", 1, Infinity]',
        '[60, 20, "", 1, 1e999]',
        '[60, 20, "", null, 2]',
        '[60, 20, "", true, 2]',
        '[60, true, "", 1, 2]',
        '[60, 20, "", -1e9, 2]',
        '[60, 20, "", 21, 2]',
        '[60, 20, "", 1, 1e300]',
        f'[60, 20, "", -1{"0" * 400}, 2]',
        f'[60, 20, "", 1, 1{"0" * 400}]',
        f'[1{"0" * 400}, 20, "", 1, 2]',
        '[0, 20, "", 1, 2]',
        '[NaN, 20, "", 1, 2]',
        '[60, 0, "", 0, 2]',
        '[60, 1e999, "", 1, 2]',
        '["60", 20, "", 1, 2]',
        "[" * 100_000,
    ],
)
def test_entry_out_of_range_is_refused(row: str) -> None:
    """A damaged store would crash the caller, or block it for years."""
    for damaged in (row, f'{{"v": 2, "buckets": {row}}}', f'{{"v": 2, "buckets": [{row}]}}'):
        if damaged != '{"v": 2, "buckets": []}':  # this one is valid
            with pytest.raises(ValueError, match=r"."):
                from_entry(damaged)


def test_entry_of_another_version_is_a_miss() -> None:
    """Two versions of keyturn could not share a Redis during a rollout."""
    assert from_entry('{"v": 3, "left": 1}') == {}


@given(st.text() | st.recursive(st.none() | st.floats(), st.lists).map(json.dumps))
def test_any_entry_is_read_or_an_error(entry: str) -> None:
    """A damaged store would crash the caller."""
    with pytest.raises(ValueError, match=r"."):
        from_entry(entry)
