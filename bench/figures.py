"""From many measurements to one figure, and its noise."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Results = dict[str, dict[str, dict[str, "Figure"]]]
    """Figures by the row's name, the library's name and the figure's name."""


class Figure(NamedTuple):
    """One figure of several runs.

    Args:
        median: The median.
        low: The lowest.
        high: The highest.
        runs: The number of runs.
    """

    median: float
    low: float
    high: float
    runs: int


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all values don't exceed; NaN without values."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def figure(values: Sequence[float]) -> Figure:
    """Return the median and the noise of the values of several runs."""
    return Figure(statistics.median(values), min(values), max(values), len(values))


def merge(runs: Iterable[dict[str, float]]) -> dict[str, Figure]:
    """Return the figure of each name over several runs."""
    by_name: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.items():
            by_name.setdefault(name, []).append(value)
    return {name: figure(values) for name, values in by_name.items()}


def median(results: Results, row: str, library: str, name: str) -> float | None:
    """Return the median of a figure, or None where it was not measured."""
    found = results.get(row, {}).get(library, {}).get(name)
    return None if found is None else found.median
