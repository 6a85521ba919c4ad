"""One run: every library measures every row it can, in turns, against one server."""

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

from bench import processes
from bench.environments import OURS, REPOSITORY, prepare
from bench.figures import merge
from bench.processes import Place
from bench.progress import Progress
from bench.rows.measure import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from bench.environments import Library
    from bench.figures import Figure

    Results = dict[str, dict[str, dict[str, Figure]]]

FLOOR = "floor"
_TIMEOUT = 180.0


class Group(NamedTuple):
    """Rows that one process measures one after the other.

    Args:
        rows: The rows' names.
        quick: How often, in a quick run.
        full: How often, in a full run.
        only: Who measures them; by default every library, and for the load the floor too.
    """

    rows: tuple[str, ...]
    quick: int
    full: int
    only: tuple[str, ...] = ()


GROUPS = (
    # Each in a process of its own: what ran before in one changes the next by more than 1 %.
    Group(("hit",), 2, 5),
    Group(("async_hit",), 2, 5),
    Group(("threads",), 2, 5),
    Group(("request",), 2, 5),
    Group(("async_request",), 2, 5),
    # The threads come last: callers that are stuck would hinder what is measured next.
    Group(("async_cold", "cold_processes", "cold_threads"), 1, 3),
    Group(("burst",), 1, 3),
    Group(("load",), 1, 3),
    Group(("async_load",), 0, 3),
    Group(("async_load",), 1, 0, (OURS, FLOOR)),
    Group(("minute",), 0, 3, (OURS, FLOOR)),
    Group(("async_minute",), 0, 3, (OURS, FLOOR)),
    Group(("many",), 1, 3, (OURS,)),
    Group(("import",), 3, 7),
    Group(("first",), 3, 7),
    Group(("disk",), 3, 7),
)
_WHOLE: dict[str, Callable[[Place], dict[str, float]]] = {
    "import": processes.importing,
    "first": processes.first,
    "disk": processes.disk,
}


def needs(row: str) -> set[str]:
    """Return what a library must have a way for, to measure a row."""
    return {what for what in ("async", "request", "disk") if what in row.split("_")}


class Run:
    """A run in progress.

    Args:
        libraries: Whom to measure.
        rows: Which rows to measure; all when empty.
        quick: Whether to be quick rather than exact.
    """

    def __init__(self, libraries: list[Library], rows: list[str], *, quick: bool) -> None:
        self._libraries = libraries
        self._rows = rows
        self._quick = quick
        self._measured: dict[str, dict[str, list[dict[str, float]]]] = {}
        self.failures: list[str] = []

    def results(self) -> Results:
        """Measure everything and return the figures by row and library."""
        steps = self._steps()
        progress = Progress(len(self._libraries) + len(steps))
        for library in self._libraries:
            progress.step(f"install {library.name}")
            prepare(library)
        with _server() as address, tempfile.TemporaryDirectory() as home:
            context = Context(address, self._quick)
            places: dict[str, Place] = {}
            for rows, library, name in steps:
                progress.step(f"{name}: {', '.join(rows)}")
                if rows[0] in _WHOLE:
                    self._time(rows[0], places, library, Path(home), context)
                else:
                    self._measure(rows, library, name, context)
        progress.finish()
        return {
            row: {name: merge(runs) for name, runs in by_library.items()}
            for row, by_library in self._measured.items()
        }

    def _steps(self) -> list[tuple[tuple[str, ...], Library, str]]:
        """Return who measures what, everybody taking turns within each repetition."""
        steps = []
        for group in GROUPS:
            rows = tuple(row for row in group.rows if not self._rows or row in self._rows)
            for _ in range(group.quick if self._quick else group.full):
                for library in self._libraries:
                    able = tuple(row for row in rows if not needs(row) & set(library.missing))
                    if able and (not group.only or library.name in group.only):
                        steps.append((able, library, library.name))
                ours = self._libraries[0]
                if rows and (FLOOR in group.only or "load" in rows[0]):
                    steps.append((rows, ours, FLOOR))
        return steps

    def _measure(
        self, rows: tuple[str, ...], library: Library, name: str, context: Context
    ) -> None:
        module = FLOOR if name == FLOOR else library.module
        command: list[str | Path] = [
            library.python,
            "-m",
            f"bench.peers.{module}",
            ",".join(rows),
            context.address,
        ]
        if self._quick:
            command.append("--quick")
        try:
            response: dict[str, Any] = json.loads(_output(command))
        except (subprocess.SubprocessError, ValueError) as error:
            response = {row: {"error": type(error).__name__} for row in rows}
        for row, figures in response.items():
            self._note(row, name, figures)

    def _time(
        self, row: str, places: dict[str, Place], library: Library, home: Path, context: Context
    ) -> None:
        key = f"{row} {library.name}"
        if key not in places:
            directory = home / key.replace(" ", "-")
            directory.mkdir()
            places[key] = Place(library, directory, context.scenario(), context)
        try:
            figures: dict[str, Any] = dict(_WHOLE[row](places[key]))
        except subprocess.SubprocessError as error:
            figures = {"error": type(error).__name__}
        self._note(row, library.name, figures)

    def _note(self, row: str, name: str, figures: dict[str, Any] | None) -> None:
        if not figures or "error" in figures:
            self.failures.append(f"{name}: {row}: {(figures or {}).get('error', 'nothing')}")
            return
        by_library = self._measured.setdefault(row, defaultdict(list))
        by_library[name].append(figures)


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


def _output(command: list[str | Path]) -> str:
    """Return what a command prints; one that takes too long ends with all that it started."""
    with subprocess.Popen(  # noqa: S603 - a command of our own
        command,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=_TIMEOUT)[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
