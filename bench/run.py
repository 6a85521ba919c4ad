"""One run: every library measures every row that it supports, in turns, against one server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.catalogue import ROWS
from bench.environments import OURS, REPOSITORY, listener, prepare
from bench.figures import merge
from bench.lines import FLOOR
from bench.measure.context import Context
from bench.progress import Progress
from bench.whole import WHOLE, Place

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from bench.environments import Library
    from bench.figures import Results
    from bench.lines import Row

_TIMEOUT = 180.0


class Step(NamedTuple):
    """One measurement.

    Args:
        row: The row.
        library: The library in whose environment it runs.
        name: The measured one: the library, or the floor.
    """

    row: Row
    library: Library
    name: str


def steps(libraries: list[Library], rows: list[str], *, quick: bool) -> list[Step]:
    """Return all measurements, in which the libraries take turns within each repetition."""
    found = []
    for row in ROWS:
        if rows and row.name not in rows:
            continue
        # A row that is named is measured once at least.
        times = (row.quick or int(bool(rows))) if quick else row.full
        for _ in range(times):
            found += [Step(row, each, each.name) for each in _able(row, libraries, quick=quick)]
            if row.floor:
                found.append(Step(row, libraries[0], FLOOR))
    return found


class Run:
    """A run in progress.

    Args:
        libraries: The libraries to measure, keyturn first.
        rows: The rows to measure; all when empty.
        quick: Whether to measure fewer and shorter runs.
    """

    def __init__(self, libraries: list[Library], rows: list[str], *, quick: bool) -> None:
        self._steps = steps(libraries, rows, quick=quick)
        used = {step.library.name for step in self._steps} | {OURS}
        self._libraries = [each for each in libraries if each.name in used]
        self._quick = quick
        self._measured: dict[str, dict[str, list[dict[str, float]]]] = {}
        self.failures: list[str] = []

    def results(self) -> Results:
        """Measure everything and return the figures by row and library."""
        progress = Progress(len(self._libraries) + len(self._steps))
        for library in self._libraries:
            progress.step(f"install {library.name}")
            prepare(library)
        with _server() as address, tempfile.TemporaryDirectory() as home:
            context = Context(address, self._quick)
            places: dict[str, Place] = {}
            for step in self._steps:
                progress.step(f"{step.name}: {step.row.name}")
                if step.row.whole:
                    self._add(step, self._time(step, places, Path(home), context))
                else:
                    self._add(step, _measure(step, context))
        progress.finish()
        return {
            row: {name: merge(runs) for name, runs in by_library.items()}
            for row, by_library in self._measured.items()
        }

    def _time(
        self, step: Step, places: dict[str, Place], home: Path, context: Context
    ) -> dict[str, Any]:
        key = f"{step.row.name}-{step.name}"
        if key not in places:
            (home / key).mkdir()
            python = self._libraries[0].python
            places[key] = Place(step.library, python, home / key, context.scenario(), context)
        try:
            return WHOLE[step.row.name](places[key])
        except subprocess.SubprocessError as error:
            return {"error": str(error)}

    def _add(self, step: Step, figures: dict[str, Any] | None) -> None:
        if not figures or "error" in figures:
            why = (figures or {}).get("error", "no figures")
            self.failures.append(f"{step.name}: {step.row.name}: {why}")
            return
        by_library = self._measured.setdefault(step.row.name, defaultdict(list))
        by_library[step.name].append(figures)


def _able(row: Row, libraries: list[Library], *, quick: bool) -> Iterable[Library]:
    who = (quick and row.who_quick) or row.who
    needs = set(row.needs.split())
    for each in libraries:
        if (not who or each.name in who) and not needs & set(each.missing):
            yield each


def _measure(step: Step, context: Context) -> dict[str, Any] | None:
    """Return the figures that its own process measures."""
    module = FLOOR if step.name == FLOOR else step.library.module
    command: list[str | Path] = [step.library.python, "-m", "bench.measure", module, step.row.name]
    command.append(context.address)
    if context.quick:
        command.append("--quick")
    environment = dict(os.environ)
    if step.row.listener:
        environment["PYTHONPATH"] = str(listener())
    try:
        figures: dict[str, Any] | None = _output(command, environment)
    except subprocess.SubprocessError as error:
        return {"error": str(error)}
    return figures


@contextlib.contextmanager
def _server() -> Generator[str]:
    """Run the server and yield its address."""
    command = [sys.executable, "-m", "bench.server"]
    with subprocess.Popen(  # noqa: S603 - a command of our own
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None  # noqa: S101 - for the type checkers
        assert server.stdin is not None  # noqa: S101 - for the type checkers
        try:
            yield f"127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.stdin.close()


def _output(command: list[str | Path], environment: dict[str, str]) -> Any:
    """Return the JSON that a command prints.

    Raises:
        subprocess.TimeoutExpired: It took too long; it and all processes that it started are ended.
        subprocess.SubprocessError: It printed something else; its last words say why.
    """
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(  # noqa: S603 - a command of our own
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            output = process.communicate(timeout=_TIMEOUT)[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        try:
            return json.loads(output)
        except ValueError:
            errors.seek(0)
            why = errors.read().strip().rpartition("\n")[2]
            raise subprocess.SubprocessError(why or f"it printed {output!r}") from None
