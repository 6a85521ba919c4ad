"""Tables, and the configuration that the arguments name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from keyturn._config import Configuration
    from keyturn._connection import Connection

Row = dict[str, str | int | None]


def configuration(arguments: argparse.Namespace) -> Configuration:
    """Return the configuration that `--config` or the environment names."""
    from keyturn import _config as config

    return config.read(arguments.config)


def connection(arguments: argparse.Namespace) -> Connection:
    """Return the connection that the argument NAME names."""
    return configuration(arguments).open(arguments.name)


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, str | int | None]],
    form: str,
    out: TextIO,
) -> None:
    """Print rows as a table with a heading, or as a JSON list of objects."""
    if form == "json":
        print(json.dumps(rows, indent=2), file=out)
        return
    lines = [list(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip(), file=out)


def _cell(value: str | int | None) -> str:
    """Return a value in characters that do nothing to a terminal, whoever has written it."""
    text = "-" if value is None else str(value)
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
