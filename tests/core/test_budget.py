"""The token bucket: never more than burst + rate x time, under any clock."""

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

from keyturn._rate_limit import Level, RateLimit, block, from_entry, refill, take, to_entry


class BucketMachine(RuleBasedStateMachine):
    """Askers that wait and askers that don't, while time passes and servers ask for silence."""

    def __init__(self) -> None:
        super().__init__()
        self.rate_limit = RateLimit(per_minute=6, burst=4)
        self.now = 1_800_000_000.0
        self.level: Level | None = None
        self.sent: list[float] = []
        self.silent_until = 0.0

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule()
    def ask(self) -> None:
        """Ask, and go away when there would be a wait."""
        left, pause = take(self.rate_limit, self.level, self.now)
        if pause == 0:
            self.level = left
            self.sent.append(self.now)
            assert self.now >= self.silent_until - 1e-3

    @rule()
    def ask_and_wait(self) -> None:
        """Ask, and send after the wait."""
        self.level, pause = take(self.rate_limit, self.level, self.now)
        assert pause >= 0
        self.sent.append(self.now + pause)
        assert self.now + pause >= self.silent_until - 1e-3

    @rule(seconds=st.floats(0, 60))
    def be_told_to_be_silent(self, seconds: float) -> None:
        """The server asks for silence."""
        self.level = block(self.rate_limit, self.level, self.now, seconds)
        self.silent_until = max(self.silent_until, self.now + seconds)

    @rule()
    def go_through_the_store(self) -> None:
        """Another process goes on with what is in the store."""
        if self.level is not None:
            self.level = from_entry(to_entry(self.level))

    @invariant()
    def is_polite(self) -> None:
        """No window holds more than the burst and what came back in it."""
        sent = sorted(self.sent)
        for first, start in enumerate(sent):
            for count, end in enumerate(sent[first:], 1):
                allowed = self.rate_limit.burst + (end - start) / self.rate_limit.period
                assert count <= allowed + 1e-3


def test_no_sequence_of_events_sends_more_than_the_rate_limit() -> None:
    """The host would response 429, or block this client."""
    bounds = settings(max_examples=30, stateful_step_count=25)
    run_state_machine_as_test(BucketMachine, settings=bounds)


def test_burst_then_rate() -> None:
    """A pause would be too long or too short."""
    rate_limit = RateLimit(per_minute=3, burst=2)
    level: Level | None = None
    pauses = []
    for _ in range(4):
        level, pause = take(rate_limit, level, 1000.0)
        pauses.append(pause)

    assert pauses == [0.0, 0.0, 20.0, 40.0]
    assert refill(rate_limit, level, 1010.0).requests == -1.5
    assert rate_limit.period == 20


def test_clock_set_back_neither_blocks_nor_frees() -> None:
    """After a clock was corrected, a client would be silent for hours, or forget its rate_limit."""
    rate_limit = RateLimit(per_minute=6, burst=2)
    level = block(rate_limit, Level(requests=2.0, at=10_000.0), 10_000.0, seconds=30)
    _, pause = take(rate_limit, level, 10_000.0 - 7200)

    assert pause == 30
    # A little is what two hosts' clocks differ by.
    assert refill(rate_limit, level, 9_990.0).at == 10_000.0


def test_rate_limit_comes_back_after_the_clock_was_set_back() -> None:
    """A client would be silent until the clock shows again what it showed before."""
    rate_limit = RateLimit(per_minute=6, burst=2)
    empty = Level(requests=0.0, at=10_000.0)

    level, pause = take(rate_limit, empty, 2_800.0)
    assert pause == 10
    assert refill(rate_limit, level, 2_830.0) == Level(requests=2.0, at=2_830.0)


@pytest.mark.parametrize(("ahead", "at"), [(60, 1_060), (60.5, 1_000)])
def test_two_hosts_clocks_may_differ_by_a_minute(ahead: float, at: float) -> None:
    """A host whose clock is late would undo what another one spent, or wait for its clock."""
    level = Level(requests=1.0, at=1_000 + ahead)

    assert refill(RateLimit(per_minute=6, burst=2), level, 1_000) == Level(requests=1.0, at=at)


@pytest.mark.parametrize(("left", "pause"), [(0.5, 0.5), (0.998, 0.002), (0.9992, 0)])
def test_wait_of_a_millisecond_is_none(left: float, pause: float) -> None:
    """Who waited as long as told would be turned away, or who did not be let through."""
    rate_limit = RateLimit(per_minute=60, burst=2)

    assert take(rate_limit, Level(left, 1_000), 1_000)[1] == pytest.approx(pause)


def test_clock_set_forward_frees_the_burst_and_no_more() -> None:
    """A clock that jumps would allow any number of requests."""
    rate_limit = RateLimit(per_minute=6, burst=2)

    assert refill(rate_limit, Level(requests=-5.0, at=0.0), 1e9).requests == 2


def test_shorter_silence_does_not_end_a_longer_one() -> None:
    """The second of two responses would undo the first."""
    rate_limit = RateLimit(per_minute=60, burst=5)
    level = block(rate_limit, block(rate_limit, None, 100.0, 50), 100.0, 5)

    assert take(rate_limit, level, 100.0)[1] == 50


@given(st.floats(-1e6, 1e6), st.floats(0, 1e10))
def test_level_survives_its_entry(requests: float, at: float) -> None:
    """Processes would disagree on what is left."""
    level = Level(requests, at)

    assert from_entry(to_entry(level)) == level


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "",
        "null",
        "[]",
        "{}",
        '{"requests": 1}',
        '{"requests": "x", "at": 1}',
        '{"requests": 1, "at": 2, "more": 3}',
        '{"requests": NaN, "at": 2}',
        '{"requests": 1, "at": Infinity}',
        '{"requests": 1, "at": 1e999}',
        '{"requests": null, "at": 2}',
        "[" * 100_000,
    ],
)
def test_unreadable_entry_is_an_untouched_rate_limit(entry: str | None) -> None:
    """A damaged store would crash the caller, or silence it for ever."""
    assert from_entry(entry) is None


@given(st.text() | st.recursive(st.none() | st.floats(), st.lists).map(json.dumps))
def test_any_entry_is_read_or_none(entry: str) -> None:
    """A damaged store would crash the caller."""
    level = from_entry(entry)

    assert level is None or isinstance(level, Level)
