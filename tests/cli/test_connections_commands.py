"""`keyturn init` and `keyturn connections`: questions, secrets, a token request, the file."""

from __future__ import annotations

import io
import json
import stat
import sys
import tomllib
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.testing import Emulator

    from .conftest import Result

    Keyturn = Callable[..., Result]
    Type = Callable[..., Result]


class Keyring(ModuleType):
    """Replaces the package keyring, which the locked environment lacks."""

    def __init__(self, priority: float = 5) -> None:
        super().__init__("keyring")
        self.priority = priority
        self.passwords: dict[tuple[str, str], str] = {}

    def get_keyring(self) -> Keyring:
        """Return the back end."""
        if self.priority < -1:
            raise RuntimeError
        return self

    def get_password(self, service: str, user: str) -> str | None:
        """Return a password."""
        return self.passwords.get((service, user))

    def set_password(self, service: str, user: str, password: str) -> None:
        """Store a password."""
        if self.priority > 9:
            raise RuntimeError
        self.passwords[service, user] = password

    def delete_password(self, service: str, user: str) -> None:
        """Delete a password."""
        del self.passwords[service, user]


class Input(io.StringIO):
    """Typed input of a user at a terminal."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


@pytest.fixture
def path(home: Path) -> Path:
    """Return the path of the user's keyturn.toml."""
    return home / ".config" / "keyturn" / "keyturn.toml"


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    """Install a keyring for the user."""
    made_up = Keyring()
    monkeypatch.setitem(sys.modules, "keyring", made_up)
    return made_up


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the package keyring missing."""
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def at_terminal(keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Return a function that runs a command at a terminal with typed lines."""

    def run(*arguments: str, lines: list[str], secrets: tuple[str, ...] = ()) -> Result:
        hidden = iter(secrets)
        monkeypatch.setattr("sys.stdin", Input("".join(f"{line}\n" for line in lines)))
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setattr("getpass.getpass", lambda _, **__: next(hidden))
        return keyturn(*arguments)

    return run


def added(path: Path, name: str) -> dict[str, Any]:
    """Return a connection of the file."""
    table: dict[str, Any] = tomllib.loads(path.read_text())["connections"][name]
    return table


