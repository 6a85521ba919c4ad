"""Opening a connection whose settings a platform stores itself."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import httpx

from keyturn import errors
from keyturn._config import load_connection, read
from keyturn._connection.connect import connect
from keyturn._plugins.loading import provider as provider_named
from keyturn.integrations.httpx import KeyturnAuth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn._connection import Connection


class OpenedConnection:
    """A connection that is opened on first use; a copy opens its own."""

    def __init__(self) -> None:
        self._connection: Connection | None = None

    def get(self, opening: Callable[[], Connection]) -> Connection:
        """Return the connection.

        Args:
            opening: Opens it. Two threads may each open one: both share their tokens.
        """
        if self._connection is None:
            self._connection = opening()
        return self._connection

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


def open_connection(
    name: str, provider: str, settings: Mapping[str, Any], **options: Any
) -> Connection:
    """Return a connection to an account whose settings a platform stores.

    All processes of a user share its tokens, as with `keyturn.load_connection`: in the store of
    `keyturn.toml`, else of `$KEYTURN_STORE`, else in the user's cache directory.

    Args:
        name: Its name in messages; without a provider, the name of a configured connection.
        provider: The provider's name, or an empty string.
        settings: Its settings.
        options: Options of `keyturn.connect`.

    Raises:
        keyturn.errors.ConfigurationError: A setting, an option or the store can't be used.
    """
    if not provider:
        return load_connection(name)
    if "store" not in options:
        options["store"] = read().open_store()
    return connect(provider, settings, name=name or None, **options)


def known_settings(provider: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a provider, without other values that a platform stores with them.

    Raises:
        keyturn.errors.ConfigurationError: The provider can't be used.
    """
    return {name: stored[name] for name in stored.keys() & _schema(provider).keys()}


def secret_settings(provider: str) -> frozenset[str]:
    """Return the names of a provider's settings that are secrets.

    Raises:
        keyturn.errors.ConfigurationError: The provider can't be used.
    """
    return frozenset(name for name, each in _schema(provider).items() if each.get("writeOnly"))


def _schema(provider: str) -> dict[str, Any]:
    properties: dict[str, Any] = provider_named(provider).settings_schema()["properties"]
    return properties


def check_shown(name: str, provider: str, shown: Mapping[str, Any], hint: str) -> None:
    """Refuse a secret where a platform would show it.

    Args:
        name: The connection's name.
        provider: The provider's name, or an empty string.
        shown: What the platform shows.
        hint: Where secrets belong.

    Raises:
        keyturn.errors.ConfigurationError: There is one, or the provider can't be used.
    """
    misplaced = sorted(shown.keys() & (secret_settings(provider) if provider else ()))
    # It may be the path of a file, or its contents.
    keys = [key for key, each in shown.items() if isinstance(each, str) and "PRIVATE KEY" in each]
    if found := sorted({*misplaced, *keys}):
        raise errors.ConfigurationError(
            f"{', '.join(found)}: the platform would show this secret.",
            connection=name or provider,
            hint=hint,
        )


class ApiClients(abc.ABC):
    """Creates clients of a connection's API."""

    @property
    @abc.abstractmethod
    def connection(self) -> Connection:
        """The connection."""

    def client(self, **options: Any) -> httpx.Client:
        """Return a client of the connection's API, with its URL as the base of relative URLs.

        Args:
            options: Those of `httpx.Client`.
        """
        return client(self.connection, options)

    def async_client(self, **options: Any) -> httpx.AsyncClient:
        """Return a client of the connection's API for asyncio.

        Args:
            options: Those of `httpx.AsyncClient`.
        """
        return async_client(self.connection, options)


def client(connection: Connection, options: dict[str, Any]) -> httpx.Client:
    """Return a client with the API's URL as the base of relative URLs."""
    return httpx.Client(**_defaults(connection) | options)


def async_client(connection: Connection, options: dict[str, Any]) -> httpx.AsyncClient:
    """Return a client for asyncio with the API's URL as the base of relative URLs."""
    return httpx.AsyncClient(**_defaults(connection) | options)


def _defaults(connection: Connection) -> dict[str, Any]:
    return {"base_url": connection.api_url, "auth": KeyturnAuth(connection)}
