#!/usr/bin/env python3
"""Change keyturn's code in small ways, one at a time, and count the changes that no test notices.

`scripts/mutants.py [PATTERN ...]` runs mutmut on the modules that `[tool.mutmut]` in pyproject.toml
lists, or on the mutants whose names match a pattern such as `keyturn._tokens.snapshot.*`. It works
in a copy of the repository, `.cache/mutants`, and keeps the results there: an interrupted run
continues. It prints each surviving mutant as a diff, and ends with the counts.
"""

from __future__ import annotations

import collections
import fnmatch
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
COPY = REPOSITORY / ".cache" / "mutants"
_COPIED = ("tests", "scripts", "docs", "README.md", "pyproject.toml")
_MUTMUT = (sys.executable, "-m", "mutmut")


def copy_repository() -> None:
    """Copy what the tests need, with all packages below `src`, the layout that mutmut supports."""
    # Python ignores a directory of PYTHONPATH that does not exist when it starts.
    (COPY / "mutants" / "src").mkdir(parents=True, exist_ok=True)
    for name in (*_COPIED, "src"):
        shutil.rmtree(COPY / name, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for root in ("core", "providers"):
        shutil.copytree(REPOSITORY / root, COPY / "src", ignore=ignored, dirs_exist_ok=True)
    for name in _COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, COPY / name, ignore=ignored)
        else:
            shutil.copy2(source, COPY / name)


def environment() -> dict[str, str]:
    """Return the variables with which processes that tests start import the changed code, too."""
    return {**os.environ, "PYTHONPATH": str(COPY / "mutants" / "src")}


def outcomes(patterns: list[str]) -> dict[str, str]:
    """Return the outcome of each mutant by its name."""
    command = [*_MUTMUT, "results", "--all", "true"]
    done = subprocess.run(command, cwd=COPY, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    lines = [line.strip().partition(": ") for line in done.stdout.splitlines() if ": " in line]
    return {
        name: outcome
        for name, _, outcome in lines
        if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    }


def main(patterns: list[str]) -> int:
    """Run the mutants, print those that survive, and return mutmut's exit code."""
    copy_repository()
    command = [*_MUTMUT, "run", "--max-children", str(os.cpu_count() or 1), *patterns]
    done = subprocess.run(command, cwd=COPY, env=environment(), check=False)  # noqa: S603 - our own command
    if done.returncode:
        return done.returncode
    found = outcomes(patterns)
    for name in [name for name, outcome in found.items() if outcome == "survived"]:
        subprocess.run([*_MUTMUT, "show", name], cwd=COPY, check=True)  # noqa: S603 - our own command
    counts = collections.Counter(found.values())
    print(*(f"{number} {outcome}" for outcome, number in counts.most_common()), sep=", ")  # noqa: T201 - the result
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
