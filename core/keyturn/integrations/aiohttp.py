"""The adapter for aiohttp: a client middleware."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import aiohttp
import attrs

from keyturn import errors
from keyturn.integrations._request_auth import Adapter, is_sent

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from keyturn._connection import Connection
    from keyturn.integrations._request_auth import AuthorizedRequest


@attrs.define
class _Call:
    """One call of the session, with all its redirects.

    Args:
        timer: What aiohttp makes for one call, and gives to each of its requests.
        has_left: Whether one of them led to another origin.
    """

    timer: object
    has_left: bool = False


class KeyturnAuth(Adapter):
    """Adds a connection's token, and the provider's own headers, to requests for its API.

    A caller's `Authorization` is replaced, and so is `Accept: */*`, which aiohttp sends by itself;
    all other headers of the caller stay. After a 401 that means the token, the token is renewed
    and the request is sent once more. The API's own response is returned when the body is not in
    memory as bytes, string, JSON or a plain form, or when there is no other token. This reads the
    whole body of a 401: `read()`, `text()` and `json()` of the response give it, its `content`
    doesn't.

    aiohttp calls a middleware for each redirect. A redirected request has what is added here only
    if it leads to the API's origin, and has not been elsewhere on its way. List it first, so that
    it is called by the task that makes the request. aiohttp takes user information off a URL
    beforehand; it counts as a caller's `Authorization`.

    Args:
        connection: Where the tokens come from: a connection, or the name of a configured one.
            Made from a name, it can be pickled and copied.

    Raises:
        keyturn.errors.ForeignOrigin: A request doesn't lead to the API's origin (RFC 6454); it
            isn't sent.
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

    def __init__(self, connection: Connection | str) -> None:
        super().__init__(connection)
        # The task that makes a request makes all its redirects.
        self._calls: WeakKeyDictionary[object, _Call] = WeakKeyDictionary()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request, or a redirected one, with a token if it may have one."""
        # Without this attribute of aiohttp's, each request would be a call of its own, and one
        # that is redirected to another origin would be refused.
        timer = getattr(request, "_timer", request)
        task: Any = asyncio.current_task()
        call = self._calls.get(task)
        is_redirected = call is not None and call.timer is timer
        if call is None or not is_redirected:
            call = self._calls[task] = _Call(timer)
        if call.has_left:
            return await handler(request)
        try:
            sent = await self._auth.aauthorize(
                request.method, str(request.url), dict(request.headers)
            )
        except errors.ForeignOrigin:
            if not is_redirected:
                raise
            # Another host must not choose what is done with the token: it doesn't come back.
            call.has_left = True
            return await handler(request)
        return await self._send(request, handler, sent)

    async def _send(
        self, request: ClientRequest, handler: ClientHandlerType, sent: AuthorizedRequest
    ) -> ClientResponse:
        """Return the response to a request with a token, sent again with another if need be."""
        request.headers.update(sent.added)
        response = await handler(request)
        if response.status != 401 or not is_sent(sent, request.headers):
            return response
        body = await response.read()
        again = await self._auth.areauthorize(sent, response.status, response.headers, body)
        if again is None or not _is_replayable(request):
            return response
        response.release()
        request.headers.update(again.added)
        return await handler(request)


def _is_replayable(request: ClientRequest) -> bool:
    """Return whether the body can be sent again; aiohttp closes files when it has sent them."""
    return not request.body or isinstance(request.body, aiohttp.BytesPayload)
