"""Connections by name, from keyturn.toml."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import _config as config
from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

NORCE = """
[connections.norce-stage]
provider = "norce-commerce"
client = "acme"
environment = "stage"
client_id = "made-up"
client_secret = "s3cret-for-tests"
application_id = 1042
"""
ORO = """
[connections.oro]
provider = "orocommerce"
url = "https://shop.example"
client_id = "made-up"
client_secret = { env = "ORO_SECRET" }
"""


SECONDS = "must be a number of seconds, "
TOKEN = keyturn.Token("made-up", "Bearer", 2e9)


def problems(name: str, path: Path) -> tuple[str, ...]:
    """Return the problems that loading a connection reports."""
    with pytest.raises(ConfigurationError) as caught:
        keyturn.load_connection(name, config=path)
    return tuple(map(str, caught.value.problems))


def message(name: str, path: Path) -> str:
    """Return the message of the error that loading a connection raises."""
    with pytest.raises(ConfigurationError) as caught:
        keyturn.load_connection(name, config=path)
    return str(caught.value)


def test_connection_has_the_settings_of_its_table(write: Callable[..., Path]) -> None:
    """A setting would be lost, and a token of another account be requested."""
    connection = keyturn.load_connection("norce-stage", config=write(NORCE))

    assert connection.name == "norce-stage"
    request = connection.token_request()
    assert request.url == "https://acme.api-se.stage.norce.tech/identity/1.0/connect/token"
    assert b"client_secret=s3cret-for-tests" in request.body
    assert connection.provider.api_request_headers(connection.settings, TOKEN) == {
        "ApplicationId": "1042"
    }


def test_file_is_found_by_variable_and_in_the_users_directory(
    write: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service could not choose its file, or a user's default file would not be read."""
    default = home / ".config" / "keyturn"
    default.mkdir(parents=True)
    (default / "keyturn.toml").write_text(ORO)

    assert sorted(config.read().connections) == ["oro"]
    monkeypatch.setenv("KEYTURN_CONFIG", str(write(NORCE)))
    assert sorted(config.read().connections) == ["norce-stage"]
    assert sorted(config.read(default / "keyturn.toml").connections) == ["oro"]


def test_file_in_the_working_directory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloned repository could redirect secrets, or run a command."""
    (tmp_path / "keyturn.toml").write_text(ORO)
    monkeypatch.chdir(tmp_path)

    assert sorted(config.read().connections) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'[connections]\nx = { client_secret = "s3cret-for-tests"\n', "line 2, column"),
        (b'x = "s3cret-for-tests', "is not valid TOML at the end of the document"),
        (b"x = '\xff'", "is not UTF-8"),
    ],
    ids=["syntax", "end", "encoding"],
)
def test_error_in_the_syntax_is_reported_with_its_position(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    """The error would not name the line, or would show a secret in it."""
    path = tmp_path / "keyturn.toml"
    path.write_bytes(content)

    error = message("x", path)

    assert str(path) in error
    assert expected in error
    assert "s3cret" not in error


def test_error_in_the_syntax_needs_no_position(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A syntax error in the words of a later Python would be raw, or would show a secret."""

    def fail(_: str) -> None:
        raise tomllib.TOMLDecodeError("s3cret-for-tests is unexpected on line 2")

    monkeypatch.setattr("tomllib.loads", fail)

    assert message("x", write("x = ")).endswith("is not valid TOML.")


def test_missing_and_unreadable_files_are_errors(tmp_path: Path) -> None:
    """A missing file would be ignored, and other settings would be used."""
    missing = tmp_path / "missing.toml"

    assert message("x", missing) == (
        f"the configuration file {missing} can't be read: No such file or directory."
    )
    assert "Is a directory" in message("x", tmp_path)


def test_file_that_is_not_regular_is_refused(tmp_path: Path) -> None:
    """A FIFO without a writer would block the application forever."""
    pipe = tmp_path / "keyturn.toml"
    os.mkfifo(pipe)

    for path in (pipe, os.devnull):
        assert message("x", path) == f"the configuration file {path} is not a regular file."
    with pytest.raises(ConfigurationError, match=r"keyturn\.toml is not a regular file"):
        keyturn.plugins.provider_from_file(pipe)


