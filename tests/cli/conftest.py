"""What the tests of the command line share: a user of their own, and the emulator."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from keyturn._cli import main
from keyturn._cli import quick as _quick
from keyturn._tokens.keyfile import fingerprint_key
from keyturn.testing import Emulator

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator


class Result:
    """What a command gave.

    Args:
        code: Its exit code.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
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
    """Give a user's home where nothing is configured yet."""
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
    """Give a running emulator."""
    with Emulator() as running:
        yield running


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Give a function that writes keyturn.toml, by name and settings, provider included."""
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
    """Configure the connection `shop` to the emulator's OroCommerce."""
    return configure(shop={"provider": "orocommerce", **emulator.settings("orocommerce")})


@pytest.fixture
def keyturn(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Give a function that runs a command in this process."""

    def run(*arguments: str) -> Result:
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def start(spawn: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.Popen[str]]:
    """Give a function that starts a command in a process of its own, ended with the test."""

    def start_process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
        return spawn([sys.executable, "-m", "keyturn", *arguments], **options)

    return start_process


class User:
    """Somebody who has configured the connection `shop`, its secret in a variable.

    Args:
        home: The user's home.
        config: The configuration file.
        run: Runs a command in this process.
        patch: Changes the user's environment.
    """

    def __init__(
        self,
        home: Path,
        config: Path,
        run: Callable[..., Result],
        patch: pytest.MonkeyPatch,
    ) -> None:
        self.home = home
        self.config = config
        self.run = run
        self.patch = patch
        self.cache = home / ".cache" / "keyturn"
        self.database = self.cache / "cache.db"

    @property
    def notes(self) -> list[Path]:
        """The notes for the quick way."""
        return sorted(self.cache.glob("notes/*"))

    def token(self, *options: str, name: str = "shop") -> str:
        """Return what `keyturn token` prints, without the end of the line."""
        result = self.run("token", name, *options)
        assert (result.code, result.err) == (0, "")
        return result.out.removesuffix("\n")

    def quick(self, *options: str, name: str = "shop") -> str | None:
        """Return what it prints the quick way, or None if that is for the ordinary way to say."""
        return _quick.response(["token", name, *options])

    def configure_more(self, line: str) -> None:
        """Add a line to the configuration file."""
        self.config.write_text(f"{self.config.read_text()}\n{line}")

    def reconfigure(self, old: str, new: str) -> None:
        """Replace a text in the configuration file."""
        assert old in self.config.read_text()
        self.config.write_text(self.config.read_text().replace(old, new))

    def write_entry(self, **fields: object) -> None:
        """Write fields into the store's entry of a token."""
        where = "value LIKE '%access_token%'"
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as database:
            ((entry,),) = database.execute(f"SELECT value FROM Cache WHERE {where}")  # noqa: S608
        self.write_columns(where, value=json.dumps(json.loads(entry) | fields))

    def write_columns(self, where: str = "1 = 1", **columns: object) -> None:
        """Write into columns of the store's database."""
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as database:
            for column, value in columns.items():
                database.execute(f"UPDATE Cache SET {column} = ? WHERE {where}", (value,))  # noqa: S608


@pytest.fixture
def user(
    home: Path,
    shop: Path,
    keyturn: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[User]:
    """Give a user who keeps the secret of the connection `shop` in the variable SHOP_SECRET."""
    # Python imports from the working directory too. Where the tests run, it changes any time: what
    # measures their coverage writes into it.
    elsewhere = [each for each in sys.path if each not in ("", str(Path.cwd()))]
    monkeypatch.setattr(sys, "path", elsewhere)
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))
    (line,) = [line for line in shop.read_text().splitlines() if "client_secret" in line]
    monkeypatch.setenv("SHOP_SECRET", json.loads(line.partition(" = ")[2]))
    user = User(home, shop, keyturn, monkeypatch)
    user.reconfigure(line, 'client_secret = { env = "SHOP_SECRET" }')
    # A process remembers its key for life, and other tests have others.
    fingerprint_key.cache_clear()
    yield user
    fingerprint_key.cache_clear()
