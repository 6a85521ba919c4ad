"""The tables of the results, of the goals, and of what the rows do not cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.catalogue import ROWS
from bench.environments import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.environments import Library
    from bench.figures import Results
    from bench.lines import Line, Row

EMPTY = "\N{EN DASH}"
"""The string in place of a missing figure."""


def main_table(
    results: Results, libraries: Sequence[Library], rows: Iterable[Row]
) -> list[list[str]]:
    """Return the table of all lines of the given rows, its head first."""
    peers = [each.name for each in libraries if each.name != OURS]
    head = ["what", "goal", OURS, "met", *peers]
    lines = ((row, line) for row in rows for line in row.lines)
    return [
        head,
        *(
            [
                line.title,
                line.goal_shown(results, row.name),
                line.cell(results, row.name, OURS) or EMPTY,
                _met(line, line.value(results, row.name, OURS)),
                *(line.cell(results, row.name, name) or EMPTY for name in peers),
            ]
            for row, line in lines
        ),
    ]


def measured(results: Results) -> list[Row]:
    """Return the rows that have figures."""
    return [row for row in ROWS if row.name in results]


def missed(results: Results) -> list[str]:
    """Return the lines in which keyturn misses the goal."""
    found = []
    for row in ROWS:
        for line in row.lines:
            value = line.value(results, row.name, OURS)
            if value is not None and not line.met(value):
                goal = line.goal_shown(results, row.name)
                found.append(f"{line.title} ({row.name}): {line.shown(value)}, goal {goal}")
    return found


def not_covered(rows: Iterable[Row]) -> list[list[str]]:
    """Return the table of what the rows do not cover, its head first; equal ones share a line."""
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row.not_covered, []).append(row.name)
    body = [[", ".join(each), what] for what, each in names.items()]
    return [["row", "does not cover"], *body]


def reasons(libraries: Sequence[Library]) -> list[str]:
    """Return why a library has no figure in some lines."""
    return [f"{each.name} {why}" for each in libraries for why in each.missing.values()]


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


def _met(line: Line, value: float | None) -> str:
    if value is None:
        return "not measured"
    if line.goal is None:
        return ""
    return "yes" if line.met(value) else "**no**"
