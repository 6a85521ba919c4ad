"""Environments outside the repository, in which keyturn is installed from its wheel.

Declared dependencies are linked from the environment that runs the tests, so no network is
needed, and an undeclared dependency is missing. `make release-check` really installs them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
THIRD_PARTY = REPOSITORY / "tests" / "plugins_for_tests" / "keyturn-acme"


class Environment(NamedTuple):
    """A virtual environment, and a home directory for the processes in it."""

    directory: Path
    home: Path

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's commands, and wait for its end."""
        return subprocess.run(
            [self.directory / "bin" / command, *arguments],
            cwd=self.home,
            env={"PATH": os.defpath, "HOME": str(self.home), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def python(self, script: str) -> str:
        """Return the output of a Python script; its failure is an AssertionError."""
        done = self.run("python", "-c", script)
        assert done.returncode == 0, done.stderr
        return done.stdout


def pip(*arguments: str | Path) -> None:
    """Run pip without a network; the assertion shows its output."""
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-index"]
    # pip under coverage takes several times as long, and covers nothing of keyturn.
    environment = {name: v for name, v in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def build_wheels(directory: Path, *sources: Path) -> list[Path]:
    """Build the wheels of source trees into a directory."""
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", directory, *sources)
    return sorted(directory.glob("*.whl"))


def dependencies(name: str) -> dict[str, Distribution]:
    """Return a distribution's direct and indirect dependencies, without extras."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        for requirement in map(Requirement, distribution(waiting.pop()).requires or ()):
            key = canonicalize_name(requirement.name)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and key not in found:
                found[key] = distribution(key)
                waiting.append(key)
    return found


def create_environment(directory: Path, wheels: list[Path]) -> Environment:
    """Create an environment with keyturn's dependencies, and install wheels with pip."""
    venv.create(directory, symlinks=True)
    paths = {"base": str(directory), "platbase": str(directory)}
    site_packages = Path(sysconfig.get_path("purelib", "venv", paths))
    for dependency in dependencies("keyturn").values():
        for top in {file.parts[0] for file in dependency.files or ()} - {"..", "__pycache__"}:
            (site_packages / top).symlink_to(Path(str(dependency.locate_file(top))))
    pip("--python", directory / "bin" / "python", "install", "--no-compile", *wheels)
    home = directory / "home"
    home.mkdir()
    return Environment(directory, home)


def write_wheel(directory: Path, name: str, provider: str, source: str = "") -> Path:
    """Write the wheel of a distribution with one provider, without a build."""
    module = name.replace("-", "_")
    wheel = directory / f"{module}-1.0-py3-none-any.whl"
    files = {
        f"{module}/__init__.py": source,
        f"{module}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{module}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
        f"{module}-1.0.dist-info/entry_points.txt": f"[keyturn.providers]\n{provider} = {module}\n",
        f"{module}-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build keyturn's wheel."""
    (built,) = build_wheels(tmp_path_factory.mktemp("wheel"), REPOSITORY)
    return built


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    """Create an environment with keyturn only."""
    return create_environment(tmp_path_factory.mktemp("bare"), [wheel])


@pytest.fixture(scope="session")
def with_plugins(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    """Create an environment with keyturn, a correct plugin and several broken ones."""
    wheels = tmp_path_factory.mktemp("wheels")
    return create_environment(
        tmp_path_factory.mktemp("with_plugins"),
        [
            wheel,
            *build_wheels(wheels, THIRD_PARTY),
            write_wheel(wheels, "keyturn-left", "twice"),
            write_wheel(wheels, "keyturn-right", "twice"),
            write_wheel(wheels, "keyturn-greedy", "orocommerce"),
            write_wheel(wheels, "keyturn-broken", "broken", "import a_missing_module"),
        ],
    )
