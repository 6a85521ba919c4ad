"""The page on conformance describes every check and every attribute."""

from __future__ import annotations

import re
from pathlib import Path

from keyturn.testing import ProviderConformance
from keyturn.testing.provider_kit._run import CHECKS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "conformance.md"


def cells() -> list[list[str]]:
    """Return the cells of the page's tables, row by row."""
    lines = re.findall(r"^\| (`.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [line.split(" | ") for line in lines]


def test_every_check_is_described() -> None:
    """An author could not look up a check that failed."""
    listed = [(row[0].strip("`"), row[1]) for row in cells() if len(row) == 3]

    assert listed == [(name, check.__doc__) for name, check in CHECKS.items()]


def test_every_attribute_is_described() -> None:
    """An author would not know that the attribute exists."""
    listed = {row[0].strip("`") for row in cells() if len(row) == 2}

    assert listed == set(ProviderConformance.__annotations__)
