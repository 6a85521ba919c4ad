"""The commands that list providers, settings and connections."""

from __future__ import annotations

import json
from importlib import metadata
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from keyturn._cli.commands import in_words
from keyturn._plugins import discovery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.testing import Emulator

    from .conftest import Result

    Keyturn = Callable[..., Result]

BUILT_IN = ["commercelayer", "generic", "norce-commerce", "norce-storm", "orocommerce"]


@pytest.fixture
def three(emulator: Emulator, configure: Callable[..., Path]) -> None:
    """Configure a connection that works, one with a wrong secret, and one to a closed port."""
    right = {"provider": "orocommerce", **emulator.settings("orocommerce")}
    configure(
        right=right,
        wrong=right | {"client_secret": "s3cret-for-tests"},
        away=right | {"url": "http://127.0.0.1:1", "timeout": 0.1},
    )


def test_providers_are_listed(keyturn: Keyturn) -> None:
    """A new user would not see which providers exist."""
    table = keyturn("providers")
    rows = keyturn("providers", "--format", "json").json()

    lines = table.out.splitlines()
    assert lines[0].split() == ["name", "distribution", "version"]
    assert [line.split()[0] for line in lines[1:]] == [row["name"] for row in rows]
    assert [row["name"] for row in rows if row["distribution"] == "keyturn"] == BUILT_IN


def test_built_in_providers_are_those_that_keyturn_registers() -> None:
    """A built-in provider would be missing without metadata, or be listed twice."""
    points = metadata.distribution("keyturn").entry_points.select(group="keyturn.providers")

    assert {point.name: point.value for point in points} == discovery.BUILT_IN


def test_schema_is_json_schema(keyturn: Keyturn) -> None:
    """Forms and editors that use the schema would not work."""
    schema = keyturn("schema", "commercelayer").json()

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["client_secret"]["writeOnly"] is True


def test_schema_of_an_unknown_provider_is_an_error(keyturn: Keyturn) -> None:
    """A user who mistyped the name would not see the right one."""
    result = keyturn("schema", "orocomerce")

    assert (result.code, result.out) == (2, "")
    assert "Did you mean orocommerce?" in result.err


@pytest.mark.usefixtures("three")
def test_check_tries_every_connection(emulator: Emulator, keyturn: Keyturn) -> None:
    """One wrong secret would hide the state of the connections after it."""
    keyturn("token", "right")
    requests = emulator.token_requests("orocommerce")

    table, found = keyturn("check"), keyturn("check", "--format", "json")

    rows = {row.pop("connection"): row for row in found.json()}
    assert rows.pop("right") | {"expires_in": 0} == {
        "provider": "orocommerce",
        "result": "ok",
        "source": "store",
        "expires_in": 0,
        "message": None,
        "hint": None,
    }
    assert rows["wrong"]["message"].startswith("the authorization server refused the token request")
    assert "client_secret" in rows["wrong"]["hint"]
    assert {name: row["result"] for name, row in rows.items()} == {
        "wrong": "InvalidClient",
        "away": "EndpointUnavailable",
    }
    assert (table.code, found.code) == (5, 5)
    assert "keyturn: wrong: " in table.err
    assert "Connection refused" in table.err
    assert [line.split()[0] for line in table.out.splitlines()] == [
        "connection",
        "away",
        "right",
        "wrong",
    ]
    assert emulator.token_requests("orocommerce") == requests + 1


@pytest.mark.usefixtures("three")
def test_check_shows_its_progress_on_a_terminal_only(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user would wait without any output; or a log would be full of incomplete lines."""
    quiet = keyturn("check")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown, one = keyturn("check"), keyturn("status")

    assert "connections checked" not in quiet.err + one.err
    assert "3 of 3 connections checked\r\x1b[K" in shown.err
    assert "connections checked" not in shown.out


@pytest.mark.usefixtures("three")
def test_check_works_without_threads(keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a host where no more threads can start, nothing could be checked."""

    class NoThread:
        def __init__(self, **_: object) -> None:
            pass

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("keyturn._cli.parallel.threading", SimpleNamespace(Thread=NoThread))

    assert [row["result"] for row in keyturn("check", "--format", "json").json()] == [
        "EndpointUnavailable",
        "ok",
        "InvalidClient",
    ]


@pytest.mark.usefixtures("three")
def test_defect_during_a_check_is_reported(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect in a thread would be lost, and its connection would be missing in the table."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("keyturn._cli.overview.check_store", fail)
    result = keyturn("check")

    assert (result.code, result.out) == (1, "")
    assert "unexpected ZeroDivisionError" in result.err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3.2, "in 3 s"), (119, "in 119 s"), (3120, "in 52 min"), (7300, "in 2 h"), (9e5, "in 10 d")],
)
def test_durations_are_in_words(seconds: float, words: str) -> None:
    """A user would have to convert seconds."""
    assert in_words(seconds) == words


