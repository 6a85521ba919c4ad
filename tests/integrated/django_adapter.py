"""Connections in a Django project; `test_django.py` runs this in its own environment."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.test.utils import override_settings

import keyturn
from keyturn.integrations.django import connections
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

settings.configure(INSTALLED_APPS=["keyturn.integrations.django"])
django.setup()


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Yield the API."""
    with Emulator() as running:
        yield running


@pytest.fixture(autouse=True)
def _file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, emulator: Emulator) -> None:
    """Put a connection of its own into `keyturn.toml`."""
    url = emulator.settings("orocommerce")["url"]
    lines = '[connections.filed]\nprovider = "orocommerce"\nclient_id = "made-up"\n'
    lines += f'url = "{url}"\nclient_secret = {{ env = "FILED_SECRET" }}\n'
    (tmp_path / "keyturn.toml").write_text(lines, encoding="utf-8")
    monkeypatch.setenv("KEYTURN_CONFIG", str(tmp_path / "keyturn.toml"))
    monkeypatch.setenv("KEYTURN_STORE", "memory://")


@pytest.fixture
def tables(emulator: Emulator) -> dict[str, Any]:
    """Return a value of `KEYTURN_CONNECTIONS`."""
    return {"shop": {"provider": "orocommerce", **emulator.settings("orocommerce")}}


def test_connections_of_settings_and_file(tables: dict[str, Any]) -> None:
    """A view would not find a connection, or open one for each request."""
    with override_settings(KEYTURN_CONNECTIONS=tables):
        assert list(connections) == ["filed", "shop"]
        assert connections["shop"] is connections["shop"]
        assert connections["shop"].token()
        assert connections["filed"].name == "filed"


def test_secret_as_reference_and_as_secret(
    tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project that stores its secret outside its settings could not refer to it."""
    secret = tables["shop"]["client_secret"]
    monkeypatch.setenv("SHOP_SECRET", secret)
    for given in ({"env": "SHOP_SECRET"}, keyturn.Secret(secret)):
        changed = {"shop": {**tables["shop"], "client_secret": given, "timeout": "20"}}
        with override_settings(KEYTURN_CONNECTIONS=changed):
            assert connections["shop"].token()


def test_changed_settings_open_another_connection(tables: dict[str, Any]) -> None:
    """A test would call the API of the previous settings, or use a closed connection."""
    with override_settings(KEYTURN_CONNECTIONS=tables):
        before = connections["shop"]
        with override_settings(DEBUG=True):
            assert connections["shop"] is before
        changed = {"shop": {**tables["shop"], "client_id": "another"}}
        with override_settings(KEYTURN_CONNECTIONS=changed):
            assert connections["shop"] is not before
        assert connections["shop"].token()


def test_two_threads_share_the_first_connection(
    tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second connection would stay open, without a user."""
    with override_settings(KEYTURN_CONNECTIONS=tables):
        opening, opened = type(keyturn.integrations.django._configuration()), []  # noqa: SLF001 - to patch its subclass
        usual = opening.open

        def twice(self: Any, name: str) -> keyturn.Connection:
            if not opened:
                opened.append(None)
                opened.append(connections[name])
            return usual(self, name)

        monkeypatch.setattr(opening, "open", twice)
        assert connections["shop"] is opened[1]
        assert connections["shop"].token()


def test_mistakes_are_reported(tables: dict[str, Any]) -> None:
    """`manage.py check` would pass a project whose views fail."""
    secret = tables["shop"]["client_secret"]
    wrong = {
        "shop": {**tables["shop"], "ulr": secret},
        "other": ["orocommerce", secret],
        "third": {"provider": "orocommerse"},
    }
    with override_settings(KEYTURN_CONNECTIONS=wrong):
        found = [(each.id, each.msg) for each in run_checks(tags=["keyturn"])]
        with pytest.raises(keyturn.errors.ConfigurationError) as caught:
            connections["shop"]
    message = "\n".join(text for _, text in found)
    assert {number for number, _ in found} == {"keyturn.E001"}
    assert "KEYTURN_CONNECTIONS['shop']['ulr']: is not a setting" in message
    assert "KEYTURN_CONNECTIONS['other']: must be a dictionary" in message
    assert "KEYTURN_CONNECTIONS['third']['provider']: no provider" in message
    assert secret not in f"{message}{caught.value}"
    with override_settings(KEYTURN_CONNECTIONS=[]):
        (only,) = run_checks(tags=["keyturn"])
    assert only.msg == "KEYTURN_CONNECTIONS: must be a dictionary"
    assert run_checks(tags=["keyturn"]) == []


def test_unreadable_file_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """`manage.py check` would end with a traceback."""
    monkeypatch.setenv("KEYTURN_CONFIG", "/nonexistent/keyturn.toml")
    (only,) = run_checks(tags=["keyturn"])
    assert only.msg == (
        "the configuration file /nonexistent/keyturn.toml can't be read: No such file or directory."
    )


def test_unknown_name_names_the_setting() -> None:
    """A developer would look for the connection in the wrong place."""
    with pytest.raises(keyturn.errors.ConfigurationError, match="KEYTURN_CONNECTIONS of the"):
        connections["nothing"]


def test_process_ends_with_connections_open(tables: dict[str, Any]) -> None:
    """A management command would not end, or end with warnings about open connections."""
    program = (
        "from django.conf import settings\n"
        f"settings.configure(KEYTURN_CONNECTIONS={tables!r})\n"
        "from keyturn.integrations.django import connections\n"
        "print(connections['shop'].token().access_token[:2])\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("ey\n", "")
