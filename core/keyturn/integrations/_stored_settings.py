"""Connections whose settings lie in a platform's own store of configurations and secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn._connection.connect import connect
from keyturn._http.policy import PERMISSIVE
from keyturn._plugins.loading import provider as provider_info

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._connection import Connection
    from keyturn._http.policy import NetworkPolicy


def connect_with(
    provider: str,
    stored: Mapping[str, Any],
    *,
    name: str | None = None,
    policy: NetworkPolicy = PERMISSIVE,
) -> Connection:
    """Return a connection with the settings that a platform has stored.

    Args:
        provider: The provider's name.
        stored: Its settings, and others of the platform, which are ignored.
        name: What messages call the connection.
        policy: What the settings may name, and which hosts the connection may reach.

    Raises:
        keyturn.errors.ConfigurationError: As `keyturn.connect`.
    """
    known = provider_info(provider).settings_schema()["properties"]
    settings = {key: value for key, value in stored.items() if key in known}
    return connect(provider, settings, name=name, policy=policy)
