"""The lock files are complete, because they are installed without dependency resolution."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from types import ModuleType

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "scripts" / "locks.py"


def load() -> ModuleType:
    """Return the script."""
    spec = importlib.util.spec_from_file_location("locks", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # NamedTuple resolves annotations there
    spec.loader.exec_module(module)
    return module


locks = load()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name: str) -> list[Requirement]:
    """Return the pinned requirements of a lock file."""
    text = (REPOSITORY / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    pinned: list[Requirement] = locks.read_lock(text)
    return pinned


def problems(name: str, pinned: list[Requirement]) -> list[str]:
    """Return the problems of a lock file that has these pins."""
    found: list[str] = locks.problems(pinned, locks.required(PROJECT, locks.LOCKS[name]))
    return found


def changed(name: str, pattern: str, replacement: str) -> list[str]:
    """Return the problems of a lock file after a change of one of its lines."""
    lines = [str(pin) for pin in pins(name)]
    new = [re.sub(pattern, replacement, line) for line in lines]
    assert len([line for line, old in zip(new, lines, strict=True) if line != old]) == 1
    return problems(name, [Requirement(line) for line in new if line])


@pytest.mark.parametrize("name", ["test", "run"])
def test_lock_is_complete(name: str) -> None:
    """`make demo` and `make test` would fail when they import a package that is not locked."""
    assert problems(name, pins(name)) == []


def is_missed(name: str, pin: Requirement, pinned: list[Requirement]) -> bool:
    """Return whether the check reports a removed pin in any environment.

    It stops at the first such environment, because all environments for each pin take seconds.
    """
    left = [each for each in pinned if each is not pin]
    roots = locks.required(PROJECT, locks.LOCKS[name])
    return any(
        f"needs {pin.name}" in problem.replace("_", "-").lower()
        for environment in locks._environments()  # noqa: SLF001 - one at a time
        for problem in locks._problems(left, roots, environment)  # noqa: SLF001
    )


@pytest.mark.parametrize("name", ["test", "run"])
def test_any_removed_line_is_reported(name: str) -> None:
    """The check would not report a missing line of a lock file."""
    pinned = pins(name)
    # The check is about Linux and macOS.
    used = [pin for pin in pinned if not re.search("win32|emscripten", str(pin.marker))]
    unnoticed = [pin.name for pin in used if not is_missed(name, pin, pinned)]

    assert len(used) > len(PROJECT["project"]["dependencies"])
    assert unnoticed == []


@pytest.mark.parametrize(
    ("pattern", "replacement", "problem"),
    [
        (r"^coverage\[toml\]", "coverage", "pytest-cov needs coverage[toml]"),
        (r"^psycopg\[binary\]", "psycopg", "the project needs psycopg[binary]"),
        (r"^(async-timeout==.*)3\.11\.3", r"\g<1>3.11", "redis needs async-timeout"),
        (r"^(idna==.*)", r'\1 ; python_version < "3.13"', "needs idna"),
        (r"^(idna==.*)", r'\1 ; sys_platform == "linux"', "needs idna"),
        (r"^pluggy==.*", "pluggy==0.1", "the project needs pluggy"),
        (r"^h11==.*", "h11==999", "h11==999 is locked"),
    ],
    ids=["extra", "own extra", "patch version", "marker", "platform", "bound", "not installed"],
)
def test_broken_line_is_found(pattern: str, replacement: str, problem: str) -> None:
    """A lock file for one Python version or platform would break the installation on another."""
    found = changed("test", pattern, replacement)

    assert any(problem in line for line in found), found


def test_second_version_is_found() -> None:
    """pip would refuse the lock file, or install whichever comes last."""
    found = problems("test", [*pins("test"), Requirement("idna==1.0")])

    assert any("locked twice" in line for line in found), found


def test_dependency_that_is_not_locked_is_reported() -> None:
    """A dependency that is missing in the lock file would not be installed."""
    project = PROJECT["project"] | {"dependencies": ["left-pad>=1"]}
    roots = locks.required(PROJECT | {"project": project}, locks.LOCKS["run"])

    found = locks.problems(pins("run"), roots)

    assert any("the project needs left-pad>=1" in line for line in found), found


def test_demo_uses_the_versions_of_the_tests() -> None:
    """The demo would use untested versions, and could fail."""
    tested = {(pin.name, str(pin.specifier)) for pin in pins("test")}

    assert {(pin.name, str(pin.specifier)) for pin in pins("run")} - tested == set()


def test_checkers_are_added_to_the_tests_environment() -> None:
    """`make check` would change the packages that `make test` has installed and runs with."""
    checkers = {pin.name for pin in pins("dev")} - {pin.name for pin in pins("test")}

    assert {str(pin) for pin in pins("test")} <= {str(pin) for pin in pins("dev")}
    assert checkers >= {"import-linter", "mutmut", "mypy", "pyright", "ruff"}


def test_demo_is_installed_without_tools() -> None:
    """A new user's first command would install type checkers and test tools."""
    groups = PROJECT["dependency-groups"]
    tools = {
        Requirement(each).name
        for each in [*groups["dev"], *groups["test"]]
        if isinstance(each, str)
    } - {Requirement(each).name for each in PROJECT["project"]["dependencies"]}
    backend = {"packaging"}  # hatchling needs it

    assert {pin.name for pin in pins("run")} & tools == backend


def test_lowest_lock_has_every_extra() -> None:
    """No test would use the lowest versions of an extra's dependencies."""
    assert set(locks.LOCKS["lowest"].extras) == set(PROJECT["project"]["optional-dependencies"])


def test_command_reports_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make check` would pass with incomplete lock files."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").write_bytes((REPOSITORY / "pyproject.toml").read_bytes())
    lines = [f"{pin}\n" for pin in pins("run") if pin.name != "anyio"]
    (tmp_path / "requirements" / "run.txt").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setattr(locks, "REPOSITORY", tmp_path)
    monkeypatch.setattr(sys, "argv", ["locks.py", "check", "run"])

    assert locks.main() == 1
    assert "requirements/run.txt: httpx needs anyio" in capsys.readouterr().err
