"""From many measurements to one figure, and its noise."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Figure(NamedTuple):
    """One figure of several runs.

    Args:
        median: The median.
        low: The lowest.
        high: The highest.
        runs: How many there were.
    """

    median: float
    low: float
    high: float
    runs: int


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all don't exceed; NaN for none at all."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def figure(values: Sequence[float]) -> Figure:
    """Return the median and the noise of what several runs measured."""
    return Figure(statistics.median(values), min(values), max(values), len(values))


def merge(runs: Iterable[dict[str, float]]) -> dict[str, Figure]:
    """Return the figure of each name over several runs."""
    by_name: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.items():
            by_name.setdefault(name, []).append(value)
    return {name: figure(values) for name, values in by_name.items()}
