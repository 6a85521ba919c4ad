"""The hook and the trigger for Apache Airflow, and authentication for its HTTP hook."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import requests
from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret, redact  # type: ignore[attr-defined]  # as its providers do
from airflow.triggers.base import BaseTrigger, TriggerEvent

from keyturn import errors
from keyturn.integrations import _opening
from keyturn.integrations._airflow_provider import STANDARD_FIELDS
from keyturn.integrations.requests import KeyturnAuth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from keyturn._connection import Connection


class KeyturnHook(BaseHook):
    """A connection of type `keyturn`, in Airflow's own store.

    Airflow's login and password are the settings `client_id` and `client_secret`. The provider's
    name and its other settings are in the extra field. All secrets are masked in the logs of tasks.

    Args:
        keyturn_conn_id: The ID of Airflow's connection, which is read on first use. Only the ID and
            the options are pickled.
        options: Options of `keyturn.connect`.
    """

    conn_name_attr = "keyturn_conn_id"
    default_conn_name = "keyturn_default"
    conn_type = "keyturn"
    hook_name = "keyturn"

    def __init__(self, keyturn_conn_id: str = default_conn_name, **options: Any) -> None:
        super().__init__()
        self.keyturn_conn_id = keyturn_conn_id
        self._options = options
        self._opened = _opening.OpenedConnection()

    @property
    def connection(self) -> Connection:
        """The connection.

        Raises:
            keyturn.errors.ConfigurationError: A setting is wrong or missing, or Airflow would show
                a secret.
        """
        return self._opened.get(lambda: self._open(self.get_connection(self.keyturn_conn_id)))

    async def aconnection(self) -> Connection:
        """Return the connection, in a trigger or another event loop; see `connection`."""
        stored = await self.aget_connection(self.keyturn_conn_id)
        return await asyncio.to_thread(self._opened.get, lambda: self._open(stored))

    def get_conn(self) -> requests.Session:
        """Return a session whose requests to the connection's API are authorized."""
        session = requests.Session()
        session.auth = KeyturnAuth(self.connection)
        return session

    def client(self, **options: Any) -> httpx.Client:
        """Return a client of the connection's API, with its URL as the base of relative URLs.

        Args:
            options: Those of `httpx.Client`.
        """
        return _opening.client(self.connection, options)

    async def async_client(self, **options: Any) -> httpx.AsyncClient:
        """Return a client of the connection's API for asyncio.

        Args:
            options: Those of `httpx.AsyncClient`.
        """
        connection = await self.aconnection()
        return await asyncio.to_thread(_opening.async_client, connection, options)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether a token can be acquired, and why not; Airflow calls it."""
        try:
            self.connection.token()
        except errors.KeyturnError as error:
            return False, str(error)
        return True, "The provider issued a token."

    def _open(self, stored: Any) -> Connection:
        """Return the connection with the settings of Airflow's connection."""
        name = self.keyturn_conn_id
        given = {setting: getattr(stored, field) for field, setting in STANDARD_FIELDS.items()}
        extra = stored.extra_dejson
        provider = extra.pop("provider", None)
        if not isinstance(provider, str) or not provider:
            raise errors.ConfigurationError(
                "Airflow's connection has no provider.",
                connection=name,
                hint="Choose a provider in the connection's form, or set provider in the extra.",
            )
        # Airflow's form has the fields of all providers.
        settings = {
            setting: value
            for setting, value in {**extra, **given}.items()
            if value is not None and value != ""
        }
        secrets = _opening.secret_settings(provider) & settings.keys()
        shown = {
            setting: value
            for setting, value in settings.items()
            if setting != "client_secret" and redact({setting: "shown"}) == {setting: "shown"}
        }
        hint = (
            "Add its name to [core] sensitive_var_conn_names, or set client_secret as the password."
        )
        _opening.check_shown(name, provider, shown, hint)
        for secret in secrets:
            mask_secret(settings[secret])
        return _opening.open_connection(name, provider, settings, **self._options)


def http_auth(login: str, _password: str | None = None) -> KeyturnAuth:
    """Return the authentication of Airflow's `HttpHook` and `HttpOperator`, as their `auth_type`.

    Args:
        login: The login of the HTTP connection: the ID of a connection of the type `keyturn`.
    """
    return KeyturnAuth(KeyturnHook(login).connection)


class KeyturnTrigger(BaseTrigger):
    """Sends a request to a connection's API while a task is deferred.

    Its event is a dictionary with the `status` and the `text` of the response. Only its arguments
    are serialised.

    Args:
        keyturn_conn_id: The ID of Airflow's connection.
        path: The path below the API's address, such as `users`.
        method: The HTTP method.
        options: Further JSON arguments of `httpx.AsyncClient.request`, such as `params` or `json`.
    """

    def __init__(
        self,
        keyturn_conn_id: str,
        path: str,
        method: str = "GET",
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.keyturn_conn_id = keyturn_conn_id
        self.path = path
        self.method = method
        self.options = options

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the trigger's class and arguments, which Airflow stores."""
        names = "keyturn_conn_id", "path", "method", "options"
        return f"{__name__}.KeyturnTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Send the request, and yield its response."""
        client = await KeyturnHook(self.keyturn_conn_id).async_client()
        async with client:
            response = await client.request(self.method, self.path, **(self.options or {}))
        event = {"status": response.status_code, "text": response.text}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's
