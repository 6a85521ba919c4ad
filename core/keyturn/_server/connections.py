"""The served connections, which are opened at the first request, and their last events."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._connection import manager_of
from keyturn._http.urls import origin
from keyturn._plugins.hooks import hookimpl
from keyturn._plugins.loading import plugin_manager
from keyturn._server.responses import NotServed
from keyturn._tokens.single_flight import run_in_thread
from keyturn._tokens.status import ConnectionStatus, status_of
from keyturn.integrations import RequestAuth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyturn._config.configuration import Configuration
    from keyturn._connection import Connection
    from keyturn._plugins.events import Event
    from keyturn._token import Token


class Served:
    """One served connection.

    Args:
        name: Its name.
        provider: Its provider's name.

    Attributes:
        last: Its last token request since the start, or None.
        problem: Why it can't be opened, or None.
    """

    def __init__(self, name: str, provider: str) -> None:
        self.name, self.provider = name, provider
        self.last: Event | None = None
        self.problem: str | None = None
        self._opened: tuple[Connection, RequestAuth] | None = None
        self._origin = ""
        self._lock = asyncio.Lock()

    @property
    def connection(self) -> Connection | None:
        """The connection, or None until it is open."""
        return self._opened[0] if self._opened else None

    async def open(self, configuration: Configuration) -> tuple[Connection, RequestAuth]:
        """Return the connection, and the authorization of requests to its API.

        Raises:
            keyturn.errors.ConfigurationError: It can't be opened.
        """
        if self._opened is None:
            async with self._lock:
                self._opened = self._opened or await self._open(configuration)
        return self._opened

    async def _open(self, configuration: Configuration) -> tuple[Connection, RequestAuth]:
        try:
            connection = await run_in_thread(lambda: configuration.open(self.name))
        except errors.KeyturnError as error:
            self.problem = f"{type(error).__name__}: {error}"
            raise
        self.problem = None
        return connection, RequestAuth(connection)

    async def origin(self, connection: Connection) -> str:
        """Return the API's origin; this acquires a token if the origin depends on it.

        Raises:
            keyturn.errors.KeyturnError: It is unknown, or no token could be acquired.
        """
        if not self._origin:
            url = await run_in_thread(lambda: connection.api_url, manager_of(connection).host)
            self._origin = origin(url)
        return self._origin

    def status(self) -> ConnectionStatus:
        """Return the state of the connection in this process, without a request."""
        if self._opened is None:
            return ConnectionStatus(
                id=self.name,
                provider=self.provider,
                state="none",
                seconds_left=None,
                last_error=self.problem,
            )
        return status_of(self.name, self.provider, manager_of(self._opened[0]))

    def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            self._opened[0].close()


class ServedConnections:
    """All connections of a configuration.

    Args:
        configuration: The configuration.
        report: Called with each event of the connections, in a worker's thread.
    """

    def __init__(self, configuration: Configuration, report: Callable[[Event], object]) -> None:
        self._configuration = configuration
        self._report = report
        names = sorted(configuration.connections)
        self._all = {name: Served(name, configuration.provider_of(name)) for name in names}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._all.values())

    def find(self, name: str) -> Served:
        """Return the served connection with a name.

        Raises:
            NotServed: It does not exist.
        """
        if name not in self._all:
            raise NotServed
        return self._all[name]

    async def open(self, name: str) -> tuple[Served, Connection, RequestAuth]:
        """Return the served connection with a name, opened.

        Raises:
            NotServed: It does not exist.
            keyturn.errors.ConfigurationError: It can't be opened.
        """
        served = self.find(name)
        return served, *await served.open(self._configuration)

    def start(self) -> None:
        """Record the events of the connections."""
        plugin_manager().register(self)

    def stop(self) -> None:
        """Close the connections."""
        plugin_manager().unregister(self)
        for served in self:
            served.close()

    @hookimpl
    def keyturn_event(self, event: Event) -> None:
        """Record an event."""
        served = self._all.get(event.connection)
        if served is not None and event.kind == "token_request":
            served.last = event
        self._report(event)


async def signs(connection: Connection) -> bool:
    """Return whether the signature of API requests covers their body.

    Raises:
        keyturn.errors.KeyturnError: No token could be acquired.
    """
    await connection.atoken()
    additions = manager_of(connection).snapshot.additions
    return bool(additions and additions.signed)


async def headers_alone(connection: Connection) -> dict[str, str]:
    """Return the headers of an API request, for programs that add them themselves.

    Raises:
        keyturn.errors.ConfigurationError: A request needs more than constant headers.
        keyturn.errors.KeyturnError: No token could be acquired.
    """
    headers = await connection.aheaders()
    if manager_of(connection).snapshot.additions:
        raise errors.ConfigurationError(
            "API requests need a query, or headers that depend on the request.",
            connection=connection.name,
            hint="Send them through the reverse proxy of keyturn serve.",
        )
    return headers


async def usable_token(connection: Connection, refused: str | None) -> Token:
    """Return a usable token.

    Args:
        connection: The connection.
        refused: A token that the API refused: the token, the value of its header, or its SHA-256 in
            hexadecimal. If it is the current one, this renews it.

    Raises:
        keyturn.errors.KeyturnError: No token could be acquired.
    """
    token = await connection.atoken()
    if refused and _is_named(refused, token, manager_of(connection).snapshot.headers):
        return await connection.atoken(stale=token)
    return token


def _is_named(named: str, token: Token, headers: tuple[tuple[str, str], ...]) -> bool:
    digest = hashlib.sha256(token.access_token.encode()).hexdigest()
    *_, word = named.split() or [""]
    known = [token.access_token, digest, *(value for _, value in headers[:1])]
    pairs = ((each.encode(), given.encode()) for each in known for given in (named, word))
    return any(hmac.compare_digest(*pair) for pair in pairs)
