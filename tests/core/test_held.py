"""What a connection holds: limits on two clocks, the glance, and how long a renewal is put off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn._token import Token
from keyturn._tokens.lifetime import Lifetime
from keyturn._tokens.snapshot import EMPTY, TokenSnapshot, hold

NOW, UPTIME = 1_800_000_000.0, 50.0
TOKEN = Token("t0ken", "Bearer", NOW + 100)
HEADERS = (("Authorization", "Bearer t0ken"),)


def held(fresh: float = 80.0, usable: float = 98.0) -> TokenSnapshot:
    """Return a token that is fresh, and usable, for so many seconds."""
    return hold(TOKEN, HEADERS, Lifetime(NOW, NOW + fresh, NOW + usable), NOW, UPTIME)


@pytest.mark.parametrize(
    ("passed", "uptime", "fresh", "usable"),
    [
        (79.5, 79.5, True, True),
        (80, 0, False, True),
        (0, 80, False, True),
        (97.5, 97.5, False, True),
        (98, 0, False, False),
        (0, 98, False, False),
    ],
)
def test_each_clock_makes_a_token_stale_and_ends_it(
    passed: float, uptime: float, fresh: bool, usable: bool
) -> None:
    """A token would be used after its end, or renewed late, when one of the clocks stands still."""
    token = held()

    assert token.is_fresh(NOW + passed, UPTIME + uptime) is fresh
    assert token.is_usable(NOW + passed, UPTIME + uptime) is usable


def test_nothing_held_is_neither_fresh_nor_usable() -> None:
    """A connection would hand out a token that it hasn't got."""
    since, until, _ = EMPTY.glance

    assert not EMPTY.is_fresh(0, 0)
    assert not EMPTY.is_usable(0, 0)
    assert not since < 0 < until


def test_what_is_held_is_the_token_and_its_headers() -> None:
    """An API request would carry another token than the one that was asked for."""
    assert (held().token, held().headers) == (TOKEN, HEADERS)
    assert "t0ken" not in repr(held())


@pytest.mark.parametrize(
    ("fresh", "usable", "passed", "moment"),
    [
        (80, 98, 0, 0.1),
        (80, 98, 79.95, 0.05),
        (80, 80.1, 0, 0.05),
        (80, 80, 0, 0),
    ],
    ids=["short", "no longer than fresh", "half of what is left of it", "none left"],
)
def test_glance_lasts_for_a_moment(
    fresh: float, usable: float, passed: float, moment: float
) -> None:
    """A clock that is set back meanwhile would prolong a token beyond its end."""
    token = held(fresh, usable)
    token.allow_glance(NOW + passed)
    since, until, seen = token.glance

    assert since == NOW + passed
    assert until - since == pytest.approx(moment, abs=1e-6)
    assert seen is TOKEN


def test_glance_is_shut_until_it_is_allowed() -> None:
    """A token would be handed out that no clock was asked about."""
    token = held()
    token.allow_glance(NOW)
    for fresh in (held(), token.postponed(10, NOW, UPTIME)):
        since, until, _ = fresh.glance
        assert not since < NOW + 0.01 < until


@pytest.mark.parametrize(
    ("seconds", "passed", "uptime", "until"),
    [
        (3, 80, 80, 83),
        (10, 90, 90, 92),
        (10, 90, 0, 92),
        (10, 0, 90, 2),
        (0, 80, 80, 80.05),
        (10, 97.99, 97.99, 98),
    ],
    ids=["as told", "a quarter", "a quarter by one", "by the other", "shortest", "its end"],
)
def test_renewal_is_put_off(seconds: float, passed: float, uptime: float, until: float) -> None:
    """A failing token endpoint would be asked on every call, or not before a token's end."""
    later = held().postponed(seconds, NOW + passed, UPTIME + uptime)

    assert later.fresh_until - NOW == pytest.approx(until, abs=1e-6)
    assert later.fresh_until_monotonic - UPTIME == pytest.approx(until - passed + uptime, abs=1e-6)
    assert later.usable_until == NOW + 98
    assert later.usable_until_monotonic == UPTIME + 98


@given(st.floats(0, 1e5), st.floats(0, 97), st.floats(-50, 50))
def test_no_renewal_is_put_off_beyond_the_end(seconds: float, passed: float, jump: float) -> None:
    """A token would be expired before anybody tries to renew it."""
    later = held().postponed(seconds, NOW + passed + jump, UPTIME + passed)

    assert later.fresh_until <= later.usable_until
    assert later.fresh_until_monotonic <= later.usable_until_monotonic