def test_init_asks_and_stores_the_secret_in_the_keyring(
    at_terminal: Type, keyturn: Keyturn, keyring: Keyring, emulator: Emulator, path: Path
) -> None:
    """A new user would have to write TOML manually, with the secret in it."""
    account = emulator.settings("orocommerce")
    lines = ["orocomerce", "orocommerce", "", "", account["client_id"], "keyring", account["url"]]
    options = ["bodyformat", "body_format", "form", "none"]
    result = at_terminal("init", lines=[*lines, *options], secrets=("", account["client_secret"]))

    assert (result.code, result.out) == (0, ""), result.err
    assert added(path, "orocommerce") == {
        "provider": "orocommerce",
        "client_id": account["client_id"],
        "client_secret": {"keyring": "keyturn/orocommerce/client_secret"},
        "url": account["url"],
        "body_format": "form",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keyring.passwords == {("keyturn/orocommerce", "client_secret"): account["client_secret"]}
    for shown in (
        "Did you mean orocommerce?",
        "Did you mean body_format?",
        "Client secret. The client's secret.",
        "received a token, which expires in 60 min.",
    ):
        assert shown in result.err
    assert account["client_secret"] not in result.err + path.read_text()
    assert emulator.token_requests("orocommerce") == 1
    assert keyturn("token", "orocommerce").code == 0
    assert emulator.token_requests("orocommerce") == 1


@pytest.mark.usefixtures("no_keyring")
def test_without_a_keyring_the_secret_is_stored_in_a_file(
    at_terminal: Type, keyturn: Keyturn, emulator: Emulator, path: Path
) -> None:
    """No connection could be set up on a server, or its secret would be readable by others."""
    account = emulator.settings("orocommerce")
    (path.parent / "secrets").mkdir(parents=True)
    (path.parent / "secrets" / "shop.client_secret").write_text("another's")
    lines = [account["client_id"], "", account["url"], ""]
    arguments = ("connections", "add", "shop", "orocommerce")
    result = at_terminal(*arguments, lines=lines, secrets=(account["client_secret"],))

    assert result.code == 0, result.err
    assert "The system's keyring can't store it: the package keyring is missing" in result.err
    file = path.parent / "secrets" / "shop-2.client_secret"
    assert added(path, "shop")["client_secret"] == {"file": str(file)}
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (
        account["client_secret"],
        0o600,
    )

    removed = keyturn("connections", "remove", "shop", "--yes")
    assert (removed.code, removed.out) == (0, "")
    assert not file.exists()
    assert path.read_text() == ""
    assert [each.name for each in file.parent.iterdir()] == ["shop.client_secret"]


def test_secret_may_be_in_the_environment(
    at_terminal: Type, keyring: Keyring, emulator: Emulator, path: Path, monkeypatch: Any
) -> None:
    """The secret of a container would have to be copied into a file."""
    keyring.priority = -1
    account = emulator.settings("commercelayer")
    monkeypatch.setenv("MY_SHOP_CLIENT_SECRET", account["client_secret"])
    lines = [account["client_id"], "env", "", "integration", "token_url", account["token_url"]]
    arguments = ("connections", "add", "my-shop", "commercelayer", "--no-check")
    result = at_terminal(*arguments, lines=[*lines, "none"])

    assert result.code == 0, result.err
    assert "this system has no keyring" in result.err
    assert added(path, "my-shop")["client_secret"] == {"env": "MY_SHOP_CLIENT_SECRET"}
    assert emulator.token_requests("commercelayer") == 0


def test_invalid_setting_is_asked_for_again(
    at_terminal: Type, keyring: Keyring, path: Path
) -> None:
    """One mistake would discard all answers; or an optional secret could not be left out."""
    lines = ["cid", "none", "sales_channel", "token_url", "http://shop.example", "none"]
    again = ["https://shop.example/token"]
    arguments = ("connections", "add", "shop", "commercelayer", "--no-check")
    result = at_terminal(*arguments, lines=[*lines, *again])

    assert result.code == 0, result.err
    assert "connections.shop.token_url: " in result.err
    assert added(path, "shop") == {
        "provider": "commercelayer",
        "client_id": "cid",
        "kind": "sales_channel",
        "token_url": "https://shop.example/token",
    }
    assert keyring.passwords == {}


@pytest.mark.parametrize(("answer", "code"), [("no", 3), ("yes", 0)])
def test_connection_without_a_token_is_added_only_if_confirmed(
    at_terminal: Type, keyring: Keyring, emulator: Emulator, path: Path, answer: str, code: int
) -> None:
    """A mistyped secret would be noticed late, or its copy would stay in the keyring."""
    account = emulator.settings("orocommerce")
    lines = [account["client_id"], "keyring", account["url"], "none", answer]
    arguments = ("connections", "add", "shop", "orocommerce")
    result = at_terminal(*arguments, lines=lines, secrets=("wr0ng-s3cret",))

    assert result.code == code, result.err
    assert "invalid_client" in result.err
    assert path.exists() == bool(keyring.passwords) == (code == 0)
    assert "wr0ng" not in result.err


def test_end_of_input_changes_nothing(at_terminal: Type, keyring: Keyring, path: Path) -> None:
    """A secret would stay in the keyring for a connection that does not exist."""
    arguments = ("connections", "add", "shop", "orocommerce")
    result = at_terminal(*arguments, lines=["cid", "keyring"], secrets=("s3cret",))

    assert (result.code, keyring.passwords, path.exists()) == (2, {}, False)
    assert "the input has ended; nothing was changed." in result.err


@pytest.mark.parametrize("priority", [-2, 10])
def test_keyring_that_fails_is_reported(
    at_terminal: Type, keyring: Keyring, path: Path, priority: int
) -> None:
    """A locked keyring would cause a traceback."""
    keyring.priority = priority
    arguments = ("connections", "add", "shop", "orocommerce")
    result = at_terminal(*arguments, lines=["cid", "keyring"], secrets=("s3cret",))

    assert result.code == 2
    assert "the keyring failed with RuntimeError" in result.err
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "lines", "is_kept"),
    [((), ["no"], True), ((), [""], True), ((), ["y", "yes"], False), (("--yes",), [], False)],
)
def test_connection_is_removed_at_a_terminal_only_after_confirmation(
    at_terminal: Type, shop: Path, arguments: tuple[str, ...], lines: list[str], *, is_kept: bool
) -> None:
    """A mistyped name would delete a connection and its secret."""
    result = at_terminal("connections", "remove", "shop", *arguments, lines=lines)

    assert result.code == (1 if is_kept else 0), result.err
    assert ("[connections.shop]" in shop.read_text()) == is_kept
    assert ("Remove connection shop" in result.err) == bool(lines)


