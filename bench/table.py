"""The table of what was measured, and of what is required of keyturn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.environments import OURS
from bench.run import FLOOR, needs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.environments import Library
    from bench.run import Results

_SCALES = {"times": 1.0, "%": 100.0, "ms": 1000.0, "": 1.0}
_SUFFIXES = {"times": "\N{MULTIPLICATION SIGN}", "%": " %", "ms": " ms", "": ""}
EMPTY = "\N{EN DASH}"
"""What stands where there is no figure."""


class Line(NamedTuple):
    """One line of the table.

    Args:
        title: What is measured.
        row: The row that measures it.
        figure: The row's figure.
        unit: `times` for a ratio, `%` for what is added to the floor, `ms`, or nothing for a count.
        limit: What keyturn may have at most, in that unit; None where nothing is required.
        at_least: Whether the limit is what keyturn must have at least.
        relative: Whether the figure is divided by that of the floor's own run.
    """

    title: str
    row: str
    figure: str
    unit: str
    limit: float | None = None
    at_least: bool = False
    relative: bool = False

    def value(self, results: Results, name: str) -> float | None:
        """Return a library's figure in the line's unit, or None when it has none."""
        found = _median(results, self.row, name, self.figure)
        if found is None:
            return None
        if self.relative:
            floor = _median(results, self.row, FLOOR, self.figure)
            return found / floor if floor else None
        return (found - 1 if self.unit == "%" else found) * _SCALES[self.unit]

    def met(self, value: float) -> bool:
        """Tell whether a value is as required."""
        if self.limit is None:
            return True
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def required(self) -> str:
        """What is required, for people."""
        if self.limit is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{_SUFFIXES[self.unit]}"

    def shown(self, value: float | None) -> str:
        """Return a value for people."""
        if value is None:
            return EMPTY
        digits = 0 if value >= 100 or not self.unit else 2 if value < 10 else 1
        return f"{value:.{digits}f}{_SUFFIXES[self.unit]}"


LINES = (
    Line(
        "`token()` on a hit, against a slot and a look at the clock", "hit", "ratio", "times", 1.5
    ),
    Line("`await atoken()` on a hit, against an empty method", "async_hit", "ratio", "times", 1.5),
    Line("the hit in 8 threads, against 1 thread", "threads", "ratio", "times", 1.1),
    Line("added to a request, against a static header", "request", "ratio", "%", 2),
    Line("the same, asynchronous", "async_request", "ratio", "%", 2),
    Line("100 threads, cold: token requests", "cold_threads", "token_requests", "", 1),
    Line("… slowest caller, against one fetch", "cold_threads", "ratio", "times", 1.5),
    Line("100 tasks, cold: token requests", "async_cold", "token_requests", "", 1),
    Line("… slowest caller, against one fetch", "async_cold", "ratio", "times", 1.5),
    Line("8 processes, cold: token requests", "cold_processes", "token_requests", "", 1),
    Line("… slowest caller, against one fetch", "cold_processes", "ratio", "times", 1.1),
    Line("50 threads for 6 s: token requests", "load", "token_requests", "", 6),
    Line("… responses 401", "load", "unauthorized", "", 0),
    Line("… tokens given out late", "load", "late_tokens", "", 0),
    Line("… requests not sent, or failed", "load", "unsent", "", 0),
    Line("… p99, against a static header", "load", "p99", "times", 3, relative=True),
    Line("50 tasks for 6 s: token requests", "async_load", "token_requests", "", 6),
    Line("… responses 401", "async_load", "unauthorized", "", 0),
    Line("… tokens given out late", "async_load", "late_tokens", "", 0),
    Line("… requests not sent, or failed", "async_load", "unsent", "", 0),
    Line("… p99, against a static header", "async_load", "p99", "times", 3, relative=True),
    Line(
        "100 threads, 20 token requests allowed: served",
        "burst",
        "succeeded",
        "",
        100,
        at_least=True,
    ),
    Line("… token requests", "burst", "token_requests", "", 1),
    Line("a token from disk, whole process, against bare Python", "disk", "ratio", "times", 4),
    Line("the import, over bare Python", "import", "added", "ms", 45),
    Line("a first token, whole process, over bare Python", "first", "added", "ms"),
)
_MINUTE = (
    ("token requests", "token_requests", 1, ".0f"),
    ("responses 401", "unauthorized", 1, ".0f"),
    ("tokens given out late", "late_tokens", 1, ".0f"),
    ("p50, ms", "p50", 1000, ".2f"),
    ("p99, ms", "p99", 1000, ".2f"),
    ("p99.9, ms", "p99.9", 1000, ".2f"),
)
_MANY = (
    ("KiB of memory each, with its token and store entry", "bytes_each", 1 / 1024, ".1f"),
    ("µs to make one, give it a token, and ask it once", "seconds_each_made", 1e6, ".0f"),
    ("ns for a call of `token()`: of one connection", "seconds_one", 1e9, ".0f"),
    ("… of 1,000 in turn", "seconds_thousand", 1e9, ".0f"),
    ("… of all in turn", "seconds_all", 1e9, ".0f"),
    ("ns for a slot and a look at the clock: one slot", "floor_one", 1e9, ".0f"),
    ("… 1,000 slots in turn", "floor_thousand", 1e9, ".0f"),
    ("… all slots in turn", "floor_all", 1e9, ".0f"),
)


def main_table(results: Results, libraries: Sequence[Library]) -> list[list[str]]:
    """Return the table of all lines that were measured, its head first."""
    head = ["what", "required", "keyturn", "met", *(each.name for each in libraries[1:])]
    body = []
    for line in LINES:
        if line.row not in results:
            continue
        ours = line.value(results, OURS)
        met = "" if ours is None or line.limit is None else "yes" if line.met(ours) else "**no**"
        peers = [line.shown(line.value(results, each.name)) for each in libraries[1:]]
        body.append([line.title, line.required, line.shown(ours), met, *peers])
    return [head, *body]


def missed(results: Results) -> list[str]:
    """Return the lines in which keyturn is not what is required."""
    values = ((line, line.value(results, OURS)) for line in LINES)
    return [
        f"{line.title} ({line.row}): {line.shown(value)}, required {line.required}"
        for line, value in values
        if value is not None and not line.met(value)
    ]


def minute_table(results: Results) -> list[list[str]]:
    """Return the table of a minute under load, its head first; empty when none was measured."""
    if "minute" not in results:
        return []
    columns = [(row, name) for row in ("minute", "async_minute") for name in (OURS, FLOOR)]
    head = ["", "keyturn, threads", "static header", "keyturn, tasks", "static header"]
    return [
        head,
        *(
            [
                title,
                *(
                    _scaled(_median(results, row, name, figure), scale, form)
                    for row, name in columns
                ),
            ]
            for title, figure, scale, form in _MINUTE
        ),
    ]


def many_table(results: Results) -> list[list[str]]:
    """Return the table of many connections, its head first; empty when none was measured."""
    count = _median(results, "many", OURS, "clients")
    if count is None:
        return []
    return [
        [f"{count:,.0f} connections in one process", ""],
        *(
            [title, _scaled(_median(results, "many", OURS, figure), scale, form)]
            for title, figure, scale, form in _MANY
        ),
    ]


def reasons(libraries: Sequence[Library]) -> list[str]:
    """Return why a library has no figure in some line."""
    return [
        f"{each.name} {why}"
        for each in libraries
        for what, why in each.missing.items()
        if any(what in needs(line.row) for line in LINES)
    ]


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    head, *body = table
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def plain(table: Sequence[Sequence[str]]) -> str:
    """Return a table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def _scaled(found: float | None, scale: float, form: str) -> str:
    return EMPTY if found is None else format(found * scale, form)


def _median(results: Results, row: str, name: str, figure: str) -> float | None:
    found = results.get(row, {}).get(name, {}).get(figure)
    return None if found is None else found.median
