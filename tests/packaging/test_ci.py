"""The steps of `.ci/run`, with a `make` that only records its calls."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

PROGRAMS = (
    *("bash", "cat", "env", "grep", "head", "mktemp", "rm", "sleep", "tail", "tee", "timeout"),
    "touch",
)

RECORDING_MAKE = """#!/bin/sh
echo "$* PYTHON=$PYTHON VENV=$VENV PYTEST_ARGS=$PYTEST_ARGS" >> "$CALLS"
case "$*" in *"$FAILING"*) exit 1 ;; esac
"""
# It waits between two lines of output.
TALKING_MAKE = """#!/bin/sh
echo "$*" >> "$CALLS"
echo "at $*"; sleep 0.02; echo "at $*"
case "$*" in
    *"$FAILING"*) echo "FAILED tests/test_made_up.py::test_it"; exit 1 ;;
    test) echo "=== 3 passed in 0.12s ===" ;;
esac
"""
# A process of the first run of the tests crashes, as pytest-xdist reports it.
CRASHING_MAKE = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in test) ;; *) exit 0 ;; esac
if [ "$FAILING" = always ] || [ ! -e "$CALLS.once" ]; then
    touch "$CALLS.once"
    echo "worker 'gw2' crashed while running 'tests/test_made_up.py::test_it'"
    exit 1
fi
echo "=== 3 passed in 0.12s ==="
"""
PYTHONS = {
    # It prints its path, as the real Python does.
    "bin/python3.12": '#!/bin/sh\necho "$0"\n',
    # A pyenv shim of a version that is not selected.
    "bin/python3.13": "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n",
}
PYENV = {
    "bin/pyenv": '#!/bin/sh\necho "${0%/*}/../pyenv"\n',
    "pyenv/versions/3.13.0/bin/python": '#!/bin/sh\necho "$0"\n',
}


class Run:
    """A run of `.ci/run` in a directory with only `make` and Python interpreters."""

    def __init__(self, directory: Path, programs: dict[str, str], failing: str) -> None:
        for program in PROGRAMS:
            found = shutil.which(program)
            assert found is not None
            self._path(directory, f"bin/{program}").symlink_to(found)
        for name, script in ({"bin/make": RECORDING_MAKE} | programs).items():
            path = self._path(directory, name)
            path.write_text(script, encoding="utf-8")
            path.chmod(0o755)
        shutil.copy(REPOSITORY / ".ci" / "run", self._path(directory, ".ci/run"))
        calls = directory / "calls"
        environment = {
            "PATH": str(directory / "bin"),
            "CALLS": str(calls),
            "FAILING": failing,
        }
        done = subprocess.run(
            [directory / "bin" / "bash", directory / ".ci" / "run"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        self.code, self.output = done.returncode, done.stdout
        self.calls = calls.read_text(encoding="utf-8").splitlines()

    @staticmethod
    def _path(directory: Path, name: str) -> Path:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def pythons(self, target: str) -> list[str]:
        """Return the Python interpreters that a target was called with; "" is the default."""
        calls = [call for call in self.calls if call.startswith(f"{target} ")]
        return [Path(re.findall(r" PYTHON=(.*) VENV=", call)[0]).name for call in calls]


@pytest.fixture
def complete(tmp_path: Path) -> Run:
    """Run it with Python 3.12 on the PATH and Python 3.13 installed by pyenv."""
    return Run(tmp_path, PYTHONS | PYENV, "nothing")


def test_commands_of_the_readme_are_run(complete: Run) -> None:
    """A new user's first commands could be broken while continuous integration passes."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"^make ([\w-]+)", readme, re.MULTILINE))

    assert commands >= {"demo", "test"}
    assert commands <= {call.split()[0] for call in complete.calls}
    assert "" in complete.pythons("demo")
    assert "" in complete.pythons("test")


def test_each_installed_python_runs_all_tests(complete: Run) -> None:
    """A Python version that the package metadata lists would not be tested."""
    assert complete.pythons("test-all") == ["python3.12", "python"]
    assert complete.pythons("demo") == ["", "python3.12", "python"]
    tested = [call for call in complete.calls if call.startswith("test-all ")]
    assert len(set(re.findall(r" VENV=(\S+)", "\n".join(tested)))) == 2
    assert complete.code == 0


def test_missing_python_is_named(tmp_path: Path) -> None:
    """A version that was not tested would seem to have passed."""
    run = Run(tmp_path, PYTHONS, "nothing")

    assert run.pythons("test-all") == ["python3.12"]
    assert "not found, so not tested: Python 3.11\n" in run.output
    assert "not found, so not tested: Python 3.13\n" in run.output
    assert run.code == 0


def test_output_of_a_step_is_not_mixed_with_others(tmp_path: Path) -> None:
    """The output lines of two concurrent steps would be mixed."""
    run = Run(tmp_path, PYTHONS | PYENV | {"bin/make": TALKING_MAKE}, "test-servers")
    steps = re.split(r"^\n=== ", run.output, flags=re.MULTILINE)[1:]
    talked = [step for step in steps if "\nat " in step]
    closing = "=== failed: make test-servers\nFAILED tests/test_made_up.py::test_it\n"
    assert run.output.endswith(f"{closing}=== 3 passed in 0.12s ===\n")
    talked[-1] = talked[-1].partition("=== failed")[0]

    assert len(talked) == len(run.calls)
    for step in talked:
        command, first, second, *more = step.splitlines()
        assert first == second == f"at {command.partition('make ')[2]}"
        failed = [f"=== FAILED: {command}"] if "test-servers" in command else []
        assert [line for line in more if line.startswith("=== F")] == failed
    assert run.code != 0


def test_steps_after_a_failure_run(complete: Run, tmp_path: Path) -> None:
    """A failed step would prevent the other steps, or the run would pass despite the failure."""
    failing = Run(tmp_path / "failing", PYTHONS | PYENV, "check")

    assert sorted(call.split()[0] for call in failing.calls) == sorted(
        call.split()[0] for call in complete.calls
    )
    assert "=== failed: make --keep-going check\n" in failing.output
    assert failing.code != 0


@pytest.mark.parametrize("failing", ["once", "always"])
def test_a_step_whose_process_crashed_runs_again(failing: str, tmp_path: Path) -> None:
    """A rare crash of the interpreter would be reported as a defect of a change."""
    run = Run(tmp_path, {"bin/make": CRASHING_MAKE}, failing)

    assert run.calls.count("test") == {"once": 3, "always": 4}[failing]
    again = "=== a process of its tests hung or crashed, so again: make test\n"
    assert run.output.count(again) == 2
    assert ("=== failed: make test\n" in run.output) is (failing == "always")
    assert (run.code != 0) is (failing == "always")


def test_last_step_requires_coverage(complete: Run) -> None:
    """Untested lines would not be noticed, or pytest's summary would not be the last line."""
    assert complete.calls[-1] == "test PYTHON= VENV= PYTEST_ARGS=--cov"
