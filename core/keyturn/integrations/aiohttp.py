"""The adapter for aiohttp: a client middleware."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from keyturn._http.response import Response as ApiResponse
from keyturn.integrations._request_auth import Attachment, unshown

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from keyturn._connection import Connection

_REDIRECTS = (301, 302, 303, 307, 308)


class KeyturnAuth:
    """Puts a connection's token, and the provider's own headers, on requests for its API.

    A caller's `Authorization` is replaced, and so is `Accept: */*`, which aiohttp sends by itself;
    all other headers of the caller's stay. After a 401 that means the token, the token is renewed
    and the request sent once more; when its body is not in memory as bytes, text, JSON or a plain
    form, or there is no other token to be had, the API's own response is returned. What is added
    here doesn't follow a redirect to another origin, nor one from there back. It reads the whole
    body of a 401: `read()`, `text()` and `json()` of the response give it, its `content` doesn't.

    Listed first, it sees the requests and redirects of the session itself. User information in an
    address is taken off by aiohttp beforehand, and counts as a caller's `Authorization`. Whether
    aiohttp follows a redirect can't be known here: after one that it doesn't
    (`allow_redirects=False`, too many redirects, a connection lost), the next request of the same
    task counts as the redirect's if it leads to that origin, and may go without the token.

    Args:
        connection: Where the tokens come from.

    Raises:
        keyturn.errors.ForeignOrigin: A request doesn't lead to the API's origin (RFC 6454); it
            isn't sent.
        keyturn.errors.KeyturnError: There is no token to be had.

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

    def __init__(self, connection: Connection) -> None:
        self._attachment = Attachment(connection)
        # Where the last response to each task sent it, and whether that was without a token.
        # aiohttp calls a middleware for each hop and doesn't tell it that it is one; all hops of
        # a request are made by the task that makes the request.
        self._redirects: WeakKeyDictionary[object, tuple[URL, bool]] = WeakKeyDictionary()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request, or one hop of it, with a token; without one where none may go."""
        task = asyncio.current_task()
        bare = self._is_bare(request, self._redirects.pop(task, None))
        try:
            response = await (handler(request) if bare else self._sent(request, handler))
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            # After a kept connection is lost, aiohttp itself makes the same hop once more.
            if bare and not isinstance(error, aiohttp.ClientConnectorError):
                self._redirects[task] = (request.url.origin(), bare)
            raise
        target = _target(response)
        if target is not None:
            self._redirects[task] = (target, bare)
        return response

    def _is_bare(self, request: ClientRequest, redirect: tuple[URL, bool] | None) -> bool:
        """Tell whether a request follows a redirect to another origin, or one that began there."""
        if redirect is None or redirect[0] != request.url.origin():
            return False
        return redirect[1] or not self._attachment.is_home(str(request.url))

    async def _sent(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Return the response to a request with a token, sent again with another if need be."""
        token = await self._attachment.atoken(str(request.url))
        request.headers.update(unshown(self._attachment.headers(token, request.headers)))
        response = await handler(request)
        if response.status != 401:
            return response
        headers = {name.lower(): value for name, value in response.headers.items()}
        refused = ApiResponse(response.status, headers, await response.read())
        other = await self._attachment.arenewed(token, refused)
        if other is None or not _replayable(request):
            return response
        response.release()
        request.headers.update(unshown(self._attachment.headers(other, request.headers, token)))
        return await handler(request)


def _replayable(request: ClientRequest) -> bool:
    """Tell whether the body can be sent again; aiohttp closes files when it has sent them."""
    return not request.body or isinstance(request.body, aiohttp.BytesPayload)


def _target(response: ClientResponse) -> URL | None:
    """Return the origin to which a redirect leads, as aiohttp works it out."""
    location = response.headers.get("Location") or response.headers.get("URI")
    if response.status not in _REDIRECTS or location is None:
        return None
    try:
        return response.url.join(URL(location)).origin()
    except ValueError:
        return None