def test_unknown_connection_is_reported_with_the_known_names(write: Callable[..., Path]) -> None:
    """A user who mistyped the name would not see the valid names."""
    error = message("norce-stag", write(NORCE + ORO))

    assert "no connection is named 'norce-stag'. Did you mean norce-stage?" in error
    assert "norce-stage, oro" in error


def test_name_that_is_not_a_string_is_reported() -> None:
    """A program that passes an integer would get an unclear error."""
    with pytest.raises(ConfigurationError, match="a connection's name must be a string"):
        keyturn.load_connection(7)  # type: ignore[arg-type]


def test_all_problems_are_reported_at_once_with_their_paths(write: Callable[..., Path]) -> None:
    """A user would have to fix a file with one run for each problem."""
    path = write("""
        conections = 1
        store = 7
        [connections.norce-stage]
        provider = "norce-commerce"
        client = "acme.evil.example/"
        environment = "stag"
        client_secret = { env = "NORCE", file = "/x" }
        application_id = "ten"
        timeut = 3
        timeout = 0
        margin = "long"
        wait = -1
        rate_limit = 3
        store = 3
        [connections.typo]
        provider = "orocomerce"
        client_secret = { env = "X", envv = "X" }
        [connections.none]
        client_id = "made-up"
        [connections.number]
        provider = 3
        [connections."a b"]
        provider = "orocommerce"
        [connections."norce.stage"]
        provider = "orocommerce"
    """)

    found = problems("norce-stage", path)
    # The provider's own messages are tested with the provider.
    by_provider = ("application_id", "client", "client_id", "environment")
    paths = [f"connections.norce-stage.{setting}: " for setting in by_provider]
    assert [sum(each.startswith(path) for each in found) for path in paths] == [1, 1, 1, 1]
    assert sorted(each for each in found if not each.startswith(tuple(paths))) == sorted(
        [
            (
                "conections: is not known; known are connections, store, store_key."
                " Did you mean connections?"
            ),
            "store: must be a string",
            'connections."a b": the name must have only letters, digits and . _ -',
            (
                "connections.norce.stage: in environment variables the name is the same as"
                " norce-stage"
            ),
            f"connections.norce-stage.timeout: {SECONDS}above 0 and at most 86400",
            f"connections.norce-stage.margin: {SECONDS}not below 0 and at most 86400",
            f"connections.norce-stage.wait: {SECONDS}not below 0 and at most 86400",
            (
                "connections.norce-stage.rate_limit: must be 'none', or a rate such as "
                "'3/min burst 20': N/s, N/min or N/h, with N above 0"
            ),
            "connections.norce-stage.store: must be a string",
            (
                "connections.norce-stage.client_secret: must be a reference to a secret: a table"
                " with one of env, file, keyring, command"
            ),
            (
                "connections.norce-stage.timeut: is not a setting of this provider. Did you mean"
                " timeout?"
            ),
            (
                "connections.typo.client_secret: must be a reference to a secret: a table with one"
                " of env, file, keyring, command"
            ),
            "connections.none.provider: is required",
            "connections.number.provider: must be a string",
        ]
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("connections = 3", "connections: must be a table"),
        ("[connections]\nx = 3", "connections.x: must be a table"),
    ],
)
def test_value_that_is_not_a_table_is_reported(
    write: Callable[..., Path], content: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with a wrong structure would be read as an empty one."""
    monkeypatch.setenv("KEYTURN_CONNECTIONS__Y__PROVIDER", "orocommerce")

    assert expected in problems("y", write(content))


def test_provider_that_is_not_installed_disables_no_other_connection(
    write: Callable[..., Path],
) -> None:
    """One missing plugin would break a service that does not use it."""
    configured = config.read(write(NORCE + ORO.replace("orocommerce", "orocomerce")))

    assert configured.open("norce-stage").name == "norce-stage"
    with pytest.raises(ConfigurationError) as caught:
        configured.check()
    (problem,) = map(str, caught.value.problems)
    assert problem.startswith("connections.oro.provider: no provider is named 'orocomerce'.")
    assert "Did you mean orocommerce?" in problem


def test_secret_source_that_is_not_installed_disables_no_other_connection(
    write: Callable[..., Path],
) -> None:
    """A missing vault plugin would break connections that don't use the vault."""
    configured = config.read(write(NORCE + ORO.replace("env =", "volt =")))

    assert configured.open("norce-stage").name == "norce-stage"
    for use in (configured.check, lambda: configured.open("oro")):
        with pytest.raises(ConfigurationError) as caught:
            use()
        (problem,) = map(str, caught.value.problems)
        assert problem.startswith("connections.oro.client_secret: no secret source is named 'volt'")


@pytest.mark.parametrize(
    ("mistake", "problem"),
    [
        ('timeout = "x"', f"timeout: {SECONDS}above 0 and at most 86400"),
        ("store = 3", "store: must be a string"),
        ('client_secret = { env = "A", file = "/b" }', "client_secret: must be a reference"),
        ("side = 3", "side: "),
        ('urll = "https://shop.example"', "urll: is not a setting of this provider."),
    ],
)
def test_mistake_in_a_connection_disables_no_other_connection(
    write: Callable[..., Path], caplog: pytest.LogCaptureFixture, mistake: str, problem: str
) -> None:
    """One tenant's mistake would break a service that does not use that connection."""
    broken = ORO.replace('client_secret = { env = "ORO_SECRET" }', mistake).replace("oro]", "bad]")
    path = write(NORCE + broken)

    for _ in range(2):
        assert keyturn.load_connection("norce-stage", config=path).name == "norce-stage"
    assert len(caplog.records) <= 1  # a mistake that needs no import of the provider is logged once
    assert all(f"connections.bad.{problem}" in each.getMessage() for each in caplog.records)
    for use in (config.read(path).check, lambda: keyturn.load_connection("bad", config=path)):
        with pytest.raises(ConfigurationError) as caught:
            use()
        found = map(str, caught.value.problems)
        assert any(each.startswith(f"connections.bad.{problem}") for each in found)


def test_check_accepts_a_reference_to_a_key_that_it_does_not_resolve(
    write: Callable[..., Path], register: Callable[..., Path]
) -> None:
    """A reference to a private key would be refused because its value is unknown."""
    package = register("bank", "made_up_bank") / "made_up_bank"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "bank.toml").write_text(
        'token_url = "https://bank.example/token"\nclient_authentication = "private_key_jwt"\n'
    )
    content = """
        [connections.bank]
        provider = "bank"
        client_id = "made-up"
        private_key = {{ env = "{variable}" }}
    """

    config.read(write(content.format(variable="NOT_SET"))).check()
    with pytest.raises(ConfigurationError, match=r"connections\.bank\.private_key: "):
        keyturn.load_connection(
            "bank", config=write(content.format(variable="HOME"))
        ).token_request()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_plain_secret_needs_a_file_that_only_its_owner_can_read(
    write: Callable[..., Path], mode: int
) -> None:
    """A secret that every user of the host can read would be accepted."""
    assert problems("norce-stage", write(NORCE, mode)) == (
        (
            "connections.norce-stage.client_secret: a plain secret is allowed only in a file that "
            "belongs to you and that others can't read (chmod 600); or use a reference, such as { "
            'env = "NAME" }'
        ),
    )


