"""The figures of several runs, and the choice of rows and libraries to measure."""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from bench.catalogue import ROWS
from bench.environments import OURS, REPOSITORY, Library, libraries
from bench.figures import Figure, median, merge, percentile
from bench.floors import Empty, Slot
from bench.measure.__main__ import MEASURES
from bench.measure.compare import compare, ratio
from bench.run import Run, steps
from bench.server import Scenario
from bench.tokens import expiry, new_token
from bench.whole import WHOLE
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import for_each

if TYPE_CHECKING:
    from pathlib import Path

TIMES = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1)


@given(TIMES, st.floats(min_value=0, max_value=100))
def test_a_percentile_is_not_exceeded_by_its_share_of_the_values(
    times: list[float], percent: float
) -> None:
    """A percentile would be off by one, and hide the slowest caller."""
    found = percentile(sorted(times), percent)

    assert found in times
    assert sum(time <= found for time in times) * 100 >= percent * len(times) * (1 - 1e-9)


def test_percentiles_of_a_known_series() -> None:
    """The percentile of a small series would be computed wrongly."""
    series = [float(n) for n in range(1, 1001)]

    assert [percentile(series, p) for p in (50, 99, 99.9, 100)] == [500, 990, 999, 1000]
    assert math.isnan(percentile([], 50))


def test_runs_are_merged_to_median_and_noise() -> None:
    """One unusual run would determine a figure, or the noise would not be shown."""
    merged = merge([{"ratio": 1.0}, {"ratio": 9.0, "rare": 2.0}, {"ratio": 2.0}])

    assert merged == {"ratio": Figure(2.0, 1.0, 9.0, 3), "rare": Figure(2.0, 2.0, 2.0, 1)}
    results = {"hit": {OURS: merged}}
    assert median(results, "hit", OURS, "ratio") == 2.0
    assert median(results, "hit", OURS, "unknown") is None


def test_a_ratio_pairs_the_samples_of_each_round() -> None:
    """A machine that is busy for a few rounds would change the ratio."""
    assert ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == 2.0


def test_every_call_is_timed_in_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call would be compared with its floor in other rounds."""
    monkeypatch.setattr("bench.measure.compare._ROUNDS", 11)
    ours, floor = compare([Slot().token, Empty])

    assert len(ours) == len(floor) == 11
    assert min(ours + floor) > 0


def test_every_library_can_be_measured() -> None:
    """A library without an adapter or a pinned version would give figures that differ."""
    found = libraries()

    assert found[0].name == OURS
    assert len({each.name for each in found}) == 9
    for each in found[1:]:
        assert all("==" in requirement for requirement in each.requirements)
        assert set(each.missing) <= {"async", "request", "disk"}


def test_a_row_is_measured_without_the_packages_of_others() -> None:
    """A library whose environment lacks a package that keyturn needs would have no figures."""
    command = [sys.executable, "-S", "-c", "import bench.measure.__main__, bench.floors"]

    assert subprocess.run(command, check=False, cwd=REPOSITORY).returncode == 0


def test_a_library_that_can_not_be_measured_is_reported_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is missing would be reported as a mistake in JSON."""
    monkeypatch.setattr("bench.environments.CACHE", tmp_path)
    without = Library("authlib", "with_authlib", "import authlib", ("authlib",), {})
    without.bin.mkdir(parents=True)
    without.python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S "$@"\n')
    without.python.chmod(0o755)
    (tmp_path / "authlib" / "installed.txt").write_text("authlib")

    run = Run([without], ["cold_threads"], quick=True)

    assert run.results() == {}
    reason = "ModuleNotFoundError: No module named 'authlib'"
    assert run.failures == [f"authlib: cold_threads: {reason}"]


def test_every_row_is_measured_and_names_what_it_does_not_cover() -> None:
    """A row that no code measures would always show a dash."""
    assert {row.name for row in ROWS if row.whole} == set(WHOLE)
    assert {row.name for row in ROWS if not row.whole} == set(MEASURES)
    assert all(row.lines and row.not_covered for row in ROWS)


def test_every_row_of_a_full_run_measures_keyturn() -> None:
    """A row that the full run omits would keep the figures of an older run."""
    measured = {step.row.name for step in steps(libraries(), [], quick=False) if step.name == OURS}

    assert measured == {row.name for row in ROWS}


def test_a_library_is_not_measured_where_it_has_no_support() -> None:
    """The run would report a missing feature of a library as a failure."""
    names = {each.name for each in steps(libraries(), ["async_hit"], quick=True)}

    assert names == {"keyturn", "authlib", "httpx-auth", "azure-identity"}


@for_each("quick", [True, False])
@for_each("row", [row.name for row in ROWS])
def test_a_row_can_be_run_alone(row: str, quick: bool) -> None:
    """A developer would have to measure everything to check one figure."""
    found = steps(libraries(), [row], quick=quick)

    assert {step.row.name for step in found} == {row}
    assert OURS in {step.name for step in found}


def test_the_floor_is_measured_beside_the_load() -> None:
    """The latency under load could not be compared with that of a static header."""
    assert "floor" in {step.name for step in steps(libraries(), ["load"], quick=True)}


@pytest.mark.parametrize("token", ["", "made-up", "made-up-1-x"])
def test_a_token_of_another_server_counts_as_expired(token: str) -> None:
    """A token of another server would be counted as valid."""
    assert expiry(new_token(3, 1234.5)) == 1234.5
    assert expiry(token) == 0.0


def test_the_api_counts_expired_tokens() -> None:
    """Expired tokens would be counted as valid."""
    scenario = Scenario()

    assert scenario.api(f"Bearer {new_token(1, 2e10)}")[0] == 200
    assert scenario.api(f"Bearer {new_token(1, 1.0)}")[0] == 401
    assert (scenario.counts.api_requests, scenario.counts.unauthorized) == (2, 1)
