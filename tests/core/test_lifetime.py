"""Fresh, stale, expired: early, never late, whatever the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from keyturn._tokens.lifetime import SHARE, Lifetime, State, jitter, plan

ISSUED = st.floats(1e9, 4e9)
LIVES = st.floats(0.01, 31_536_000)
MARGINS = st.floats(0, 1e7)
JITTERS = st.floats(0, 1, exclude_max=True)
# What is lost when seconds since the epoch are added as doubles.
TINY = 1e-5


@given(ISSUED, LIVES, MARGINS, JITTERS)
def test_renewal_point_lies_within_the_lifetime(
    issued: float, lifetime: float, margin: float, spread: float
) -> None:
    """A token would be renewed on every call, or never before its end."""
    planned = plan(issued, issued + lifetime, margin=margin, jitter=spread)

    assert issued < planned.renew_at <= planned.usable_until <= issued + lifetime + TINY


@given(ISSUED, LIVES, MARGINS, JITTERS)
def test_margin_and_share_bound_the_renewal_point(
    issued: float, lifetime: float, margin: float, spread: float
) -> None:
    """A margin longer than the lifetime, or than a provider's cap, would never be fresh."""
    end = issued + lifetime
    planned = plan(issued, end, margin=margin, jitter=spread)

    ahead = end - planned.renew_at
    leeway = end - planned.usable_until
    assert ahead <= max(min(margin, SHARE * lifetime), leeway) + TINY
    assert ahead >= 0.75 * min(margin, SHARE * lifetime) - TINY


@given(ISSUED, LIVES, MARGINS, JITTERS, st.floats(-2, 3))
def test_no_state_is_late(
    issued: float, lifetime: float, margin: float, spread: float, share: float
) -> None:
    """A token would be handed out after its end."""
    end = issued + lifetime
    now = issued + share * lifetime
    planned = plan(issued, end, margin=margin, jitter=spread)
    state = planned.state(now)

    if now >= end:
        assert state is State.EXPIRED
    if now < issued - 60 - TINY:
        assert state is State.EXPIRED
    if issued <= now < issued + 0.7 * lifetime:
        assert state is State.FRESH


def test_states_follow_each_other() -> None:
    """A token would skip the state in which it is renewed without anyone waiting."""
    lifetime = Lifetime(issued_at=100.0, renew_at=200.0, usable_until=300.0)
    times = [39.9, 40.0, 100.0, 199.9, 200.0, 299.9, 300.0]

    assert [lifetime.state(now).value for now in times] == [
        "expired",
        "fresh",
        "fresh",
        "fresh",
        "stale",
        "stale",
        "expired",
    ]


@pytest.mark.parametrize(
    ("lifetime", "margin", "spread", "renew", "usable"),
    [
        (1000, 100, 0, 900, 995),
        (1000, 100, 0.5, 912.5, 995),
        (1000, 300, 0, 800, 995),
        (1000, 300, 0.5, 825, 995),
        (100, 300, 0, 80, 98),
        (100, 1, 0, 98, 98),
        (3600, 300, 0, 3300, 3595),
    ],
)
def test_plan_is_the_documented_one(
    lifetime: float, margin: float, spread: float, renew: float, usable: float
) -> None:
    """All processes would renew at one moment, or an API request arrive after a token's end."""
    assert plan(0, lifetime, margin=margin, jitter=spread) == Lifetime(0, renew, usable)


def test_plan_has_the_documented_defaults() -> None:
    """Tokens would be renewed at another time than the documentation says."""
    assert plan(0, 3600) == Lifetime(0, 3300, 3595)


def test_token_without_a_life_is_expired_at_once() -> None:
    """A token that ended before it was issued would be used."""
    assert plan(100.0, 50.0).state(100.0) is State.EXPIRED
    assert plan(100.0, 50.0) == Lifetime(100.0, 50.0, 50.0)


@given(st.text())
def test_jitter_is_deterministic_and_below_one(seed: str) -> None:
    """A process's renewal point would wander from call to call."""
    assert 0 <= jitter(seed) < 1
    assert jitter(seed) == jitter(seed)


def test_jitter_spreads() -> None:
    """All processes would renew at the same moment."""
    values = {int(jitter(str(number)) * 10) for number in range(200)}

    assert values == set(range(10))


class LifetimeMachine(RuleBasedStateMachine):
    """A caller that looks at its token, while time passes and the clock is set."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000.0
        self.passed = 0.0
        self.works = True
        self.held: tuple[Lifetime, float] | None = None
        self.shortest = float("inf")
        self.renewals = self.jumps = 0

    @rule(seconds=st.floats(0, 1000))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.passed += seconds

    @rule(seconds=st.floats(-1e5, 1e5))
    def set_clock(self, seconds: float) -> None:
        """Set the clock back or forward."""
        self.now += seconds
        self.jumps += 1

    @rule(works=st.booleans())
    def change_endpoint(self, works: bool) -> None:
        """Let the token endpoint fail, or work again."""
        self.works = works

    @rule(lifetime=st.floats(0.5, 7200), margin=st.floats(0, 1e5), spread=JITTERS)
    def ask(self, lifetime: float, margin: float, spread: float) -> None:
        """Ask for a token, which is renewed if need be."""
        state = self.held[0].state(self.now) if self.held else State.EXPIRED
        if state is not State.FRESH and self.works:
            planned = plan(self.now, self.now + lifetime, margin=margin, jitter=spread)
            assert planned.state(self.now) is State.FRESH
            self.held = planned, self.now + lifetime
            self.shortest = min(self.shortest, lifetime)
            self.renewals += 1
        elif state is not State.EXPIRED and self.held:
            # It is given out: it has not ended, nor does it come from the future.
            assert self.held[0].issued_at - 60 <= self.now < self.held[1]

    @invariant()
    def renews_no_more_than_it_must(self) -> None:
        """Each renewal lasts four fifths of a life, unless the clock was set meanwhile."""
        if self.renewals:
            most = 1 + self.jumps + self.passed / ((1 - SHARE) * self.shortest)
            assert self.renewals <= most + TINY


def test_no_sequence_of_events_makes_a_token_late_or_a_storm() -> None:
    """A clock that is set, or an endpoint that fails, would bring old tokens or many requests."""
    bounds = settings(max_examples=60, stateful_step_count=25)
    run_state_machine_as_test(LifetimeMachine, settings=bounds)
