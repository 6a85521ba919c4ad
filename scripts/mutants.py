#!/usr/bin/env python3
"""Take keyturn's mechanisms out, one at a time, and see that a test fails each time.

`scripts/mutants.py [WORD ...]` goes through `tests/mutations/mechanisms.toml`, or through those
mechanisms whose name, or file, holds one of the words. Each is taken out of a copy of the
repository, in which the tests that it names are run. A run of all of them writes
`docs/explanation/mechanisms.md`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY: Final = Path(__file__).resolve().parents[1]
TABLE: Final = REPOSITORY / "tests" / "mutations" / "mechanisms.toml"
PAGE: Final = REPOSITORY / "docs" / "explanation" / "mechanisms.md"

_COPIED = ("core", "providers", "tests", "docs", "scripts", "pyproject.toml", "README.md")
_JOBS = 2
# Seconds for one test, and for all tests of a mechanism.
_TEST_SECONDS, _SECONDS = 30, 180
_FAILED_REGEX = re.compile(
    r"^(?:FAILED|ERROR) (?P<test>[^\s\[]+::[^\s\[]+)(?P<why>.*)$", re.MULTILINE
)
_TIMEOUT = "from pytest-timeout"
# All that the tests need: to load every installed plugin takes longer than most of the tests.
_PLUGINS = ("xdist.plugin", "pytest_timeout", "_hypothesis_pytestplugin", "no_shrinking")
# The width keeps pytest from cutting off why a test failed.
_VARIABLES = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "1000"}
_SOME_FAILED = 1

_PAGE_HEAD = """\
# Every mechanism, and the test that misses it

Written by `make mutants`, which takes each mechanism out of a copy of the code and runs the tests
that it names: they must fail. What is taken out, and what is put in its place, stands in
[mechanisms.toml](../../tests/mutations/mechanisms.toml); a test of the ordinary run sees to it that
the code still has each of these texts exactly once.
"""


@attrs.frozen(kw_only=True)
class Mechanism:
    """One mechanism, and how to take it out.

    Args:
        name: What it does.
        promise: The number of the promise that it keeps, as the page's headings have them.
        file: The module, from the repository's root.
        text: What to replace; it must be there exactly once.
        replacement: What to put in its place.
        tests: The tests of which one must fail, as pytest takes them.
        hangs: Whether a test that doesn't come to an end counts as failed.
    """

    name: str
    promise: int
    file: str
    text: str
    replacement: str = ""
    tests: tuple[str, ...] = attrs.field(converter=tuple)
    hangs: bool = False

    def problem(self, root: Path = REPOSITORY) -> str:
        """Return what keeps it from being taken out, or an empty text."""
        found = (root / self.file).read_text("utf-8").count(self.text)
        return "" if found == 1 else f"its text is {found} times in {self.file}"

    @property
    def module(self) -> str:
        """The name by which the module is imported."""
        parts = Path(self.file).with_suffix("").parts[1:]
        return ".".join(parts).removesuffix(".__init__")


@attrs.frozen
class Verdict:
    """What came of taking a mechanism out.

    Args:
        mechanism: The mechanism.
        test: The first test that failed; empty when none did.
        problem: Why that proves nothing; empty when it was caught.
        seconds: How long its tests took.
    """

    mechanism: Mechanism
    test: str
    problem: str
    seconds: float


def read_table() -> tuple[list[str], list[Mechanism]]:
    """Return the promises and the mechanisms of the table."""
    table = tomllib.loads(TABLE.read_text("utf-8"))
    return table["promises"], [Mechanism(**row) for row in table["mechanism"]]


def page(promises: Sequence[str], verdicts: Sequence[Verdict]) -> str:
    """Return the page that tells which test misses which mechanism."""
    parts = [_PAGE_HEAD]
    for number, promise in enumerate(promises, 1):
        rows = [verdict for verdict in verdicts if verdict.mechanism.promise == number]
        parts.append(f"## {number}. {promise}\n\n| mechanism | in | its test |\n|---|---|---|")
        for verdict in rows:
            mechanism = verdict.mechanism
            file, _, test = verdict.test.partition("::")
            where = f"[`{mechanism.module}`](../../{mechanism.file})"
            parts.append(f"| {mechanism.name} | {where} | [`{test}`](../../{file}) |")
        parts.append("")
    return "\n".join(parts)


def main(words: Sequence[str]) -> int:
    """Take mechanisms out, print what came of it, and write the page after a whole run.

    Args:
        words: Parts of the names or files of the mechanisms to take out; none for all.

    Returns:
        The exit code: 0 when every mechanism was missed by a test, 1 otherwise.
    """
    promises, every = read_table()
    chosen = [each for each in every if _is_chosen(each, words)]
    if not chosen:
        _tell("no mechanism is of that name")
        return 1
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        original = Path(directory) / "original" / "keyturn"
        _copy_repository(original)
        problems = [f"{m.name}: {m.problem(original)}" for m in chosen if m.problem(original)]
        problems += [] if problems else _failing(original, chosen)
        if problems:
            _tell("\n".join(problems))
            return 1
        verdicts = _taken_out(original, chosen)
    unproven = [verdict for verdict in verdicts if verdict.problem]
    _tell(f"{len(verdicts) - len(unproven)} of {len(verdicts)} mechanisms are missed by a test")
    for verdict in unproven:
        _tell(f"NOT: {verdict.mechanism.name} ({verdict.problem})")
    if unproven:
        return 1
    if len(verdicts) == len(every):
        PAGE.write_text(page(promises, verdicts), "utf-8")
    return 0


def _is_chosen(mechanism: Mechanism, words: Sequence[str]) -> bool:
    return not words or any(word in mechanism.name or word in mechanism.file for word in words)


def _copy_repository(target: Path) -> None:
    """Copy what tests need: one moment of the work tree, which may change meanwhile."""
    target.mkdir(parents=True)
    left_out = shutil.ignore_patterns("__pycache__", "servers", "node_modules")
    for name in _COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=left_out)
        else:
            shutil.copy2(source, target / name)


def _failing(original: Path, mechanisms: Sequence[Mechanism]) -> list[str]:
    """Return which of the named tests fail though nothing was taken out."""
    tests = sorted({test for mechanism in mechanisms for test in mechanism.tests})
    _tell(f"{len(tests)} tests, first with nothing taken out ...")
    code, output = _pytest(original, tests, "--numprocesses", str(_JOBS), seconds=1800)
    return [] if code == 0 else ["with nothing taken out:", output]


def _taken_out(original: Path, mechanisms: Sequence[Mechanism]) -> list[Verdict]:
    verdicts = []
    with ThreadPoolExecutor(_JOBS) as pool:
        for verdict in pool.map(functools.partial(_take_out, original), mechanisms):
            verdicts.append(verdict)
            what, place = verdict.mechanism.name, f"[{len(verdicts)}/{len(mechanisms)}]"
            caught = verdict.problem.upper() or verdict.test.rpartition("/")[2]
            seconds = f"{verdict.seconds:.1f} s"
            _tell(
                " | ".join((place, what, f"promise {verdict.mechanism.promise}", caught, seconds))
            )
    return verdicts


def _take_out(original: Path, mechanism: Mechanism) -> Verdict:
    """Take one mechanism out of a copy, and run its tests there."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-", dir=original.parents[1]) as directory:
        copy = Path(directory) / "keyturn"
        shutil.copytree(original, copy)
        file = copy / mechanism.file
        code = file.read_text("utf-8")
        file.write_text(code.replace(mechanism.text, mechanism.replacement), "utf-8")
        imported = _imported(copy, mechanism.module)
        if imported != str(file):
            problem, test = f"is not what is imported: {imported}", ""
        else:
            test, problem = _verdict(mechanism, *_pytest(copy, mechanism.tests, "--exitfirst"))
    return Verdict(mechanism, test, problem, time.monotonic() - start)


