"""An environment for each library, made when it is first needed, and kept below `.cache/bench`."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

REPOSITORY = Path(__file__).parents[1]
CACHE = REPOSITORY / ".cache" / "bench"
OURS = "keyturn"


class Library(NamedTuple):
    """One library that is measured.

    Args:
        name: Its distribution's name.
        module: The name of its adapter in `bench.peers`.
        statement: What imports it.
        requirements: What is installed for it; nothing for keyturn itself.
        missing: What it has no way for (`async`, `request`, `disk`), and why.
    """

    name: str
    module: str
    statement: str
    requirements: tuple[str, ...]
    missing: dict[str, str]

    @property
    def bin(self) -> Path:
        """Its environment's directory of programs."""
        return CACHE / self.name / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / "python"


def libraries() -> list[Library]:
    """Return the libraries of `peers.toml`, keyturn first."""
    text = (Path(__file__).parent / "peers.toml").read_text(encoding="utf-8")
    return [
        Library(
            name,
            each["module"],
            each["import"],
            tuple(each["requirements"]),
            each.get("missing", {}),
        )
        for name, each in tomllib.loads(text).items()
    ]


def prepare(library: Library) -> None:
    """Make a library's environment if it is not there, or not what is asked for.

    Raises:
        subprocess.CalledProcessError: The installation failed.
    """
    note = CACHE / library.name / "installed.txt"
    wanted = "\n".join(library.requirements)
    if wanted and note.exists() and note.read_text(encoding="utf-8") == wanted:
        return
    if not library.python.exists():
        venv.create(CACHE / library.name, with_pip=True)
    _pip(library.python, "install", *(library.requirements or _ourselves()))
    note.write_text(wanted, encoding="utf-8")


def version(library: Library) -> str:
    """Return the version that is installed."""
    program = f"import importlib.metadata as m; print(m.version({library.name!r}))"
    return subprocess.run(  # noqa: S603 - a command of our own
        [library.python, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


def _ourselves() -> list[str | Path]:
    """Return pip's arguments for this tree as users would have it: a wheel, not editable."""
    wheels, constraints = CACHE / "wheels", CACHE / "constraints.txt"
    for old in wheels.glob("*.whl"):
        old.unlink()
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir")
    _pip(Path(sys.executable), *build, wheels, REPOSITORY)
    constraints.write_text("\n".join(_versions()), encoding="utf-8")
    return ["--force-reinstall", "--constraint", constraints, *wheels.glob("*.whl")]


def _versions() -> Iterable[str]:
    found = ((each.metadata["Name"], each.version) for each in importlib.metadata.distributions())
    return sorted({f"{name}=={number}" for name, number in found if name != OURS})


def _pip(python: Path, *arguments: str | Path) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - a command of our own