@pytest.mark.usefixtures("no_keyring")
def test_secret_file_that_cannot_be_written_is_reported(at_terminal: Type, path: Path) -> None:
    """A user would not see which directory can't be written, and which alternatives exist."""
    path.parent.mkdir(parents=True)
    (path.parent / "secrets").touch()
    arguments = ("connections", "add", "shop", "orocommerce")
    result = at_terminal(*arguments, lines=["cid", "file"], secrets=("s3cret",))

    assert result.code == 2
    assert "the secret can't be written into " in result.err


def test_connection_is_added_without_a_terminal(
    keyturn: Keyturn, emulator: Emulator, path: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """A script could not add a connection, or comments of the file would be lost."""
    account = emulator.settings("norce-commerce")
    path.parent.mkdir(parents=True)
    path.write_text("# by hand\n[connections.other]  # mine\nprovider = 'x'")
    (tmp_path / "secret").write_text(account.pop("client_secret"))
    monkeypatch.chdir(tmp_path)
    given = [f"--set={name}={value}" for name, value in account.items()]
    arguments = ["norce", "norce-commerce", *given, "--set", "timeout=9.5", "--set=store=memory://"]
    result = keyturn("connections", "add", *arguments, "--secret-file", "client_secret=secret")

    assert (result.code, result.out) == (0, ""), result.err
    assert path.read_text().startswith("# by hand\n[connections.other]  # mine\nprovider = 'x'\n\n")
    assert added(path, "norce") == {
        "provider": "norce-commerce",
        **account,
        "timeout": 9.5,
        "store": "memory://",
        "client_secret": {"file": str(tmp_path / "secret")},
    }
    rows = keyturn("connections", "list", "--format", "json").json()
    assert [(row["connection"], row["provider"], row["defined in"]) for row in rows] == [
        ("norce", "norce-commerce", str(path)),
        ("other", "x", str(path)),
    ]
    assert keyturn("connections", "remove", "norce").code == 0
    assert (tmp_path / "secret").exists()
    assert path.read_text() == "# by hand\n[connections.other]  # mine\nprovider = 'x'\n"


GIVEN = ["shop", "orocommerce", "--set", "client_id=x", "--set", "url=https://shop.example"]
SECRET = ["--secret-env", "client_secret=SHOP_SECRET"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no terminal is available to ask for it: Provider "),
        (["shop", "orocomerce"], "Did you mean orocommerce?"),
        (["a b", "orocommerce"], "is not a valid name for a connection"),
        (["taken", "orocommerce"], "a connection with the name TAKEN already exists"),
        ([*GIVEN, "--set", "client_secret=s3cret"], "Use --secret-env client_secret=VARIABLE"),
        ([*GIVEN, "--set", "sied=x"], "'sied' of --set is not a known setting"),
        ([*GIVEN, "--set", "side"], "--set needs SETTING=VALUE"),
        (
            [*GIVEN, "--secret-env", "client_id=X"],
            "'client_id' of --secret-env is not a known setting",
        ),
        (GIVEN, "connections.shop.client_secret: is required"),
        ([*GIVEN, *SECRET], "SHOP_SECRET is not set"),
        ([*GIVEN, *SECRET, "--set", "timeout=x"], "connections.shop.timeout: "),
        ([*GIVEN, "--secret-keyring", "client_secret=x"], "must be of the form service/user"),
    ],
)
def test_connection_that_cannot_be_added_is_reported(
    keyturn: Keyturn, path: Path, arguments: list[str], message: str
) -> None:
    """A script would add a connection that does not work, or with a secret in its arguments."""
    path.parent.mkdir(parents=True)
    path.write_text("[connections.TAKEN]\n")
    result = keyturn("connections", "add", *arguments)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "s3cret" not in result.err
    assert path.read_text() == "[connections.TAKEN]\n"


