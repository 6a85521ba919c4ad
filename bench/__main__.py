"""`python -m bench [--quick] [--only ROW …] [--libraries NAME …]`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import page, table
from bench.environments import OURS, libraries, version
from bench.run import GROUPS, Run

if TYPE_CHECKING:
    from bench.environments import Library


def main() -> int:
    """Measure, print the table, and write the page unless only a part was measured.

    Returns:
        The exit code: 0 when everything could be measured, met or not; 1 otherwise.
    """
    arguments = _arguments()
    chosen = [each for each in libraries() if each.name in {OURS, *arguments.libraries}]
    run = Run(chosen, arguments.only, quick=arguments.quick)
    results = run.results()
    print(table.plain(table.main_table(results, chosen)))
    for rows in (table.minute_table(results), table.many_table(results)):
        if rows:
            print(f"\n{table.plain(rows)}")
    for line in table.missed(results):
        print(f"\nnot as required: {line}")
    for failure in run.failures:
        print(f"\ncould not be measured: {failure}", file=sys.stderr)
    if not arguments.only and len(chosen) == len(libraries()):
        page.write(_machine(chosen, quick=arguments.quick), results)
    return 1 if run.failures else 0


def _arguments() -> argparse.Namespace:
    rows = [row for group in GROUPS for row in group.rows]
    names = [each.name for each in libraries()]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="be quick rather than exact")
    parser.add_argument(
        "--only", nargs="+", choices=rows, default=[], metavar="ROW", help=str(rows)
    )
    parser.add_argument(
        "--libraries", nargs="*", choices=names, default=names, metavar="NAME", help=str(names)
    )
    return parser.parse_args()


def _machine(chosen: list[Library], *, quick: bool) -> dict[str, Any]:
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "mode": "quick" if quick else "full",
        "versions": {each.name: version(each) for each in chosen},
    }


def _processor() -> str:
    """Return the processor's name, as Linux tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
