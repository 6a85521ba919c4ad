"""The connections that are served: opened when they are first asked for, and what happened."""

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
    """One connection that is served.

    Args:
        name: Its name.
        provider: Its provider's name.

    Attributes:
        last: Its last token request, if there was one since the start.
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
        """The connection, once it is open."""
        return self._opened[0] if self._opened else None

    async def open(self, configuration: Configuration) -> tuple[Connection, RequestAuth]:
        """Return the connection, and what authorizes requests to its API.

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
        """Return the API's origin, a token acquired if it depends on that.

        Raises:
            keyturn.errors.KeyturnError: It is not known, or there is no token.
        """
        if not self._origin:
            url = await run_in_thread(lambda: connection.api_url, manager_of(connection).host)
            self._origin = origin(url)
        return self._origin

    def status(self) -> ConnectionStatus:
        """Return what this process holds of the connection, without a request."""
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
        report: Gets each event of the connections, on a worker's thread.
    """

    def __init__(self, configuration: Configuration, report: Callable[[Event], object]) -> None:
        self._configuration = configuration
        self._report = report
        names = sorted(configuration.connections)
        self._all = {name: Served(name, configuration.provider_of(name)) for name in names}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._all.values())

    def find(self, name: str) -> Served:
        """Return what is served under a name.

        Raises:
            NotServed: Nothing is.
        """
        if name not in self._all:
            raise NotServed
        return self._all[name]

    async def open(self, name: str) -> tuple[Served, Connection, RequestAuth]:
        """Return what is served under a name, opened.

        Raises:
            NotServed: Nothing is.
            keyturn.errors.ConfigurationError: It can't be opened.
        """
        served = self.find(name)
        return served, *await served.open(self._configuration)

    def start(self) -> None:
        """Take note of the events of the connections."""
        plugin_manager().register(self)

    def stop(self) -> None:
        """Close the connections."""
        plugin_manager().unregister(self)
        for served in self:
            served.close()

    @hookimpl
    def keyturn_event(self, event: Event) -> None:
        """Take note of an event."""
        served = self._all.get(event.connection)
        if served is not None and event.kind == "token_request":
            served.last = event
        self._report(event)


async def signs(connection: Connection) -> bool:
    """Return whether requests to the API are signed with their body.

    Raises:
        keyturn.errors.KeyturnError: There is no token.
    """
    await connection.atoken()
    additions = manager_of(connection).snapshot.additions
    return bool(additions and additions.signed)


async def headers_alone(connection: Connection) -> dict[str, str]:
    """Return the headers of an API request, for programs that add them by themselves.

    Raises:
        keyturn.errors.ConfigurationError: A request needs more than headers that stay the same.
        keyturn.errors.KeyturnError: There is no token.
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
    """Return a token that may be used now.

    Args:
        connection: The connection.
        refused: What names a token that the API refused: the token, the value of the header that
            had it, or the token's SHA-256 in hexadecimal. If it is the current one, it is renewed.

    Raises:
        keyturn.errors.KeyturnError: There is no token.
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
