"""The common code of the adapters for httpx and httpx2; it imports neither.

Both libraries have the same interface, and neither accepts the other's classes. Their
objects are `Any` here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from keyturn._connection import manager_of
from keyturn._tokens.snapshot import EMPTY
from keyturn.integrations._api_address import AsyncTrace, Trace
from keyturn.integrations._authorized_request import Unshown, attach, is_sent
from keyturn.integrations._request_auth import Adapter, aapi_for, api_for, logger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    # For type checkers it is that of httpx, at run time that of the library.
    from httpx import Headers

    from keyturn._connection import Connection
    from keyturn._tokens.snapshot import Headers as TokenHeaders
    from keyturn._tokens.snapshot import TokenSnapshot
    from keyturn.integrations._api import Api
    from keyturn.integrations._api_address import ApiAddress
    from keyturn.integrations._authorized_request import AuthorizedRequest
else:
    Headers = object


class _UnshownBytes(bytes):
    """A header's value that no `repr` shows."""

    def __repr__(self) -> str:
        return "b'********'"


# Headers in bytes, by their names in lower case; the token's comes first.
_Added = dict[str, tuple[bytes, _UnshownBytes]]


class OneRequestHeaders(Headers):
    """A caller's headers, and those added for one request; a mix-in for a library's `Headers`.

    Reading returns both. The libraries copy only the base class's part to a redirected request, so
    that no added header can follow a redirect to any host.
    """

    plain: ClassVar[Any]  # the library's `Headers`

    def __init__(self, headers: Headers, added: _Added, fields: dict[str, str], token: str) -> None:
        """Add headers; the token's replaces the caller's, others only a default `Accept`."""
        super().__init__(headers, headers.encoding)
        own = _decoded(super().raw, self.encoding)
        self._added = added.copy()
        self._fields: dict[str, str] | None = own | fields
        if token in own:
            super().__delitem__(token)  # nor may the caller's follow a redirect
        for name in added:
            if name in own and name != token and (name, own[name]) != ("accept", "*/*"):
                self._drop(name)

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        own = super().raw
        if "accept" in self._added:
            own = [pair for pair in own if pair[0].lower() != b"accept"]
        return [*own, *self._added.values()]

    def keys(self) -> Any:
        return self._read().keys()

    def values(self) -> Any:
        return self._read().values()

    def items(self) -> Any:
        return self._read().items()

    def multi_items(self) -> Any:
        return self._all().multi_items()

    def get_list(self, key: str, split_commas: bool = False) -> Any:  # noqa: FBT001, FBT002 - httpx's
        return self._all().get_list(key, split_commas)

    def update(self, headers: Any = None) -> None:  # type: ignore[override]  # as the base class
        super().update(headers)
        self._fields = None

    def __getitem__(self, key: str) -> str:
        return self._read()[key.lower()]

    def __setitem__(self, key: str, value: str) -> None:
        self._drop(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        if not self._drop(key) or super().__contains__(key):
            super().__delitem__(key)

    def __contains__(self, key: Any) -> bool:
        return key.lower() in self._read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self.raw)

    def __eq__(self, other: object) -> bool:
        return bool(self._all() == other)

    __hash__ = None  # type: ignore[assignment]  # as the base class

    def __repr__(self) -> str:
        return repr(self.plain(self._read() | dict.fromkeys(self._added, "[secure]")))

    def _read(self) -> dict[str, str]:
        """Return all headers by their names in lower case, read once until one is changed.

        httpx reads each header of each request by its name, to look for cookies.
        """
        if self._fields is None:
            self._fields = _decoded(self.raw, self.encoding)
        return self._fields

    def _drop(self, key: str) -> bool:
        """Remove an added header; return whether there was one."""
        self._fields = None
        return self._added.pop(key.lower(), None) is not None

    def _all(self) -> Any:
        return self.plain(self.raw)


