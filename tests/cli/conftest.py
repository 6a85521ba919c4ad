"""Fixtures of the command line's tests: a user's home, a configuration, and the emulator."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from keyturn._cli import main
from keyturn.testing import Emulator

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Result:
    """The result of a command.

    Args:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
    """

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def json(self) -> Any:
        """Return the JSON value on standard output."""
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's home without any configuration."""
    for variable in list(os.environ):
        if variable.startswith(("KEYTURN_", "XDG_")):
            monkeypatch.delenv(variable)
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("KEYTURN_FINGERPRINT_KEY", "made-up-for-tests")
    return directory


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Yield a running emulator."""
    with Emulator() as running:
        yield running


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes keyturn.toml, from names and settings with their providers."""
    path = tmp_path / "keyturn.toml"

    def write(**connections: dict[str, Any]) -> Path:
        lines = []
        for name, settings in connections.items():
            lines.append(f"[connections.{name}]")
            lines += [f"{setting} = {json.dumps(value)}" for setting, value in settings.items()]
        path.touch(mode=0o600)
        path.write_text("\n".join(lines), encoding="utf-8")
        monkeypatch.setenv("KEYTURN_CONFIG", str(path))
        return path

    return write


@pytest.fixture
def shop(emulator: Emulator, configure: Callable[..., Path]) -> Path:
    """Configure the connection `shop` for the emulator's OroCommerce."""
    return configure(shop={"provider": "orocommerce", **emulator.settings("orocommerce")})


@pytest.fixture
def keyturn(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Return a function that runs a command in this process."""

    def run(*arguments: str) -> Result:
        try:
            code = main(arguments)
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def start(
    spawn: Callable[..., subprocess.Popen[str]], forking_python: list[object]
) -> Callable[..., subprocess.Popen[str]]:
    """Yield a function that starts a command in its own process, which ends with the test."""

    def start_process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
        return spawn([*forking_python, "-m", "keyturn", *arguments], **options)

    return start_process


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that registers a distribution with these entry points, without modules."""

    def write(entry_points: str) -> Path:
        site = tmp_path / "site"
        metadata = site / "made_up-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(str(site))
        return site

    return write
