"""Secret references: each source, and the errors when a secret cannot be found."""

from __future__ import annotations

import json
import sys
import traceback
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import keyturn
from keyturn import _config as config
from keyturn._plugins.loading import plugin_manager
from keyturn.errors import ConfigurationError
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CANARY = "c4nary-s3cret-for-tests"
ORO = """
[connections.oro]
provider = "orocommerce"
url = "https://shop.example"
client_id = "made-up"
"""
KEYRING = """
def get_password(service, user):
    if service == "https://broken.example/":
        raise RuntimeError(service)
    return {("https://shop.example/x", "me"): "c4nary-s3cret-for-tests"}.get((service, user))
"""


class Vault:
    """A plugin with the secret source `vault`."""

    @keyturn.plugins.hookimpl
    def keyturn_secret(self, source: str, reference: object) -> str | None:
        """Return a secret of the source `vault`."""
        if source == "vault" and reference == "broken":
            raise RuntimeError(CANARY)
        if source == "vault" and reference == "odd":
            return 3  # type: ignore[return-value]
        return CANARY if source == "vault" else None


@pytest.fixture
def vault() -> Iterator[None]:
    """Register the plugin until the end of the test."""
    plugin = Vault()
    plugin_manager().register(plugin)
    yield
    plugin_manager().unregister(plugin)


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., keyturn.Connection]:
    """Give a function that loads a connection whose secret is written as in TOML."""

    def load_with(secret: str, seconds: float = 20) -> keyturn.Connection:
        content = f'{ORO}store = "memory://"\ntimeout = {seconds}\nclient_secret = {secret}\n'
        return keyturn.load_connection("oro", config=write(content))

    return load_with


def sent(connection: keyturn.Connection) -> str:
    """Return the client's secret as it would be sent."""
    secret: str = json.loads(connection.token_request().body)["client_secret"]
    return secret


