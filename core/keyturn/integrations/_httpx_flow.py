"""What the adapters for httpx and httpx2 share; it imports neither.

Both libraries have the same interface, and neither accepts the other's classes. What comes from
them is `Any` here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from keyturn._connection import manager_of
from keyturn.integrations._authorized_request import attach, is_sent
from keyturn.integrations._httpx_headers import Added, OneRequestHeaders
from keyturn.integrations._request_auth import Adapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from keyturn._connection import Connection
    from keyturn._tokens.snapshot import TokenSnapshot
    from keyturn.integrations._authorized_request import AuthorizedRequest

# A request that changes nothing (RFC 9110 section 9.2.1) may be sent again whatever came back.
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# The bytes and strings of a URL that decide where it leads, and as whom.
_Target = tuple[bytes, str, int | None, bytes]

_logger = logging.getLogger("keyturn.integrations")


class Flow(Adapter):
    """The two flows of a library's `Auth`, before which it stands.

    Args:
        connection: Where the tokens come from: a connection, or the name of a configured one.
    """

    _byte_stream: ClassVar[type]
    _headers: ClassVar[type[OneRequestHeaders]]

    def __init__(self, connection: Connection | str) -> None:
        super().__init__(connection)
        self._manager: Any = None
        # Of a URL that `RequestAuth` has checked: comparing it takes less than another check.
        self._home: _Target | None = None
        self._added = Added((("", ""),))

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send a request with a token, and once more with another one after a 401."""
        if _target(request.url) != self._home:
            self._auth.authorize(request.method, str(request.url), {})
            self._remember(request.url)
        manager = self._manager
        snapshot: TokenSnapshot = manager.snapshot
        if manager.now() >= snapshot.fresh_until:
            snapshot = manager.get()
        self._add(request, snapshot.headers)
        response = yield request
        if response.status_code < 400 and not response.history:
            return
        if self._has_lost_headers(response):
            response = yield self._add(response.request, snapshot.headers)
        sent = self._rejected(response, snapshot)
        if sent is not None:
            body = response.read()
            again = self._auth.reauthorize(sent, response.status_code, response.headers, body)
            if again is not None and self._is_replayable(response.request):
                yield self._add(response.request, again.added)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Do the same as `sync_auth_flow`, without blocking the event loop."""
        if _target(request.url) != self._home:
            await self._auth.aauthorize(request.method, str(request.url), {})
            self._remember(request.url)
        manager = self._manager
        snapshot: TokenSnapshot = manager.snapshot
        if manager.now() >= snapshot.fresh_until:
            snapshot = await manager.aget()
        self._add(request, snapshot.headers)
        response = yield request
        if response.status_code < 400 and not response.history:
            return
        if self._has_lost_headers(response):
            response = yield self._add(response.request, snapshot.headers)
        sent = self._rejected(response, snapshot)
        if sent is not None:
            body = await response.aread()
            again = await self._auth.areauthorize(
                sent, response.status_code, response.headers, body
            )
            if again is not None and self._is_replayable(response.request):
                yield self._add(response.request, again.added)

    def _remember(self, url: Any) -> None:
        self._manager = manager_of(self._auth.connection)
        self._home = _target(url)  # last, for other threads

    def _add(self, request: Any, headers: tuple[tuple[str, str], ...]) -> Any:
        added = self._added
        if added.headers is not headers:
            self._added = added = Added(headers)
        request.headers = self._headers(request.headers, added)
        return request

    def _has_lost_headers(self, response: Any) -> bool:
        """Return whether a redirect within the API is to be sent again, with our headers.

        The library has followed it by itself, without them. One that was elsewhere on its way
        stays as it is: another host must not choose what is done with the token.
        """
        request = response.request
        if isinstance(request.headers, OneRequestHeaders):
            return False  # not redirected
        if self._added.headers[0][0] in request.headers:
            return False  # a hook of the caller's has set one
        if any(_target(hop.request.url) != self._home for hop in (*response.history, response)):
            return False
        if request.method in _SAFE_METHODS or 400 <= response.status_code < 500:
            return self._is_replayable(request)
        _logger.warning(
            "%s: a redirected %s request succeeded without the token; send it to the URL that it "
            "was redirected to",
            self._auth.connection.name,
            request.method,
        )
        return False

    def _rejected(self, response: Any, snapshot: TokenSnapshot) -> AuthorizedRequest | None:
        """Return what was sent, if the API refused it and a token was in it."""
        request = response.request
        if response.status_code != 401 or not isinstance(request.headers, OneRequestHeaders):
            return None
        sent = attach(str(request.url), dict(request.headers.copy()), snapshot)
        return sent if is_sent(sent, request.headers) else None

    def _is_replayable(self, request: Any) -> bool:
        return isinstance(request.stream, self._byte_stream)


def _target(url: Any) -> _Target:
    """Return what decides where a URL leads; its default port is None."""
    return url.raw_host, url.scheme, url.port, url.userinfo