def test_plain_secret_of_another_connection_is_reported_too(write: Callable[..., Path]) -> None:
    """A readable secret of another connection in the file would be accepted."""
    (problem,) = problems("oro", write(NORCE + ORO, 0o644))

    assert problem.startswith("connections.norce-stage.client_secret: ")


def test_plain_secret_needs_a_file_that_the_user_owns(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose owner can make it readable for others at any time would be accepted."""
    path = write(NORCE)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)

    assert len(problems("norce-stage", path)) == 1


def test_references_are_accepted_in_a_file_readable_by_all(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration without secrets could not be readable, as in version control."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    connection = keyturn.load_connection("oro", config=write(ORO, 0o644))

    assert b"s3cret-for-tests" in connection.token_request().body


def test_secret_of_another_connection_is_not_resolved(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading one connection would resolve the secrets of others, or run their commands."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    witness = tmp_path / "witness"
    other = ORO.replace("oro]", "other]").replace(
        '{ env = "ORO_SECRET" }', f'{{ command = ["touch", "{witness}"] }}'
    )

    keyturn.load_connection("oro", config=write(ORO + other)).token_request()

    assert not witness.exists()


def test_provider_of_another_connection_is_not_imported(write: Callable[..., Path]) -> None:
    """A broken plugin that one connection uses would break the others."""
    path = write(NORCE + ORO)
    script = f"""if True:
        import sys, keyturn
        keyturn.load_connection("norce-stage", config={str(path)!r})
        print([name for name in sys.modules if name.startswith("keyturn_oro")])
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout == "[]\n"


def test_check_covers_every_connection(write: Callable[..., Path]) -> None:
    """A mistake in a rarely used connection would be noticed only when it is needed."""
    config.read(write(NORCE + ORO)).check()
    with pytest.raises(ConfigurationError) as caught:
        config.read(write(NORCE + ORO.replace("url", "side"))).check()

    assert set(map(str, caught.value.problems)) == {
        "connections.oro.side: must be one of backoffice, storefront.",
        "connections.oro.url: is required",
    }


def test_provider_that_cannot_be_loaded_is_reported_with_its_path(
    write: Callable[..., Path], register: Callable[..., Path]
) -> None:
    """The error would not name the connection with the broken plugin."""
    register("broken", "no_such_module")

    (problem,) = problems("oro", write(ORO.replace("orocommerce", "broken")))

    assert problem.startswith("connections.oro.provider: provider broken of distribution made-up")
    assert "ModuleNotFoundError" in problem


def test_default_store_is_the_users_cache_directory(
    write: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run of a script would request a token."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    keyturn.load_connection("oro", config=write(ORO)).forget()

    assert (home / ".cache" / "keyturn" / "cache.db").exists()


def test_store_of_the_connection_the_file_or_the_variable_is_used(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token would be written to a directory that the user did not choose."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    monkeypatch.setenv("KEYTURN_STORE", f"disk://{tmp_path}/variable")
    top = f'store = "disk://{tmp_path}/top"\n'
    own = f'store = "disk://{tmp_path}/own"\n'

    for content in (ORO, top + ORO, top + ORO + own):
        keyturn.load_connection("oro", config=write(content)).forget()

    assert [(tmp_path / name).exists() for name in ("variable", "top", "own")] == [True] * 3
    assert not (tmp_path / "home" / ".cache").exists()


@pytest.mark.parametrize(
    ("content", "variable", "location"),
    [
        ('store = "mysql://user:s3cret@host"\n' + ORO, None, "store: "),
        (ORO + 'store = "x"', None, "connections.oro.store: "),
        (ORO, "x", "KEYTURN_STORE: "),
    ],
)
def test_unusable_store_is_reported_with_its_path(
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    variable: str | None,
    location: str,
) -> None:
    """The error would not say which of three places names the unusable store."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    if variable:
        monkeypatch.setenv("KEYTURN_STORE", variable)

    (problem,) = problems("oro", write(content))

    assert problem.startswith(location)
    assert "s3cret" not in problem


def test_options_apply_to_one_connection(write: Callable[..., Path]) -> None:
    """A batch job that waits for minutes and a web request could not have different options."""
    path = write(NORCE + "margin = 60\ntimeout = 5.5\nwait = 90\n")

    configured = config.read(path)

    configured.check()
    assert configured.open("norce-stage").name == "norce-stage"


@pytest.mark.parametrize("source", ["file", "environment"])
@pytest.mark.parametrize(("limit", "sent"), [("1/h burst 2", 2), ("none", 6)])
def test_rate_limit_of_a_connection_is_kept(
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[..., RawServer],
    token_response: bytes,
    source: str,
    limit: str,
    sent: int,
) -> None:
    """The configured limit would be exceeded, or another limit would apply."""
    server = serve(token_response)
    content = NORCE + f'token_url = "{server.url}"\nstore = "memory://"\n'
    if source == "file":
        content += f'rate_limit = "{limit}"\n'
    else:
        monkeypatch.setenv("KEYTURN_CONNECTIONS__NORCE_STAGE__RATE_LIMIT", limit)
    connection = keyturn.load_connection("norce-stage", config=write(content))
    for _ in range(6):
        with contextlib.suppress(keyturn.errors.RateLimited):
            connection.token()
        connection.forget()

    assert len(server.received) == sent


def test_byte_order_mark_is_ignored(write: Callable[[str], Path]) -> None:
    """A file saved by a Windows editor would be refused as invalid TOML."""
    path = write("")
    path.write_bytes(b"\xef\xbb\xbf" + ORO.replace("\n", "\r\n").encode())
    assert "oro" in sorted(config.read(path).connections)
