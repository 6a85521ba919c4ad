"""The adapter for aiohttp: a client middleware, and a resolver for network policies."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import aiohttp
import aiohttp.abc
from yarl import URL

from keyturn import errors
from keyturn._tokens.single_flight import run_in_thread
from keyturn.integrations._api_address import check_for
from keyturn.integrations._authorized_request import is_sent
from keyturn.integrations._request_auth import Adapter, RequestAuth

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from keyturn._connection import Connection
    from keyturn.integrations._authorized_request import AuthorizedRequest


class KeyturnAuth(Adapter):
    """Adds a connection's token, and the provider's own headers, to requests for its API.

    keyturn replaces a caller's `Authorization`, and `Accept: */*`, which aiohttp sends by default;
    it keeps all other headers of the caller. After a 401 for a refused token, keyturn renews the
    token and sends the request once more. The API's own response is returned when the body is not
    in memory as bytes, string, JSON or a plain form, or when there is no other token. This reads
    the whole body of a 401: `read()`, `text()` and `json()` of the response return it; its
    `content` is then empty.

    aiohttp calls a middleware for each redirect. A redirected request has the added headers only if
    it leads to the API's origin, and no earlier redirect led elsewhere. List it first, so that it
    is called by the task that makes the request. aiohttp removes user information from a URL
    beforehand; it counts as a caller's `Authorization`.

    Args:
        connection: A connection, or the name of a configured one. An adapter made from a name can
            be pickled and copied.

    Raises:
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.ConfigurationError: A client other than aiohttp uses it.
        keyturn.errors.KeyturnError: No token can be acquired.

    Example:
        >>> import aiohttp, keyturn
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ... )
        >>> async def use() -> None:
        ...     auth = keyturn.integrations.aiohttp.KeyturnAuth(connection)
        ...     async with aiohttp.ClientSession(middlewares=[auth]) as session:
        ...         await session.get(f"{connection.api_url}/users")
    """

    _client = "aiohttp"

    def __init__(self, connection: Connection | str) -> None:
        super().__init__(connection)
        # What aiohttp makes for one call, and gives to each of its requests, by the task: the task
        # that makes a request makes all its redirects.
        self._calls: WeakKeyDictionary[Any, object] = WeakKeyDictionary()
        # Calls with a request to another origin.
        self._left: WeakKeyDictionary[Any, object] = WeakKeyDictionary()

    def __call__(
        self, request: ClientRequest, *handler: ClientHandlerType
    ) -> Awaitable[ClientResponse]:
        """Send a request, or a redirected one, with a token if it may have one.

        After a 401 for a refused token, it is sent again with another token.
        """
        if not isinstance(request, aiohttp.ClientRequest):
            self._refuse(request)
        return self._send(request, *handler)

    async def _send(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        # Without this attribute of aiohttp, each request would count as a separate call, and one
        # that is redirected to another origin would be refused.
        call, task = getattr(request, "_timer", request), asyncio.current_task()
        is_redirected = self._calls.get(task) is call
        self._calls[task] = call
        if self._left.get(task) is call:
            return await handler(request)
        try:
            sent = await self._auth.aauthorize(
                request.method, str(request.url), dict(request.headers), _body(request)
            )
        except errors.ForeignOrigin:
            if not is_redirected:
                raise
            # Another host must not control requests with the token, so it is not added again.
            self._left[task] = call
            return await handler(request)
        _apply(request, sent)
        response = await handler(request)
        status, headers = response.status, response.headers
        if self._auth.needs_body(sent, status, headers) and is_sent(
            sent, request.headers, str(request.url)
        ):
            body = await response.read()
            again = await self._auth.areauthorize(sent, status, headers, body)
            # aiohttp closes files when it has sent them.
            if again and (not request.body or isinstance(request.body, aiohttp.BytesPayload)):
                response.release()
                _apply(request, again)
                return await handler(request)
        return response


def _apply(request: ClientRequest, sent: AuthorizedRequest) -> None:
    request.headers.update(sent.added)
    if sent.query:
        request.url = URL(sent.url, encoded=True)


def _body(request: ClientRequest) -> bytes | None:
    """Return a body that is in memory; one that is absent is empty."""
    payload = request.body
    if not payload:
        return b""
    is_in_memory = isinstance(payload, aiohttp.BytesPayload)
    return payload.decode("latin-1").encode("latin-1") if is_in_memory else None


class PolicyResolver(aiohttp.abc.AbstractResolver):
    """Resolves the names of a session, and refuses addresses that a connection's policy forbids.

    aiohttp connects to the addresses that it returns, so that a DNS answer which changes after the
    check (DNS rebinding) has no effect. It checks all names of the session, redirects included;
    aiohttp does not call it for literal IP addresses, and does not close it.

    Args:
        connection: The connection with the `keyturn.NetworkPolicy`, or the name of a configured
            one.

    Example:
        >>> import aiohttp, keyturn
        >>> async def use(connection: keyturn.Connection) -> None:
        ...     adapter = keyturn.integrations.aiohttp
        ...     connector = aiohttp.TCPConnector(resolver=adapter.PolicyResolver(connection))
        ...     async with aiohttp.ClientSession(
        ...         connector=connector, middlewares=[adapter.KeyturnAuth(connection)]
        ...     ) as session:
        ...         await session.get(f"{connection.api_url}/users")
    """

    def __init__(self, connection: Connection | str) -> None:
        self._auth = RequestAuth(connection)
        self._resolver = aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        """Return the addresses of a name.

        Raises:
            keyturn.errors.ConfigurationError: The policy forbids one of them.
            OSError: The name can't be resolved.
        """
        # Files may be read for a connection that is named.
        connection = await run_in_thread(lambda: self._auth.connection)
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            check_for(connection, each["host"], host)
        return found

    async def close(self) -> None:
        """Release the resources of aiodns, if aiohttp uses it; call this after the session ends."""
        await self._resolver.close()
