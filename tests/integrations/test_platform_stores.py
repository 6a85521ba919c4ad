"""The common part of adapters for platforms that store a connection's settings themselves."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn.integrations import _airflow_provider, _opening

if TYPE_CHECKING:
    from pathlib import Path


def test_connection_is_opened_once_and_a_copy_opens_it_again() -> None:
    """Each use would request a token, or a copied job would contain secrets."""
    opened = _opening.OpenedConnection()
    settings = {"url": "https://shop.example", "client_id": "a", "client_secret": "made-up"}

    def opening() -> keyturn.Connection:
        return _opening.open_connection("", "orocommerce", settings, store="memory://")

    connection = opened.get(opening)
    assert opened.get(opening) is connection
    assert connection.name == "orocommerce"
    assert copy.deepcopy(opened).get(opening) is not connection


def test_clients_lead_to_the_api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A job would have to know the API's address, or each process would request a token."""
    monkeypatch.setenv("KEYTURN_STORE", f"disk://{tmp_path}")
    with keyturn.testing.Emulator() as emulator:
        settings = emulator.settings("orocommerce")
        first, second = (
            _opening.open_connection("shop", "orocommerce", settings) for _ in range(2)
        )
        with _opening.client(first, {"timeout": 10}) as client:
            assert client.get("users").status_code == 200

        async def call() -> int:
            async with _opening.async_client(second, {}) as client:
                return (await client.get("users")).status_code

        assert asyncio.run(call()) == 200

        class Resource(_opening.ApiClients):
            connection = first

        with Resource().client(timeout=10) as client:
            assert client.get("users").status_code == 200
        asyncio.run(Resource().async_client().aclose())
        assert emulator.token_requests("orocommerce") == 1


def test_only_settings_of_the_provider_are_read() -> None:
    """A platform's own settings would be errors, or set options of the connection."""
    settings = {"url": "https://shop.example", "client_id": "a", "client_secret": "made-up"}
    beside = {"start_date": "2026-01-01", "timeout": 0.0, "store": "elsewhere"}

    assert _opening.known_settings("orocommerce", settings | beside) == settings


def test_name_without_a_provider_is_a_configured_connection() -> None:
    """The name would be ignored, and the error would be about a missing provider."""
    with pytest.raises(keyturn.errors.ConfigurationError, match="no connection is named 'shop'"):
        _opening.open_connection("shop", "", {})


def test_secrets_are_rejected_where_a_platform_shows_them() -> None:
    """A web page would show a secret that was entered as an ordinary setting."""
    shown = {"client_secret": "made-up", "certificate_key": "-----BEGIN PRIVATE KEY-----x"}
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        _opening.check_shown("shop", "generic", shown, "Put it into secrets.")
    assert "certificate_key, client_secret: the platform would show" in str(caught.value)
    _opening.check_shown("shop", "generic", {"certificate_key": "/etc/key.pem"}, "")
    _opening.check_shown("shop", "", {}, "")


def test_airflow_gets_a_form_of_every_working_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One broken plugin would disable the connection type, or a secret field would be readable."""
    package = tmp_path / "broken-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[keyturn.providers]\nbroken = keyturn_broken\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "broken" in {each.name for each in keyturn.providers()}

    (kind,) = _airflow_provider.get_provider_info()["connection-types"]
    fields = kind["conn-fields"]
    choice = fields["provider"]["schema"]["enum"]
    assert "orocommerce" in choice
    assert choice[-1] == "generic"
    assert "broken" not in choice
    assert not {"client_id", "client_secret", "parameters"} & fields.keys()
    assert fields["private_key"]["schema"] == {"type": ["string", "null"], "format": "password"}
    assert fields["require_market"]["schema"] == {"type": ["boolean", "null"]}
    assert fields["url"]["description"] == "For orocommerce."