def test_secret_is_read_from_an_environment_variable(
    load: Callable[..., keyturn.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container could not get its secret from a variable."""
    monkeypatch.setenv("A_SECRET", CANARY)

    assert sent(load('{ env = "A_SECRET" }')) == CANARY


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_secret_is_read_from_a_file(
    load: Callable[..., keyturn.Connection], home: Path, ending: str
) -> None:
    """The line break at the end of a file would be sent as a part of the secret."""
    (home / "secret").write_bytes(CANARY.encode() + ending.encode())

    assert sent(load(f'{{ file = "{home}/secret" }}')) == CANARY
    assert sent(load('{ file = "~/secret" }')) == CANARY


def test_secret_is_read_from_a_command(load: Callable[..., keyturn.Connection]) -> None:
    """The notes below a password manager's first line would be sent, or a shell would run."""
    secret = '{ command = ["printf", "%s\\r\\nnotes; $HOME", "' + CANARY + '"] }'

    assert sent(load(secret)) == CANARY


def test_command_gets_no_input_and_shows_no_error_output(
    load: Callable[..., keyturn.Connection], capfd: pytest.CaptureFixture[str]
) -> None:
    """A command that reads input would hang, or its error output show a secret."""
    script = f"cat; echo {CANARY} >&2; echo {CANARY}"

    assert sent(load(f'{{ command = ["sh", "-c", "{script}"] }}')) == CANARY
    assert CANARY not in capfd.readouterr().err


def test_secret_is_read_from_the_keyring(
    load: Callable[..., keyturn.Connection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service name that is a URL would be split at the wrong slash."""
    (tmp_path / "keyring.py").write_text(KEYRING)
    monkeypatch.syspath_prepend(tmp_path)

    assert sent(load('{ keyring = "https://shop.example/x/me" }')) == CANARY
    for entry, expected in [
        ("other/me", "the keyring has no entry other/me"),
        ("https://broken.example//me", "the keyring failed with RuntimeError"),
    ]:
        with pytest.raises(ConfigurationError, match=expected):
            sent(load(f'{{ keyring = "{entry}" }}'))


@pytest.mark.usefixtures("vault")
def test_secret_is_read_from_a_plugins_source(
    load: Callable[..., keyturn.Connection], caplog: pytest.LogCaptureFixture
) -> None:
    """Another vendor's secret manager would need a change of keyturn."""
    assert sent(load("{ vault = 3 }")) == CANARY
    for reference in ("broken", "odd"):
        with pytest.raises(ConfigurationError, match="no secret source is named 'vault'"):
            sent(load(f'{{ vault = "{reference}" }}'))
    assert "failed in keyturn_secret" in caplog.text
    assert "RuntimeError" in caplog.text
    with pytest.raises(ConfigurationError, match="no secret source is named 'vaul'"):
        sent(load("{ vaul = 3 }"))


def test_reference_is_resolved_when_a_token_is_needed(
    load: Callable[..., keyturn.Connection], home: Path
) -> None:
    """A service could not start before its secret is mounted."""
    connection = load('{ file = "~/secret" }')
    with pytest.raises(ConfigurationError, match=r"client_secret: the file ~/secret can't be read"):
        connection.token()

    (home / "secret").write_text(CANARY)

    assert sent(connection) == CANARY


def test_rotated_secret_needs_no_restart(write: Callable[..., Path], home: Path) -> None:
    """A service with a rotated secret would get no token until it is restarted."""
    with Emulator() as emulator:
        settings = emulator.settings("orocommerce")
        secret = settings.pop("client_secret")
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        content = "\n".join(["[connections.oro]", 'provider = "orocommerce"', *lines, ""])
        path = write(f'{content}store = "memory://"\nclient_secret = {{ file = "~/secret" }}\n')
        (home / "secret").write_text("rotated-away")
        connection = keyturn.load_connection("oro", config=path)
        with pytest.raises(keyturn.errors.InvalidClient):
            connection.token()

        (home / "secret").write_text(str(secret))

        assert connection.token().access_token
        assert emulator.token_requests("orocommerce") == 2


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("{}", "must be a reference to a secret"),
        ('{ env = "A", file = "/b" }', "must be a reference to a secret"),
        ("{ env = 3 }", "env must be a string"),
        ('{ env = "" }', "env must be a string"),
        ('{ env = "NOT_SET" }', "the environment variable NOT_SET is not set"),
        ('{ env = "EMPTY" }', "the secret from env is empty"),
        ('{ file = "relative" }', "file must be an absolute path"),
        ('{ file = "~no-such-user/x" }', "file must be an absolute path"),
        ('{ file = "/a\\u0000" }', "file must be an absolute path"),
        ('{ file = "/no/such/file" }', "/no/such/file can't be read: No such file"),
        ('{ file = "~/large" }', "~/large is larger than 65536 bytes"),
        ('{ file = "~/binary" }', "~/binary is not UTF-8"),
        ('{ file = "~/lines" }', "must be one line"),
        ('{ keyring = "service" }', "keyring must be of the form service/user"),
        ('{ keyring = "a/b" }', "install keyturn[keyring]"),
        ("{ command = [] }", "command must be a list of strings"),
        ('{ command = "pass norce" }', "command must be a list of strings"),
        ('{ command = ["pass", 3] }', "command must be a list of strings"),
        ('{ command = ["false"] }', "the command false failed with status 1"),
        ('{ command = ["true"] }', "the secret from command is empty"),
        ('{ command = ["/no/such"] }', "/no/such can't be used: No such file"),
        (
            '{ command = ["printf", "\\\\377"] }',
            "printf can't be used: its output is not UTF-8",
        ),
        ('{ command = ["sleep", "60"] }', "the command sleep took longer than 0.2 s"),
        ("{ vault = 3 }", "no secret source is named 'vault'"),
        ("3", "must be a "),
        ("[]", "must be a "),
    ],
)
def test_cause_is_reported_when_a_secret_is_not_found(
    load: Callable[..., keyturn.Connection],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    reference: str,
    expected: str,
) -> None:
    """The error would not name the wrong setting and the cause."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setenv("EMPTY", "")
    (home / "large").write_bytes(b"x" * 65537)
    (home / "binary").write_bytes(b"\xff")
    (home / "lines").write_text("a\nb\n")

    with pytest.raises(ConfigurationError) as caught:
        load(reference, 0.2 if "sleep" in reference else 20).token_request()

    (problem,) = map(str, caught.value.problems)
    assert problem.startswith("connections.oro.client_secret: ")
    assert expected in problem


@pytest.mark.parametrize(
    "content",
    [
        f'[connections.oro]\nclient_secret = "{CANARY}',
        f'[connections.oro]\nclient_secret = "{CANARY}"',
        f'[connections.oro]\nprovider = "orocommerce"\nclient_secret = "{CANARY}"\nurl = "x"',
        f'[connections.oro]\nprovider = "orocommerce"\nclient_secret = {{ value = "{CANARY}" }}',
        f'[connections.oro]\nprovider = "orocommerce"\nclient_secret = ["{CANARY}"]',
        f'{ORO}client_secret = {{ command = ["sh", "-c", "cat ~/canary; exit 1"] }}',
        f'{ORO}client_secret = {{ command = ["sh", "-c", "cat ~/canary; yes"] }}',
        f'{ORO}client_secret = {{ command = ["sh", "-c", "echo; cat ~/canary"] }}',
        f'{ORO}client_secret = {{ file = "~/lines" }}',
        f'{ORO}client_secret = {{ file = "~/binary" }}',
        f'{ORO}client_secret = "{CANARY}"\nstore = "x"',
        f'{ORO}client_secret = {{ env = "X" }}\nstore = "mysql://user:{CANARY}@host"',
    ],
)
def test_error_and_its_traceback_show_no_secret(
    write: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """An error tracker, which records local variables, would send a secret to its vendor."""
    monkeypatch.setenv("KEYTURN_CONNECTIONS__ORO__API_URL", CANARY)
    (home / "canary").write_text(CANARY)
    (home / "lines").write_text(f"{CANARY}\n{CANARY}\n")
    (home / "binary").write_bytes(CANARY.encode() + b"\xff")
    # Only the local variables of keyturn's own frames count.
    path = write(content)
    del content

    with pytest.raises(ConfigurationError) as caught:
        keyturn.load_connection("oro", config=path).token_request()

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if "/keyturn/" in frame.filename]
    assert frames
    assert CANARY not in str([frame.locals for frame in frames])
    assert CANARY not in str(caught.value)


VALUES = st.recursive(
    st.sampled_from([f'"{CANARY}"', "3", "0.5", "true", "inf", "2024-01-01"]),
    lambda values: (
        st.lists(values, max_size=2).map(lambda each: f"[{', '.join(each)}]")
        | st.dictionaries(
            st.sampled_from(["env", "file", "command", "keyring", "x"]), values, max_size=2
        ).map(lambda each: f"{{ {', '.join(f'{key} = {value}' for key, value in each.items())} }}")
    ),
    max_leaves=4,
)
KEYS = ["provider", "client_id", "client_secret", "url", "scope", "timeout", "store", "x"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(table=st.dictionaries(st.sampled_from(KEYS), VALUES), real=st.booleans())
def test_any_content_of_a_file_raises_a_keyturn_error_without_values(
    write: Callable[..., Path],
    table: dict[str, str],
    real: bool,
) -> None:
    """A value of a wrong type would cause a raw Python error, or be shown although secret."""
    if real:
        table["provider"] = '"orocommerce"'
    elif "provider" in table:
        del table["provider"]
    lines = [f"{key} = {value}" for key, value in table.items()]
    path = write("\n".join(["[connections.oro]", *lines]))

    with pytest.raises(ConfigurationError) as caught:
        config.read(path).check()

    assert CANARY not in str(caught.value)
