"""What `make test` runs of the tests that have very many rows."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sampling import sampled

REPOSITORY = Path(__file__).parents[2]


def test_first_of_every_four_rows_of_each_kind_is_in_the_sample() -> None:
    """A kind with few rows, or whose rows are not together, would be left out."""
    rows = ["a1", "b1", "a2", "a3", "a4", "b2", "a5", "c1"]

    assert sampled(rows, lambda row: row[0]) == ["a1", "b1", "a5", "c1"]


@pytest.mark.parametrize("name", ["test_broken", "test_broken_by_kind"])
def test_each_check_of_the_kit_has_a_broken_provider_in_the_sample(name: str) -> None:
    """`make test` would pass although a check has stopped finding anything."""
    tests = importlib.import_module(f"tests.conformance.{name}")
    marks = {each.name: each for each in tests.test_broken_provider_is_caught.pytestmark}
    rows = getattr(tests, "BASE" if name.endswith("kind") else "BROKEN").BROKEN
    kind = marks["sweep"].kwargs["kind"]
    sample = sampled(({"broken": row} for row in rows), kind)

    assert {each["broken"].check for each in sample} == {row.check for row in rows}
    assert {kind(each) for each in sample} == {kind({"broken": row}) for row in rows}
    assert len(sample) < len(rows) / 2


def collected(*options: str) -> list[str]:
    """Return the tests of one file that pytest would run."""
    path = "tests/conformance/test_broken.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *options, path],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return re.findall(r"^tests/\S+", done.stdout, re.MULTILINE)


def test_only_the_sample_leaves_out_rows() -> None:
    """Continuous integration would not run all tests, or `make test` would take too long."""
    every, sample = collected(), collected("--sample")
    left_out = [name for name in every if name not in sample]

    assert len(sample) < len(every)
    assert [name for name in sample if name not in every] == []
    assert {name.partition("[")[0] for name in left_out} == {
        "tests/conformance/test_broken.py::test_broken_provider_is_caught"
    }
