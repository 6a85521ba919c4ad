"""`python -m bench [--quick] [--update] [--libraries NAME …] [ROW …]`, or `… --page`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import page, table
from bench.catalogue import ROWS
from bench.environments import OURS, libraries, version
from bench.run import Run

if TYPE_CHECKING:
    from bench.environments import Library
    from bench.figures import Results


def main() -> int:
    """Measure, print the tables, and write the page if all was measured or it is to be updated.

    Returns:
        The exit code: 0 when everything was measured, whether goals are met or not; otherwise 1.
    """
    arguments = _arguments()
    if arguments.page:
        page.write(*page.read())
        return 0
    chosen = [each for each in libraries() if each.name in {OURS, *arguments.libraries}]
    if arguments.update:
        page.check_same(_place(quick=arguments.quick))
    run = Run(chosen, arguments.rows, quick=arguments.quick)
    results = run.results()
    _print(results, chosen)
    for failure in run.failures:
        print(f"\ncould not be measured: {failure}", file=sys.stderr)
    if not arguments.rows and len(chosen) == len(libraries()):
        page.write(_machine(chosen, quick=arguments.quick), results)
    elif arguments.update:
        page.update(_machine(chosen, quick=arguments.quick), results)
    return 1 if run.failures else 0


def _print(results: Results, chosen: list[Library]) -> None:
    rows = table.measured(results)
    names = {name for row in rows for name in results[row.name]}
    shown = [each for each in chosen if each.name in names]
    print(table.plain(table.main_table(results, shown, rows)))
    print(f"\n{table.plain(table.not_covered(rows))}")
    for line in table.missed(results):
        print(f"\nmissed: {line}")


def _arguments() -> argparse.Namespace:
    rows = ", ".join(row.name for row in ROWS)
    names = [each.name for each in libraries()]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", type=_row, metavar="ROW", help=rows)
    parser.add_argument("--quick", action="store_true", help="measure fewer and shorter runs")
    parser.add_argument(
        "--libraries", nargs="*", choices=names, default=names, metavar="NAME", help=str(names)
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="write what was measured into the page of the last run",
    )
    parser.add_argument(
        "--page", action="store_true", help="only write the page from the results of the last run"
    )
    return parser.parse_args()


def _row(name: str) -> str:
    if name not in {row.name for row in ROWS}:
        raise argparse.ArgumentTypeError(f"there is no row {name!r}")
    return name


def _machine(chosen: list[Library], *, quick: bool) -> dict[str, Any]:
    return _place(quick=quick) | {"versions": {each.name: version(each) for each in chosen}}


def _place(*, quick: bool) -> dict[str, Any]:
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "mode": "quick" if quick else "full",
    }


def _processor() -> str:
    """Return the processor's name as Linux reports it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
