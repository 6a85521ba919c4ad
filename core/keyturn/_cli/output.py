"""Tables on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Row = dict[str, str | int | None]


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, str | int | None]],
    form: str,
    out: TextIO,
) -> None:
    """Print rows as a table with a heading, or as a JSON list of objects."""
    if form == "json":
        import json

        print(json.dumps(rows, indent=2), file=out)
        return
    lines = [list(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip(), file=out)


def _cell(value: str | int | None) -> str:
    """Return a value with its control characters escaped: they could change the terminal."""
    string = "-" if value is None else str(value)
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in string
    )
