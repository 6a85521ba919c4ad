"""From measurements to figures, and who is measured."""

from __future__ import annotations

import math

import pytest
from bench.environments import OURS, libraries
from bench.figures import Figure, merge, percentile
from bench.run import GROUPS
from bench.server import Scenario
from bench.table import LINES
from bench.tokens import expiry, new_token
from hypothesis import given
from hypothesis import strategies as st

TIMES = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1)


@given(TIMES, st.floats(min_value=0, max_value=100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(
    times: list[float], percent: float
) -> None:
    """A percentile that is off by one hides the slowest caller."""
    found = percentile(sorted(times), percent)

    assert found in times
    assert sum(time <= found for time in times) * 100 >= percent * len(times) * (1 - 1e-9)


def test_percentiles_of_a_known_series() -> None:
    """The share of callers would be told wrong."""
    series = [float(n) for n in range(1, 1001)]

    assert [percentile(series, p) for p in (50, 99, 99.9, 100)] == [500, 990, 999, 1000]
    assert math.isnan(percentile([], 50))


def test_runs_are_merged_to_median_and_noise() -> None:
    """One run out of the ordinary would stand for all, or the noise be lost."""
    merged = merge([{"ratio": 1.0}, {"ratio": 9.0, "rare": 2.0}, {"ratio": 2.0}])

    assert merged == {"ratio": Figure(2.0, 1.0, 9.0, 3), "rare": Figure(2.0, 2.0, 2.0, 1)}


def test_every_library_can_be_measured() -> None:
    """A library without an adapter, or with a floating version, makes runs that differ."""
    found = libraries()

    assert found[0].name == OURS
    assert len({each.name for each in found}) == 9
    for each in found[1:]:
        assert all("==" in requirement for requirement in each.requirements)
        assert set(each.missing) <= {"async", "request", "disk"}


def test_every_line_of_the_table_is_measured() -> None:
    """A line that no group measures would vanish from the table unnoticed."""
    measured = {row for group in GROUPS for row in group.rows}

    assert {line.row for line in LINES} <= measured


@pytest.mark.parametrize("text", ["", "made-up", "made-up-1-x"])
def test_a_foreign_token_has_ended(text: str) -> None:
    """A late token would be counted as a good one."""
    assert expiry(new_token(3, 1234.5)) == 1234.5
    assert expiry(text) == 0.0


def test_the_api_counts_tokens_that_have_ended() -> None:
    """Late tokens would look like good ones."""
    scenario = Scenario()

    assert scenario.api(f"Bearer {new_token(1, 2e10)}")[0] == 200
    assert scenario.api(f"Bearer {new_token(1, 1.0)}")[0] == 401
    assert (scenario.counts.api_requests, scenario.counts.unauthorized) == (2, 1)
