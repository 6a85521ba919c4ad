"""The reverse proxy: it forwards `/{connection}/…` to the API, with a token.

The proxy forwards the target of a request unchanged, below the API's origin. It decodes nothing in
it, and no part of it can name another origin.
"""

from __future__ import annotations

import asyncio
import logging
import time
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import httpx

from keyturn import errors
from keyturn._server.api_response import ApiResponse, ResponseCut
from keyturn._server.connections import signs
from keyturn._server.headers import has_dots, is_websocket, request_headers, response_headers
from keyturn._server.request_body import MAX_KEPT, MAX_SILENCE, RequestBody
from keyturn._server.responses import problem
from keyturn.integrations._request_auth import areauthorized

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from keyturn._server.connections import ServedConnections
    from keyturn.integrations import AuthorizedRequest, RequestAuth

# Seconds; an API may respond late, and an event stream may have long pauses.
TIMEOUT = httpx.Timeout(10.0, read=300.0, write=MAX_SILENCE)
# Seconds for which a request waits for an unreachable token endpoint, and between two attempts.
OUTAGE, FIRST_PAUSE, MAX_PAUSE = 20.0, 0.5, 4.0
# RFC 9110 section 9.2.2: the methods that a proxy may repeat.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
# The API's server may close a kept connection when it is used again.
_CLOSED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
# RFC 9110 section 15
_LAST_STATUS = 599
_NOT_REPEATED = "x-keyturn-not-repeated"
# A response to TRACE would show the token, and CONNECT requests a tunnel.
_METHODS_REFUSED = frozenset({"TRACE", "CONNECT"})

_logger = logging.getLogger("keyturn.server")
_T = TypeVar("_T")
_pause = asyncio.sleep


class InvalidStatus(httpx.TransportError):
    """The API's status is not an HTTP status, such as 999."""


@attrs.frozen(eq=False)
class _Exchange:
    """One request to the API.

    Args:
        method: The method.
        origin: The API's origin.
        body: The body.
    """

    method: str
    origin: str
    body: RequestBody

    def request(self, sent: AuthorizedRequest) -> httpx.Request:
        kept, fields = self.body.kept, sent.headers.items()
        return httpx.Request(
            self.method,
            f"{self.origin}/",
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields],
            content=self.body.stream() if kept is None else kept,
            extensions={
                "target": sent.url.removeprefix(self.origin).encode("latin-1"),
                # httpx 0.27.0 does not give such a request the client's timeout.
                "timeout": TIMEOUT.as_dict(),
            },
        )


