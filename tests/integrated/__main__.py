"""Run keyturn in each platform, installed in its own environment.

Usage: python -m tests.integrated [all | light | PLATFORM ...] [-- ARGUMENTS OF PYTEST]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import attrs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Platforms whose installation and tests take less than half a minute, for CI.
LIGHT = ("clients", "niquests", "workers")
# The test files of a platform that has others than `test_PLATFORM.py`.
TESTS = {"serve": ("consumers", "gateways", "page", "systemd")}


@attrs.frozen
class Outcome:
    """The result of a platform's tests."""

    platform: str
    result: str
    install_seconds: float
    test_seconds: float = 0


def platforms(given: list[str]) -> list[str]:
    """Return the platforms to run: those named, or `all` that have tests or a list of packages."""
    known = sorted(TESTS.keys() | {path.stem for path in HERE.glob("*.txt")})
    groups = {"all": known, "light": list(LIGHT)}
    names = [name for each in given or ["all"] for name in groups.get(each, [each])]
    if unknown := sorted(set(names) - set(known)):
        sys.exit(f"No such platform: {', '.join(unknown)}. Known: {', '.join(known)}.")
    return names


def run(platform: str, progress: str, arguments: list[str]) -> Outcome:
    """Install a platform, and run its tests."""
    print(f"=== {progress} {platform}: installing", flush=True)
    start = time.monotonic()
    variables = {**os.environ, "PYTHON": sys.executable}
    status = subprocess.run([HERE / "install", platform], env=variables, check=False).returncode
    installed = time.monotonic() - start
    if status:
        print(f"=== {progress} {platform}: NOT INSTALLED after {installed:.0f} s", flush=True)
        return Outcome(platform, "not installed", installed)
    print(f"=== {progress} {platform}: installed in {installed:.0f} s; testing", flush=True)
    start = time.monotonic()
    files = [str(HERE / f"test_{each}.py") for each in TESTS.get(platform, (platform,))]
    command = [sys.executable, "-m", "pytest", "--quiet", *files, *arguments]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    tested = time.monotonic() - start
    return Outcome(platform, "failed" if status else "passed", installed, tested)


def main() -> int:
    """Run the platforms, and print a line for each."""
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    names = platforms(given[:end])
    outcomes = [
        run(name, f"[{number} of {len(names)}]", given[end + 1 :])
        for number, name in enumerate(names, start=1)
    ]
    print(f"\n{'platform':10} {'result':14} {'installation':>12} {'tests':>6}")
    for each in outcomes:
        seconds = f"{each.install_seconds:10.0f} s {each.test_seconds:4.0f} s"
        print(f"{each.platform:10} {each.result:14} {seconds}")
    return int(any(each.result != "passed" for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