def _decoded(headers: list[tuple[bytes, bytes]], encoding: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in headers:
        key, decoded = name.lower().decode(encoding), value.decode(encoding)
        fields[key] = f"{fields[key]}, {decoded}" if key in fields else decoded
    return fields


class Flow(Adapter):
    """The two flows of a library's `Auth`; a mix-in for it.

    Args:
        connection: A connection, or the name of a configured one.
    """

    _byte_stream: ClassVar[type]
    _headers: ClassVar[type[OneRequestHeaders]]

    def __init__(self, connection: Connection | str) -> None:
        super().__init__(connection)
        self._auth.resolves = False  # `Trace` checks each connection
        # The URL that `RequestAuth` has checked: a comparison is faster than another check.
        self._checked: tuple[Api | None, object] = None, None
        # The headers of the current token, prepared once for all requests with it.
        self._prepared: tuple[TokenSnapshot, _Added, dict[str, str], str] = EMPTY, {}, {}, ""

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send a request with a token, and once more with another one after a 401."""
        api, home = self._checked
        if not api or self._has_moved(api) or _target(request.url) != home:
            api, home = api_for(self._auth, str(request.url)), _target(request.url)
            self._checked = api, home
        manager = api.manager
        snapshot = manager.snapshot
        if manager.now() >= snapshot.fresh_until:
            snapshot = manager.get()
        if api.address:
            _check_connections(request, api.address, Trace)
        response = yield self._add(request, snapshot)
        if response.status_code < 400 and not response.history and not api.has_codes:
            return
        if self._has_lost_headers(response, snapshot, api):
            response = yield self._add(response.request, snapshot)
        if sent := self._rejected(response, snapshot, api):
            status, headers = response.status_code, response.headers
            again = self._auth.reauthorize(sent, status, headers, response.read())
            if again and isinstance(response.request.stream, self._byte_stream):
                yield self._apply(response.request, again)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Do the same as `sync_auth_flow`, without blocking the event loop."""
        api, home = self._checked
        if not api or self._has_moved(api) or _target(request.url) != home:
            api = await aapi_for(self._auth, str(request.url))
            home = _target(request.url)
            self._checked = api, home
        manager = api.manager
        snapshot = manager.snapshot
        if manager.now() >= snapshot.fresh_until:
            snapshot = await manager.aget()
        if api.address:
            _check_connections(request, api.address, AsyncTrace)
        response = yield self._add(request, snapshot)
        if response.status_code < 400 and not response.history and not api.has_codes:
            return
        if self._has_lost_headers(response, snapshot, api):
            response = yield self._add(response.request, snapshot)
        if sent := self._rejected(response, snapshot, api):
            status, headers, body = response.status_code, response.headers, await response.aread()
            again = await self._auth.areauthorize(sent, status, headers, body)
            if again and isinstance(response.request.stream, self._byte_stream):
                yield self._apply(response.request, again)

    def _has_moved(self, api: Api) -> bool:
        # A connection of `keyturn.Connections` gets another manager with its successor.
        return api.manager is not manager_of(self._auth.connection)

    def _add(self, request: Any, snapshot: TokenSnapshot) -> Any:
        if snapshot.additions:
            return self._apply(request, self._attached(request, snapshot))
        known, added, fields, token = self._prepared
        if known is not snapshot:
            added, fields = _prepared(snapshot.headers)
            token = snapshot.headers[0][0].lower()
            self._prepared = snapshot, added, fields, token
        request.headers = self._headers(request.headers, added, fields, token)
        return request

    def _apply(self, request: Any, sent: AuthorizedRequest) -> Any:
        """Add the URL and headers of an authorized request to the library's request."""
        if sent.query:
            request.url = type(request.url)(sent.url)
        added, fields = _prepared(sent.added)
        request.headers = self._headers(request.headers, added, fields, sent.token_header.lower())
        return request

    def _attached(self, request: Any, snapshot: TokenSnapshot) -> AuthorizedRequest:
        """Return the authorized request for a library's request."""
        in_memory = isinstance(request.stream, self._byte_stream)
        body = b"".join(request.stream) if in_memory else None
        given = dict(request.headers.copy())
        return attach(str(request.url), given, snapshot, method=request.method, body=body)

    def _has_lost_headers(self, response: Any, snapshot: TokenSnapshot, api: Api) -> bool:
        """Return whether to send a request redirected within the API again, with keyturn's headers.

        The library has followed the redirect itself, without them. One that passed another host is
        not sent again: another host must not control requests with the token.
        """
        request = response.request
        if (
            isinstance(request.headers, OneRequestHeaders)  # not redirected
            or _has_token(request, snapshot)  # a hook of the caller has set one
            or not all(api.is_at(str(hop.url)) for hop in (*response.history, response))
        ):
            return False
        # A safe request (RFC 9110 section 9.2.1) may always be sent again.
        if request.method in {"GET", "HEAD", "OPTIONS"} or 400 <= response.status_code < 500:
            return isinstance(request.stream, self._byte_stream)
        logger.warning(
            "%s: a redirected %s request succeeded without the token; send it to the URL that it "
            "was redirected to",
            self._auth.connection.name,
            request.method,
        )
        return False

    def _rejected(
        self, response: Any, snapshot: TokenSnapshot, api: Api
    ) -> AuthorizedRequest | None:
        """Return the sent request, if it had a token that the API may have refused."""
        request = response.request
        may_mean_token = api.may_mean_token(response.status_code, response.headers)
        if not may_mean_token or not isinstance(request.headers, OneRequestHeaders):
            return None
        sent = self._attached(request, snapshot)
        return sent if is_sent(sent, request.headers, str(request.url)) else None


def _prepared(headers: TokenHeaders) -> tuple[_Added, dict[str, str]]:
    """Return headers by their names in lower case, in bytes and as strings."""
    added = {
        name.lower(): (name.encode(), _UnshownBytes(value.encode())) for name, value in headers
    }
    return added, {name.lower(): Unshown(value) for name, value in headers}


def _has_token(request: Any, snapshot: TokenSnapshot) -> bool:
    additions = snapshot.additions
    if additions and additions.token_parameter:
        return additions.token_parameter in request.url.params
    return snapshot.headers[0][0] in request.headers


def _check_connections(request: Any, address: ApiAddress, trace: type[Trace]) -> None:
    """Check each new connection for a request, also for its redirected requests."""
    given = request.extensions
    request.extensions = {**given, "trace": trace(address, given.get("trace"))}


def _target(url: Any) -> object:
    """Return the parts of a URL that identify the target and the user; a default port is None."""
    return url.raw_host, url.scheme, url.port, url.userinfo