def test_error_in_another_connection_is_reported_and_not_asked_for(
    at_terminal: Type, keyring: Keyring, path: Path
) -> None:
    """The command would ask for a value again and again."""
    path.parent.mkdir(parents=True)
    path.write_text("stoer = 'x'\n")
    lines = ["cid", "keyring", "https://shop.example", "none"]
    result = at_terminal(
        "connections", "add", "shop", "orocommerce", lines=lines, secrets=("s3cret",)
    )

    assert (result.code, keyring.passwords) == (2, {})
    assert "stoer: is not known" in result.err


def test_init_needs_a_terminal_and_a_file(
    keyturn: Keyturn, at_terminal: Type, home: Path, monkeypatch: Any
) -> None:
    """A script would wait forever; a user without a home would see a traceback."""
    assert "connections add NAME PROVIDER" in keyturn("init").err

    new = home / "new.toml"
    arguments = ["--config", str(new), "connections", "add", "--no-check"]
    assert keyturn(*arguments, *GIVEN, *SECRET).code == 0
    assert added(new, "shop")["client_id"] == "x"

    monkeypatch.setattr("keyturn._config.user_directory", lambda _: None)
    result = at_terminal("init", lines=[])
    assert result.code == 2
    assert "Set KEYTURN_CONFIG, or --config, to a file." in result.err


def test_connection_from_the_environment_is_listed_and_not_removed(
    keyturn: Keyturn, path: Path, monkeypatch: Any
) -> None:
    """A user would search the file for it."""
    monkeypatch.setenv("KEYTURN_CONNECTIONS__SHOP__PROVIDER", "orocommerce")

    assert "shop        orocommerce  the environment" in keyturn("connections", "list").out
    assert "with an editor" in keyturn("connections", "remove", "shop").err
    assert "Did you mean shop?" in keyturn("connections", "remove", "shpo").err
    assert not path.exists()


def test_secret_that_cannot_be_deleted_is_named_and_a_shared_secret_is_kept(
    keyturn: Keyturn, keyring: Keyring, path: Path
) -> None:
    """A secret would stay in the keyring unnoticed, or another connection would lose its secret."""
    path.parent.mkdir(parents=True)
    entries = {"a": "keyturn/a/x", "b": "keyturn/a/x", "c": "keyturn/c/x", "d": "other/x"}
    path.write_text(
        "".join(
            f"[connections.{name}]\nclient_secret = {{ keyring = {json.dumps(entry)} }}\n"
            for name, entry in entries.items()
        )
    )
    keyring.passwords = {("keyturn/a", "x"): "one", ("other", "x"): "two"}
    results = {name: keyturn("connections", "remove", name).err for name in "acd"}

    assert "keyring keyturn/c/x can't be deleted (KeyError)" in results["c"]
    assert "can't" not in results["a"] + results["d"]
    assert {*keyring.passwords} == {("keyturn/a", "x"), ("other", "x")}