def _verdict(mechanism: Mechanism, code: int | None, output: str) -> tuple[str, str]:
    """Return the first test that failed, and why that proves nothing, if it doesn't."""
    failed = _FAILED_REGEX.search(output)
    hung = code is None or (failed is not None and _TIMEOUT in failed["why"])
    if hung:
        return failed["test"] if failed else "", "" if mechanism.hangs else "hangs"
    if code == 0:
        return "", "survives"
    if failed is None or code != _SOME_FAILED:
        return "", f"breaks the tests (pytest's code {code}): {output[-2000:]}"
    return failed["test"], ""


def _imported(copy: Path, module: str) -> str:
    """Return which file is imported as a module when a copy's tests are run."""
    command = [_python(copy), "-c", f"import {module} as module; print(module.__file__)"]
    done = subprocess.run(  # noqa: S603 - the command is made here
        command, cwd=copy, capture_output=True, text=True, check=False
    )
    return (done.stdout or done.stderr).strip()


def _pytest(
    copy: Path, tests: Sequence[str], *options: str, seconds: float = _SECONDS
) -> tuple[int | None, str]:
    """Return pytest's exit code, None when it took too long, and its output."""
    command = [_python(copy), "-m", "pytest", "-p", "no:cacheprovider", "--quiet", "--tb=no"]
    command += [argument for plugin in _PLUGINS for argument in ("-p", plugin)]
    command += ["--hypothesis-profile=no-shrinking"]
    command += ["-rfE", f"--timeout={_TEST_SECONDS}", *options, *tests]
    with subprocess.Popen(  # noqa: S603 - the command is made here
        command,
        cwd=copy,
        env=os.environ | _VARIABLES,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            # With the processes that its tests started.
            os.killpg(process.pid, signal.SIGKILL)
            return None, process.communicate()[0]
    return process.returncode, output


def _python(copy: Path) -> str:
    """Return a Python that imports a copy first, then what this one does.

    `PYTHONPATH` would not do: some tests set it for the processes that they start.
    """
    environment = copy.parent / "environment"
    if not environment.exists():
        venv.create(environment, symlinks=True)
        roots = [str(copy / name) for name in ("core", "providers", "tests/mutations")]
        others = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
        (packages,) = environment.glob("lib/python*/site-packages")
        (packages / "copy.pth").write_text("\n".join(roots + others), "utf-8")
    return str(environment / "bin" / "python")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
