"""The classes of the bench's rows, and of the table's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.environments import OURS
from bench.figures import median

if TYPE_CHECKING:
    from bench.figures import Results

FLOOR = "floor"
"""The name of the baseline under load: a static header."""
_UNITS = {
    "times": (1.0, "\N{MULTIPLICATION SIGN}"),
    "%": (100.0, " %"),
    "s": (1.0, " s"),
    "ms": (1e3, " ms"),
    "µs": (1e6, " µs"),
    "ns": (1e9, " ns"),
    "KiB": (1 / 1024, " KiB"),
    "": (1.0, ""),
}


class Line(NamedTuple):
    """One line of the table.

    Args:
        title: What is measured.
        figure: The row's figure.
        unit: `times` for a ratio, `%` for the addition to the floor, a unit, or "" for a count.
        goal: The most that keyturn may have, in that unit; None where there is no goal.
        at_least: Whether the goal is the least that keyturn must have.
        relative: Whether the figure is divided by that of the floor's own run.
        beside: A second figure in seconds, shown in microseconds.
        least: A figure of the same unit: the least that any code can have.
    """

    title: str
    figure: str
    unit: str
    goal: float | None = None
    at_least: bool = False
    relative: bool = False
    beside: str = ""
    least: str = ""

    def value(self, results: Results, row: str, name: str) -> float | None:
        """Return a library's figure in the line's unit, or None when it has none."""
        found = median(results, row, name, self.figure)
        if found is None or not self.relative:
            return self._in_unit(found)
        floor = median(results, row, FLOOR, self.figure)
        return found / floor if floor else None

    def met(self, value: float) -> bool:
        """Return whether a value meets the goal."""
        if self.goal is None:
            return True
        return value >= self.goal if self.at_least else value <= self.goal

    def goal_shown(self, results: Results, row: str) -> str:
        """Return the goal for people, with the least that is possible if that was measured."""
        sign = "≥" if self.at_least else "≤"
        goal = "" if self.goal is None else f"{sign} {self.goal:g}{_UNITS[self.unit][1]}"
        least = self._in_unit(median(results, row, OURS, self.least))
        return goal if least is None else f"{goal} (least possible: {self.shown(least)})".strip()

    def cell(self, results: Results, row: str, name: str) -> str | None:
        """Return a library's figure for people, or None when it has none."""
        value = self.value(results, row, name)
        if value is None:
            return None
        beside = median(results, row, name, self.beside)
        return self.shown(value) + ("" if beside is None else f" ({beside * 1e6:.1f} µs)")

    def shown(self, value: float) -> str:
        """Return a value for people."""
        digits = 0 if abs(value) >= 100 or not self.unit else 2 if abs(value) < 10 else 1
        return f"{value:.{digits}f}{_UNITS[self.unit][1]}"

    def _in_unit(self, found: float | None) -> float | None:
        if found is None:
            return None
        return (found - 1 if self.unit == "%" else found) * _UNITS[self.unit][0]


class Row(NamedTuple):
    """The measurements of one library in one process.

    Args:
        name: The row's name on the command line.
        lines: Its lines in the table; every row has one at least.
        not_covered: What it does not cover.
        quick: How often it is measured in a quick run.
        full: How often it is measured in a full run.
        who: The libraries that are measured; all of them when empty.
        who_quick: The same in a quick run; `who` when empty.
        floor: Whether the floor is measured in its own process too.
        needs: What a library must support: any of `async`, `request` and `disk`, by spaces.
        whole: Whether whole processes are timed.
        listener: Whether a plugin listens to events.
    """

    name: str
    lines: tuple[Line, ...]
    not_covered: str
    quick: int
    full: int
    who: tuple[str, ...] = ()
    who_quick: tuple[str, ...] = ()
    floor: bool = False
    needs: str = ""
    whole: bool = False
    listener: bool = False
