#!/usr/bin/env python3
"""Change keyturn's code in small ways, one at a time, and count the changes that no test notices.

`scripts/mutants.py` runs mutmut on the modules that `[tool.mutmut]` in pyproject.toml lists, and
`scripts/mutants.py keyturn._http.urls` on one module. `keyturn._http.urls.x_origin*` are the
mutants of one of its functions. `--tests` names the tests to run, in place of those that
pyproject.toml selects. mutmut works in a copy of the repository below `.cache/mutants`, one for
each module, and keeps the results there: an interrupted run continues. Each surviving mutant is
printed as a diff, and the counts at the end.
"""

from __future__ import annotations

import argparse
import collections
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
COPIES = REPOSITORY / ".cache" / "mutants"
_COPIED = ("tests", "scripts", "docs", "README.md", "pyproject.toml")
_MUTMUT = (sys.executable, "-m", "mutmut")


def module_of(pattern: str) -> str:
    """Return the path below `src` of the module that a pattern names, or of that it begins with."""
    parts = pattern.split(".")
    for number in range(len(parts), 1, -1):
        path = Path(*parts[:number]).with_suffix(".py")
        if any((REPOSITORY / root / path).is_file() for root in ("core", "providers")):
            return path.as_posix()
    sys.exit(f"{pattern}: no module of keyturn")


def copy_repository(copy: Path, module: str, tests: list[str]) -> None:
    """Copy the files for the tests, with all packages below `src`, the layout for mutmut."""
    # Python ignores a directory of PYTHONPATH that does not exist when it starts.
    (copy / "mutants" / "src").mkdir(parents=True, exist_ok=True)
    for name in (*_COPIED, "src"):
        shutil.rmtree(copy / name, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for root in ("core", "providers"):
        shutil.copytree(REPOSITORY / root, copy / "src", ignore=ignored, dirs_exist_ok=True)
    for name in _COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy2(source, copy / name)
    changed = copy / "pyproject.toml"
    text = changed.read_text(encoding="utf-8")
    if module:
        text = with_list(text, "only_mutate", [f"src/{module}"])
    if tests:
        text = with_list(text, "pytest_add_cli_args_test_selection", tests)
    changed.write_text(text, encoding="utf-8")


def with_list(text: str, key: str, values: list[str]) -> str:
    """Return pyproject.toml with another list at a key of mutmut's."""
    found, number = re.subn(
        rf"(?ms)^{key} = \[.*?^\]", lambda _: f"{key} = {json.dumps(values)}", text
    )
    return found if number == 1 else sys.exit(f"pyproject.toml has no list at {key}")


def outcomes(copy: Path, patterns: list[str]) -> dict[str, str]:
    """Return the outcome of each mutant by its name."""
    command = [*_MUTMUT, "results", "--all", "true"]
    done = subprocess.run(command, cwd=copy, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    lines = [line.strip().partition(": ") for line in done.stdout.splitlines() if ": " in line]
    return {
        name: outcome
        for name, _, outcome in lines
        if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    }


def count(module: str, patterns: list[str], tests: list[str]) -> int:
    """Run the mutants of a module, or all; print those that survive; return mutmut's exit code."""
    copy = COPIES / (module.replace("/", ".").removesuffix(".py") or "all")
    copy_repository(copy, module, tests)
    # Processes that tests start import the changed code, too.
    variables = {**os.environ, "PYTHONPATH": str(copy / "mutants" / "src")}
    command = [*_MUTMUT, "run", "--max-children", str(os.cpu_count() or 1), *patterns]
    done = subprocess.run(command, cwd=copy, env=variables, check=False)  # noqa: S603 - our own command
    if done.returncode:
        return done.returncode
    found = outcomes(copy, patterns)
    for name in [name for name, outcome in found.items() if outcome == "survived"]:
        subprocess.run([*_MUTMUT, "show", name], cwd=copy, check=True)  # noqa: S603 - our own command
    counts = collections.Counter(found.values())
    print(*(f"{number} {outcome}" for outcome, number in counts.most_common()), sep=", ")  # noqa: T201 - the result
    return 0


def main() -> int:
    """Count the mutants that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="of one module's mutants")
    parser.add_argument("--tests", nargs="+", default=[], help="the tests to run")
    given = parser.parse_args()
    if not given.patterns:
        return count("", [], given.tests)
    modules = {module_of(each) for each in given.patterns}
    if len(modules) > 1:
        parser.error(f"name one module, not {len(modules)}")
    whole = [
        each for each in given.patterns if not each.rpartition(".")[2].startswith(("x_", "xǁ"))
    ]
    return count(modules.pop(), [] if whole else given.patterns, given.tests)


if __name__ == "__main__":
    sys.exit(main())
