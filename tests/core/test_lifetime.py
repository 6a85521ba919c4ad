"""Fresh, stale, expired: a token is renewed early and never used late, with any numbers."""

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

from keyturn._tokens.snapshot import SHARE, jitter, plan

ISSUED = st.floats(1e9, 4e9)
LIVES = st.floats(0.01, 31_536_000)
MARGINS = st.floats(0, 1e7)
JITTERS = st.floats(0, 1, exclude_max=True)
# The rounding error when seconds since the epoch are added as doubles.
TINY = 1e-5


@given(ISSUED, LIVES, MARGINS, JITTERS)
def test_renewal_point_lies_within_the_lifetime(
    issued: float, lifetime: float, margin: float, spread: float
) -> None:
    """A token would be renewed on every call, or never before it expires."""
    fresh_until, usable_until = plan(issued, lifetime, margin=margin, jitter=spread)

    assert issued + 0.7 * lifetime <= fresh_until + TINY
    assert fresh_until <= usable_until < issued + lifetime + TINY


@given(ISSUED, LIVES, MARGINS, JITTERS)
def test_margin_and_share_bound_the_renewal_point(
    issued: float, lifetime: float, margin: float, spread: float
) -> None:
    """With a margin longer than the lifetime, a token would never be fresh."""
    end = issued + lifetime
    fresh_until, usable_until = plan(issued, lifetime, margin=margin, jitter=spread)

    ahead, leeway = end - fresh_until, end - usable_until
    assert ahead <= max(min(margin, SHARE * lifetime), leeway) + TINY
    assert ahead >= 0.75 * min(margin, SHARE * lifetime) - TINY


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
    """All processes would renew at once, or an API request would arrive after the expiry."""
    assert plan(0, lifetime, margin=margin, jitter=spread) == (renew, usable)


def test_token_with_no_lifetime_is_expired_at_once() -> None:
    """A token that expired before it was issued would be used."""
    assert plan(100.0, -50.0, margin=300) == (100.0, 100.0)


@given(st.text())
def test_jitter_is_deterministic_and_below_one(seed: str) -> None:
    """A process's renewal point would change from call to call."""
    assert 0 <= jitter(seed) < 1
    assert jitter(seed) == jitter(seed)


def test_jitter_spreads() -> None:
    """All processes would renew at the same moment."""
    values = {int(jitter(str(number)) * 10) for number in range(200)}

    assert values == set(range(10))


class LifetimeMachine(RuleBasedStateMachine):
    """A caller that asks for a token again and again, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.began = 1000.0
        self.works = True
        self.fresh_until = self.usable_until = self.end = float("-inf")
        self.shortest = float("inf")
        self.renewals = 0

    @rule(seconds=st.floats(0, 1000))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(works=st.booleans())
    def change_endpoint(self, works: bool) -> None:
        """Let the token endpoint fail, or work again."""
        self.works = works

    @rule(lifetime=st.floats(0.5, 7200), margin=st.floats(0, 1e5), spread=JITTERS)
    def ask(self, lifetime: float, margin: float, spread: float) -> None:
        """Ask for a token, which is renewed if necessary."""
        if self.now >= self.fresh_until and self.works:
            planned = plan(self.now, lifetime, margin=margin, jitter=spread)
            self.fresh_until, self.usable_until = planned
            assert self.now < self.fresh_until
            self.end = self.now + lifetime
            self.shortest = min(self.shortest, lifetime)
            self.renewals += 1
        elif self.now < self.usable_until:
            assert self.now < self.end

    @invariant()
    def renews_no_more_than_it_must(self) -> None:
        """Each renewal gives a token that is used for four fifths of its lifetime."""
        if self.renewals:
            most = 1 + (self.now - self.began) / ((1 - SHARE) * self.shortest)
            assert self.renewals <= most + TINY


def test_any_sequence_of_events_gives_valid_tokens_and_few_requests() -> None:
    """A failing endpoint would cause expired tokens or too many requests."""
    bounds = settings(max_examples=40, stateful_step_count=25)
    run_state_machine_as_test(LifetimeMachine, settings=bounds)