class ReverseProxy:
    """Passes requests on to the APIs of connections.

    Args:
        connections: The connections.
        client: The HTTP client.
        observe: Called after each request with the connection's name, the status (0 without a
            response), whether the request was repeated, and the duration in seconds.
    """

    def __init__(
        self,
        connections: ServedConnections,
        client: httpx.AsyncClient,
        observe: Callable[[str, int, bool, float], object],
    ) -> None:
        self._connections = connections
        self._client = client
        self._observe = observe

    async def __call__(
        self, name: str, target: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Forward one request.

        Args:
            name: The connection's name.
            target: The path and the query for the API.
            scope: The request.
            receive: Receives its body.
            send: Sends the response.

        Raises:
            NotServed: The connection does not exist.
            keyturn.errors.KeyturnError: No token could be acquired.
        """
        self._connections.find(name)
        if refused := _refused(target, scope):
            await refused(scope, receive, send)
        else:
            body = RequestBody(scope, receive)
            await _while_connected(body, self._pass_on(name, target, scope, body, send))

    async def _pass_on(
        self, name: str, target: bytes, scope: Scope, body: RequestBody, send: Send
    ) -> None:
        began = time.monotonic()
        served, connection, auth = await self._connections.open(name)
        await _despite_outages(connection.atoken)
        exchange = _Exchange(scope["method"], await served.origin(connection), body)
        headers = request_headers(scope["headers"])
        if b"transfer-encoding" in dict(scope["headers"]):
            headers.pop("content-length", None)
        url = exchange.origin + target.decode("latin-1")
        signed = await body.read() if await signs(connection) else None
        sent = await auth.aauthorize(exchange.method, url, headers, signed)
        is_repeated, status = False, 0
        try:
            received = await self._send(exchange, sent)
            head = received.response
            if auth.needs_body(sent, head.status_code, head.headers):
                received, is_repeated = await self._renew(exchange, auth, sent, received)
            status = received.response.status_code
            # uvicorn 0.34.0 names no server for a Unix socket.
            _, port = scope["server"] or (None, None)
            await received.relay(response_headers(received.headers, url, port), send)
        except httpx.TransportError as error:
            if status:
                failure = type(error).__name__
                _logger.warning("%s: the API did not complete a response: %s", name, failure)
                raise ResponseCut from None
            status = 504 if isinstance(error, httpx.TimeoutException) else 502
            reason = f"{name}: the API at {exchange.origin} failed: {type(error).__name__}."
            about = {"x-keyturn-error": "APIUnavailable"}
            await problem(status, reason, about)(scope, body.receive, send)
        finally:
            _logger.info("%s: %s: %d", name, exchange.method, status)
            self._observe(name, status, is_repeated, time.monotonic() - began)

    async def _send(self, exchange: _Exchange, sent: AuthorizedRequest) -> ApiResponse:
        """Send a request; repeat it if a kept connection was closed at that moment."""
        try:
            return await self._send_once(exchange.request(sent))
        except _CLOSED:
            if exchange.method not in _IDEMPOTENT or exchange.body.kept is None:
                raise
        return await self._send_once(exchange.request(sent))

    async def _send_once(self, request: httpx.Request) -> ApiResponse:
        response = await self._client.send(request, stream=True, auth=None)
        if response.status_code > _LAST_STATUS:
            await response.aclose()
            raise InvalidStatus(str(response.status_code))
        return ApiResponse(response, response.aiter_raw())

    async def _renew(
        self, exchange: _Exchange, auth: RequestAuth, sent: AuthorizedRequest, first: ApiResponse
    ) -> tuple[ApiResponse, bool]:
        """Return the response to the request with another token, and whether it was repeated.

        Otherwise this returns the API's own response, with a header that says why.
        """
        status, headers, refused_at = (
            first.response.status_code,
            first.response.headers,
            time.time(),
        )
        try:
            body = await first.read_beginning()
            renewed = await _despite_outages(
                lambda: areauthorized(auth, sent, status, headers, body)
            )
        except errors.KeyturnError as error:
            _logger.warning("%s", error)
            headers[_NOT_REPEATED] = f"no other token was acquired: {type(error).__name__}"
            return first, False
        except BaseException:  # the client closed the connection, or the API did not complete it
            await first.response.aclose()
            raise
        if renewed is not None and exchange.body.kept is not None:
            await first.response.aclose()
            second = await self._send(exchange, renewed)
            if second.response.status_code == 401 and renewed.token.issued_at < refused_at:
                # Its token request was already in progress, and may have failed for the same
                # reason.
                again = attrs.evolve(renewed, is_renewed=False)
                return (await self._renew(exchange, auth, again, second))[0], True
            if second.response.status_code == 401:
                reason = "it was already repeated once with another token"
                second.response.headers[_NOT_REPEATED] = reason
            return second, True
        if renewed is not None:
            reason = f"the body is larger than {MAX_KEPT} bytes; the token has been renewed"
            headers[_NOT_REPEATED] = reason
        elif first.response.is_error:
            reason = "the response does not refuse the token, or no other token is available"
            headers[_NOT_REPEATED] = reason
        return first, False


def _refused(target: bytes, scope: Scope) -> Response | None:
    """Return the error response to a request that is not forwarded, or None."""
    if is_websocket(scope["headers"]):
        reason = "WebSocket is not supported: connect to the API, with a token of /-/token/."
        return problem(501, reason)
    if scope["method"].upper() in _METHODS_REFUSED:
        return problem(405, f"the method {scope['method']} is not supported.")
    if has_dots(target.partition(b"?")[0].decode("latin-1")):
        return problem(400, "the path must not contain . or .. segments.")
    return None


async def _despite_outages(acquire: Callable[[], Awaitable[_T]]) -> _T:
    """Return the result of work that needs a token; retry while the token endpoint is unreachable.

    Raises:
        keyturn.errors.KeyturnError: No token could be acquired.
    """
    end, pause = time.monotonic() + OUTAGE, FIRST_PAUSE
    while True:
        try:
            return await acquire()
        except errors.EndpointUnavailable as error:
            if not error.transient or time.monotonic() + pause > end:
                raise
        await _pause(pause)
        pause = min(2 * pause, MAX_PAUSE)


def no_cookies() -> CookieJar:
    """Return a cookie jar that stores nothing, because the cookies belong to the client."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


async def _while_connected(body: RequestBody, work: Coroutine[Any, Any, None]) -> None:
    """Do the work; cancel it when the client closes the connection."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(body.gone())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
