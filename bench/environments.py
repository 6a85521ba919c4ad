"""The environments of the measured libraries, kept below `.cache/bench`."""

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
_CROWD = 50


class Library(NamedTuple):
    """One library that is measured.

    Args:
        name: Its distribution's name.
        module: The name of its adapter in `bench.peers`.
        statement: The statement that imports it.
        requirements: The packages to install for it; none for keyturn itself.
        missing: What it does not support (`async`, `request`, `disk`), and why.
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
    """Make a library's environment if it is missing or outdated.

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


def crowd() -> Path:
    """Return a directory for `PYTHONPATH` in which 50 distributions are installed, all empty."""
    directory = CACHE / "crowd"
    for number in range(_CROWD):
        scripts = f"[console_scripts]\ncrowd-{number} = crowd_{number}:main\n"
        # About every third distribution of an application has entry points.
        _install(directory, f"crowd-{number}", "" if number % 3 else scripts)
    return directory


def listener() -> Path:
    """Return a directory for `PYTHONPATH` in which a plugin of keyturn is installed."""
    directory = CACHE / "listener"
    _install(directory, "listener", "[keyturn.plugins]\nlistener = bench.measure.listener\n")
    return directory


def version(library: Library) -> str:
    """Return the version that is installed."""
    program = f"import importlib.metadata as m; print(m.version({library.name!r}))"
    return subprocess.run(  # noqa: S603 - a command of our own
        [library.python, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


def _install(directory: Path, name: str, entry_points: str) -> None:
    """Write the metadata of an installed distribution."""
    metadata = directory / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    (metadata / "METADATA").write_text(text, encoding="utf-8")
    (metadata / "RECORD").write_text("", encoding="utf-8")
    if entry_points:
        (metadata / "entry_points.txt").write_text(entry_points, encoding="utf-8")


def _ourselves() -> list[str | Path]:
    """Return pip's arguments for this tree as users install it: a wheel, not editable."""
    wheels, constraints = CACHE / "wheels", CACHE / "constraints.txt"
    for old in wheels.glob("*.whl"):
        old.unlink()
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir")
    _pip(Path(sys.executable), *build, wheels, REPOSITORY)
    constraints.write_text("\n".join(_versions()), encoding="utf-8")
    return [
        "--force-reinstall",
        "--constraint",
        constraints,
        *(f"{wheel}[serve]" for wheel in wheels.glob("*.whl")),
    ]


def _versions() -> Iterable[str]:
    found = ((each.metadata["Name"], each.version) for each in importlib.metadata.distributions())
    return sorted({f"{name}=={number}" for name, number in found if name != OURS})


def _pip(python: Path, *arguments: str | Path) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - a command of our own