@pytest.mark.usefixtures("three")
def test_check_of_one_connection_tries_only_that_one(emulator: Emulator, keyturn: Keyturn) -> None:
    """A check after a change would fail because of another connection."""
    result = keyturn("check", "right", "--format", "json")

    assert result.code == 0
    assert [(row["connection"], row["source"]) for row in result.json()] == [
        ("right", "token endpoint")
    ]
    assert emulator.token_requests("orocommerce") == 1


def test_check_finds_the_problems_of_all_connections(
    configure: Callable[..., Path], keyturn: Keyturn
) -> None:
    """A token request would be sent although the file has mistakes."""
    configure(
        one={"provider": "orocommerce", "client_id": "made-up"},
        two={"provider": "commercelayer", "client_id": "made-up"},
    )

    result = keyturn("check")

    assert (result.code, result.out) == (2, "")
    assert "  - connections.one.url: is required\n" in result.err
    assert "  - connections.two.kind: is required\n" in result.err


def test_check_without_a_connection_is_an_error(keyturn: Keyturn, home: Path) -> None:
    """A check of the wrong file would report success."""
    result = keyturn("check")

    assert (result.code, result.out) == (2, "")
    assert f"no connection is configured in {home}/.config/keyturn/keyturn.toml" in result.err


@pytest.mark.usefixtures("three")
def test_status_sends_nothing(emulator: Emulator, keyturn: Keyturn) -> None:
    """`keyturn status` would use the rate limit, or request a token."""
    keyturn("token", "right")
    keyturn("token", "wrong")
    requests = emulator.token_requests("orocommerce")

    result = keyturn("status", "--format", "json")

    rows = {row["connection"]: row for row in result.json()}
    assert result.code == 0
    assert {name: row["state"] for name, row in rows.items()} == {
        "right": "fresh",
        "wrong": "refused: invalid_client",
        "away": "none",
    }
    assert 3000 < rows["right"]["expires_in"] < 3600
    assert rows["wrong"]["expires_in"] is None
    assert {row["store"] for row in rows.values()} == {"DiskStore"}
    table = keyturn("status").out
    assert "away        orocommerce  none" in table
    assert "right       orocommerce  fresh                    in 60 min  DiskStore" in table
    assert emulator.token_requests("orocommerce") == requests


def test_status_without_a_connection_is_empty(keyturn: Keyturn) -> None:
    """A new installation would be reported as a problem."""
    assert keyturn("status", "--format", "json").out == "[]\n"
    assert keyturn("status").out == "connection  provider  state  expires  store\n"


def test_status_shows_the_others_when_a_connection_is_invalid(
    configure: Callable[..., Path], keyturn: Keyturn
) -> None:
    """One wrong connection of twenty would hide the state of all."""
    right = {"provider": "orocommerce", "url": "https://shop.example", "client_id": "made-up"}
    right["client_secret"] = "s3cret-for-tests"
    configure(wrong=right | {"timeout": "soon"}, right=right, other={"provider": "orocomerce"})

    result = keyturn("status", "--format", "json")

    rows = {row["connection"]: row["state"] for row in json.loads(result.out)}
    assert rows == {"other": "ConfigurationError", "right": "none", "wrong": "ConfigurationError"}
    assert result.code == 2
    assert result.err.count("connections.wrong.timeout: must be") == 1


def test_status_shows_the_others_when_a_secret_is_missing(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn
) -> None:
    """On a host that lacks one secret, the state of the other connections would be hidden."""
    right = {"provider": "orocommerce", **emulator.settings("orocommerce")}
    path = configure(right=right)
    lacking = {"provider": '"orocommerce"', "url": '"https://shop.example"', "client_id": '"x"'}
    lines = [f"{setting} = {value}" for setting, value in lacking.items()]
    lines = ["", "[connections.lacking]", *lines, 'client_secret = { env = "NOT_SET" }']
    path.write_text(path.read_text() + "\n".join(lines))

    result = keyturn("status", "--format", "json")

    assert result.code == 2
    assert [row["state"] for row in result.json()] == ["ConfigurationError", "none"]
    missing = "connections.lacking.client_secret: the environment variable NOT_SET is not set"
    assert missing in result.err
    assert missing in result.json()[0]["message"]
