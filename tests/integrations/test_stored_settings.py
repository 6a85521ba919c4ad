"""Connections whose settings a platform keeps beside its own."""

from __future__ import annotations

from typing import Any

import pytest

import keyturn
from keyturn.integrations._stored_settings import connect_with


def test_only_the_providers_settings_are_taken(api: Any) -> None:
    """A platform's own settings would be mistakes, or reach options of the connection."""
    stored = {
        "url": api.url,
        "client_id": "made-up",
        "client_secret": "made-up",
        "token_url": f"{api.url}/token",
        "start_date": "2026-01-01",
        "timeout": 0.0,
        "store": "elsewhere",
    }
    with connect_with("orocommerce", stored, name="tap-shop") as connection:
        assert connection.token().access_token.startswith("made-up-token-canary")
        assert connection.name == "tap-shop"


def test_policy_counts() -> None:
    """The settings of an end user could name an internal host."""
    stored = {"url": "http://127.0.0.1", "client_id": "made-up", "client_secret": "made-up"}
    with pytest.raises(keyturn.errors.ConfigurationError, match="loopback"):
        connect_with("orocommerce", stored, policy=keyturn.NetworkPolicy())
