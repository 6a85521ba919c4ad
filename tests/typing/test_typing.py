"""The reports of the type checkers about wrong settings and providers, line by line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
WRONG = Path(__file__).parent / "must_fail" / "provider.py"


def run(*command: str) -> str:
    """Return the output of a type checker, with the developer's own caches."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("XDG_")}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def mypy() -> set[int]:
    """Return the lines that mypy reports."""
    found = re.findall(r"^(.*?):(\d+): error", run("mypy", str(WRONG)), re.MULTILINE)
    assert {Path(file).name for file, _ in found} == {WRONG.name}
    return {int(line) for _, line in found}


def pyright() -> set[int]:
    """Return the lines that pyright reports."""
    options = ("--pythonpath", sys.executable, "--outputjson")
    report = json.loads(run("pyright", *options, "-p", str(WRONG.parent)))
    found = [each for each in report["generalDiagnostics"] if each["severity"] == "error"]
    return {each["range"]["start"]["line"] + 1 for each in found}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_mistakes_are_reported_and_nothing_else(checker: Callable[[], set[int]]) -> None:
    """An author would not see a wrong setting or datum, or would see false alarms."""
    lines = WRONG.read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if "# error" in line}

    assert len(marked) > 30
    assert checker() == marked
