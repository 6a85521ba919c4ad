"""Connections by name, from keyturn.toml."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import _config as config
from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    """Return the mistakes that loading a connection reports."""
    with pytest.raises(ConfigurationError) as caught:
        keyturn.load_connection(name, config=path)
    return caught.value.problems


def message(name: str, path: Path) -> str:
    """Return the text of the error that loading a connection raises."""
    with pytest.raises(ConfigurationError) as caught:
        keyturn.load_connection(name, config=path)
    return str(caught.value)


def test_connection_is_what_its_table_says(write: Callable[..., Path]) -> None:
    """A setting that got lost on the way would ask for a token of another account."""
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
    """A service has no command line to name its file on, and a person has a usual place."""
    default = home / ".config" / "keyturn"
    default.mkdir(parents=True)
    (default / "keyturn.toml").write_text(ORO)

    assert config.read().names() == ["oro"]
    monkeypatch.setenv("KEYTURN_CONFIG", str(write(NORCE)))
    assert config.read().names() == ["norce-stage"]
    assert config.read(default / "keyturn.toml").names() == ["oro"]


def test_file_in_the_working_directory_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloned folder could redirect secrets, or run a command."""
    (tmp_path / "keyturn.toml").write_text(ORO)
    monkeypatch.chdir(tmp_path)

    assert config.read().names() == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'[connections]\nx = { client_secret = "s3cret-for-tests"\n', "line 2, column"),
        (b'x = "s3cret-for-tests', "end of document"),
        (b"x = '\xff'", "is not UTF-8 text"),
    ],
    ids=["syntax", "end", "encoding"],
)
def test_unreadable_content_is_told_by_its_place(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    """Who mistyped must find the line; the line itself may be a secret."""
    path = tmp_path / "keyturn.toml"
    path.write_bytes(content)

    text = message("x", path)

    assert str(path) in text
    assert expected in text
    assert "s3cret" not in text


def test_unknown_syntax_error_is_told_without_a_place(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later Python may word its syntax errors in another way."""
    monkeypatch.setattr("keyturn._config.raw._TOML_PLACE_REGEX", re.compile("!"))

    assert message("x", write("x = ")).endswith("is not TOML.")


def test_missing_and_unreadable_files_are_told(tmp_path: Path) -> None:
    """A file that was named and isn't used leaves the user with somebody else's settings."""
    missing = tmp_path / "missing.toml"

    assert message("x", missing) == (
        f"the configuration file {missing} can't be read: No such file or directory."
    )
    assert "Is a directory" in message("x", tmp_path)


def test_unknown_connection_is_told_with_the_known(write: Callable[..., Path]) -> None:
    """Who mistyped the name must see the right one."""
    text = message("norce-stag", write(NORCE + ORO))

    assert "no connection is named 'norce-stag'. Did you mean norce-stage?" in text
    assert "norce-stage, oro" in text


def test_all_mistakes_are_told_at_once_by_path(write: Callable[..., Path]) -> None:
    """Mending a file one mistake a run is a waste of a morning."""
    path = write("""
        conections = 1
        store = 7
        [connections.norce-stage]
        provider = "norce-commerce"
        client = "acme.evil.example/"
        environment = "stag"
        client_secret = { env = "NORCE", file = "/x" }
        application_id = "1042"
        timeut = 3
        timeout = 0
        margin = "long"
        wait = -1
        store = 3
        [connections.typo]
        provider = "orocomerce"
        client_secret = { envv = "X" }
        [connections.none]
        client_id = "made-up"
        [connections.number]
        provider = 3
        [connections."a b"]
        provider = "orocommerce"
        [connections."norce.stage"]
        provider = "orocommerce"
    """)

    assert sorted(problems("norce-stage", path)) == sorted(
        [
            (
                "conections: is not known; known are connections, store, store_key."
                " Did you mean connections?"
            ),
            "store: must be a text",
            'connections."a b": the name must be of letters, digits and . _ - alone',
            "connections.norce.stage: in variables the name is the same as norce-stage",
            f"connections.norce-stage.timeout: {SECONDS}above 0 and at most 86400",
            f"connections.norce-stage.margin: {SECONDS}not below 0 and at most 86400",
            f"connections.norce-stage.wait: {SECONDS}not below 0 and at most 86400",
            "connections.norce-stage.store: must be a text",
            (
                "connections.norce-stage.client_secret: must be a reference to a secret: a table"
                " with one of env, file, keyring, command"
            ),
            (
                "connections.norce-stage.timeut: is not a setting of this provider. Did you mean"
                " timeout?"
            ),
            "connections.norce-stage.application_id: must be a whole number",
            (
                "connections.norce-stage.client: "
                "must be one host label: 1 to 63 of a-z, 0-9 and inner hyphens"
            ),
            "connections.norce-stage.client_id: is required",
            (
                "connections.norce-stage.environment: "
                "must be one of playground, stage, prod. Did you mean stage?"
            ),
            (
                "connections.typo.provider: no provider is named 'orocomerce'. "
                "Did you mean orocommerce?"
            ),
            (
                "connections.typo.client_secret: no secret source is named 'envv'; known are "
                "env, file, keyring, command, and plugins'. Did you mean env?"
            ),
            "connections.none.provider: is required",
            "connections.number.provider: must be a text",
        ]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("connections = 3", "connections: must be a table"),
        ("[connections]\nx = 3", "connections.x: must be a table"),
    ],
)
def test_what_is_no_table_is_told(
    write: Callable[..., Path], text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of another form must not be read as an empty one."""
    monkeypatch.setenv("KEYTURN_CONNECTIONS__Y__PROVIDER", "orocommerce")

    assert expected in problems("y", write(text))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_bare_secret_needs_a_file_that_only_its_owner_opens(
    write: Callable[..., Path], mode: int
) -> None:
    """A secret in a file open to all is everybody's."""
    assert problems("norce-stage", write(NORCE, mode)) == (
        (
            "connections.norce-stage.client_secret: a secret may be written out only in a file "
            'that is yours and closed to others (chmod 600); or refer to it, as in { env = "NAME" }'
        ),
    )


def test_bare_secret_of_another_connection_counts_too(write: Callable[..., Path]) -> None:
    """The file is as open for the connection that isn't asked for."""
    (problem,) = problems("oro", write(NORCE + ORO, 0o644))

    assert problem.startswith("connections.norce-stage.client_secret: ")


def test_bare_secret_needs_a_file_of_the_users_own(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that another user owns can be opened to others by them at any time."""
    path = write(NORCE)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)

    assert len(problems("norce-stage", path)) == 1


def test_references_may_stand_in_a_file_open_to_all(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration without secrets belongs into version control."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    connection = keyturn.load_connection("oro", config=write(ORO, 0o644))

    assert b"s3cret-for-tests" in connection.token_request().body


def test_secret_of_another_connection_is_not_touched(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking for one account must not unlock the others' secrets, or run their commands."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    witness = tmp_path / "witness"
    other = ORO.replace("oro]", "other]").replace(
        '{ env = "ORO_SECRET" }', f'{{ command = ["touch", "{witness}"] }}'
    )

    keyturn.load_connection("oro", config=write(ORO + other))

    assert not witness.exists()


def test_provider_of_another_connection_is_not_imported(write: Callable[..., Path]) -> None:
    """A broken plugin that one connection uses must not break the others."""
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
    """Whoever checks a file wants to know of the connection used once a year, too."""
    config.read(write(NORCE + ORO)).check()
    with pytest.raises(ConfigurationError) as caught:
        config.read(write(NORCE + ORO.replace("url", "side"))).check()

    assert set(caught.value.problems) == {
        "connections.oro.side: must be one of backoffice, storefront.",
        "connections.oro.url: is required",
    }


def test_provider_that_cannot_be_loaded_is_told_by_path(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many connections the one with the broken plugin must be named."""

    def fail(name: str) -> None:
        text = f"provider {name} can't be used."
        raise keyturn.errors.ProviderLoadError(text)

    monkeypatch.setattr("keyturn.plugins.provider", fail)

    assert problems("oro", write(ORO)) == (
        "connections.oro.provider: provider orocommerce can't be used.",
    )


def test_default_store_is_the_users_cache_directory(
    write: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of a script would each ask for a token of their own."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    keyturn.load_connection("oro", config=write(ORO)).forget()

    assert (home / ".cache" / "keyturn" / "cache.db").exists()


def test_store_is_the_connections_or_the_files_or_the_variables(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token must not land on a disk where it was not meant to be."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    monkeypatch.setenv("KEYTURN_STORE", f"disk://{tmp_path}/variable")
    top = f'store = "disk://{tmp_path}/top"\n'
    own = f'store = "disk://{tmp_path}/own"\n'

    for text in (ORO, top + ORO, top + ORO + own):
        keyturn.load_connection("oro", config=write(text)).forget()

    assert [(tmp_path / name).exists() for name in ("variable", "top", "own")] == [True] * 3
    assert not (tmp_path / "home" / ".cache").exists()


@pytest.mark.parametrize(
    ("text", "variable", "place"),
    [
        ('store = "mysql://user:s3cret@host"\n' + ORO, None, "store: "),
        (ORO + 'store = "x"', None, "connections.oro.store: "),
        (ORO, "x", "KEYTURN_STORE: "),
    ],
)
def test_unusable_store_is_told_by_path(
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    variable: str | None,
    place: str,
) -> None:
    """A store may be given in three places; the one to mend must be named."""
    monkeypatch.setenv("ORO_SECRET", "s3cret-for-tests")
    if variable:
        monkeypatch.setenv("KEYTURN_STORE", variable)

    (problem,) = problems("oro", write(text))

    assert problem.startswith(place)
    assert "s3cret" not in problem


def test_options_of_a_connection_are_its_own(write: Callable[..., Path]) -> None:
    """A batch job may wait for minutes where a web request may not wait at all."""
    path = write(NORCE + "margin = 60\ntimeout = 5.5\nwait = 90\n")

    configured = config.read(path)

    configured.check()
    assert configured.open("norce-stage").name == "norce-stage"


def test_byte_order_mark_is_passed_over(write: Callable[[str], Path]) -> None:
    """A file saved by a Windows editor would be refused as no TOML at all."""
    path = write("")
    path.write_bytes(b"\xef\xbb\xbf" + ORO.replace("\n", "\r\n").encode())
    assert "oro" in config.read(path).names()
