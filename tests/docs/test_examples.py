"""Every block of code in the documentation; each page's blocks run in their order."""

from __future__ import annotations

import contextlib
import doctest
import gc
import io
import json
import os
import re
import signal
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import World

import keyturn
from keyturn import _config as config
from keyturn._plugins import loading as plugins

if TYPE_CHECKING:
    import pytest

NOT_RUN = tomllib.loads((Path(__file__).parents[2] / "docs/_not_run.toml").read_text("utf-8"))
SECONDS = 40
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class PageRun:
    """The examples of one page, which share names, files and environment.

    Args:
        directory: Their working directory.
        environment: Sets an environment variable until the test ends.
        other_terminals: Stops the processes that blocks for another terminal have started.
    """

    def __init__(
        self, directory: Path, environment: Any, other_terminals: contextlib.ExitStack
    ) -> None:
        self._directory = directory
        self._set_variable = environment
        self._other_terminals = other_terminals
        self._names: dict[str, Any] = {"__name__": "example"}
        self._printed = ""

    def run(self, block: Any) -> None:
        """Run one block; an unknown language is an error."""
        file = block.comments.get("file")
        if file:
            (self._directory / file).write_text(block.text, encoding="utf-8")
        if "terminal" in block.comments:
            self._start(block.text)
            return
        languages = {
            "python": self._check_python if file else self._run_python,
            "console": lambda text: self._run_console(text, block.comments.get("exits with", "0")),
            "sh": self._run_script,
            "text": self._compare,
            "toml": self._read_toml,
            "json": json.loads,
        }
        languages[block.language](block.text)
        if block.language == "toml" and "mistakes" not in block.comments:
            config.read().check()

    def close(self) -> None:
        """Stop the emulators that the page's Python left running, as Python does at its exit."""
        for each in self._names.values():
            if isinstance(each, keyturn.testing.Emulator):
                each.stop()

    def _start(self, text: str) -> None:
        """Run a command in another terminal, until the page ends."""
        command = ["/bin/bash", "-c", f"exec {text.removeprefix('$ ')}"]
        started = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._other_terminals.enter_context(started)
        self._other_terminals.callback(started.terminate)
        assert started.stderr is not None
        assert "until it is interrupted" in started.stderr.readline()

    def _shell(self, text: str) -> tuple[int, str]:
        """Run a script; the variables that it exports are set for the blocks after it."""
        exported = self._directory / ".exported"
        status, output = shell(f'{text}\nenv -0 >"{exported}"')
        if status == 0:
            for name, _, value in (
                each.partition("=") for each in exported.read_text("utf-8").split("\0")
            ):
                if name.startswith("KEYTURN_") and os.environ.get(name) != value:
                    self._set_variable(name, value)
        return status, output

    def _check_python(self, text: str) -> None:
        compile(text, "example", "exec")

    def _run_python(self, text: str) -> None:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(text, "example", "exec", dont_inherit=True), self._names)  # noqa: S102 - our own examples
        self._printed = output.getvalue()

    def _run_script(self, text: str) -> None:
        status, self._printed = self._shell(text)
        assert status == 0, self._printed

    def _run_console(self, text: str, status: str) -> None:
        assert text.startswith("$ ")
        sessions = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
        statuses = [0] * (len(sessions) - 1) + [int(status)]
        for session in sessions:
            command, expected = re.split(r"(?<!\\)\n", session, maxsplit=1)
            found, self._printed = self._shell(command)
            if expected:
                self._compare(expected)
            # The exit status is the one that the page states, or 0.
            assert found == statuses.pop(0), f"{command} exits with {found}: {self._printed}"

    def _compare(self, expected: str) -> None:
        same = doctest.OutputChecker().check_output(expected, self._printed, OPTIONS)
        assert same, f"shown:\n{expected}\nprinted:\n{self._printed}"

    def _read_toml(self, text: str) -> None:
        content = tomllib.loads(text)
        if "project" in content:
            self._install(content["project"])
        if "connections" in content:
            path = self._directory / "keyturn.toml"
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)
            self._set_variable("KEYTURN_CONFIG", str(path))

    def _install(self, project: dict[str, Any]) -> None:
        """Register a distribution's entry points, as an installation does."""
        World.land()  # let no worker report an earlier event to the new plugin
        information = self._directory / f"{project['name'].replace('-', '_')}-1.dist-info"
        information.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n"
        (information / "METADATA").write_text(metadata, encoding="utf-8")
        groups = project["entry-points"].items()
        lines = [
            f"[{group}]\n{name} = {module}" for group, e in groups for name, module in e.items()
        ]
        (information / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        # A process that starts after the installation finds the distribution.
        plugins.plugin_manager.cache_clear()


def shell(script: str) -> tuple[int, str]:
    """Run a script; return its exit status and its output."""
    with subprocess.Popen(
        ["/bin/bash", "-eu", "-c", script],
        env=os.environ | {"COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=SECONDS)
        finally:
            # Processes that the script started in the background, such as an emulator.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output


def test_make_targets_in_the_documentation_exist(pages: list[Any]) -> None:
    """A new contributor would run a target of make that does not exist."""
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    blocks = "\n".join(block.text for page in pages for block in page.blocks)
    named = set(re.findall(r"^make ([a-z-]+)", blocks, re.MULTILINE))

    assert named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_example_does_what_its_page_says(
    page: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader would copy an example that does not do what it shows."""
    # An indented block would not be found, so there must be none.
    assert page.text.count("```") == 2 * len(page.blocks)
    with contextlib.ExitStack() as other_terminals:
        run = PageRun(place, monkeypatch.setenv, other_terminals)
        other_terminals.callback(run.close)
        for block in page.blocks:
            if "not run" in block.comments:
                assert block.comments["not run"] in NOT_RUN
                continue
            try:
                run.run(block)
            except Exception as error:
                error.add_note(f"at {page.name}, line {block.line}")
                raise
    # An unclosed resource of the page is reported here, not by a later test.
    if any(block.language == "python" for block in page.blocks):
        del run
        gc.collect()
