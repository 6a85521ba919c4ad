"""The adapters for urllib3: a pool manager, and one for a proxy."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

from urllib3 import (
    HTTPConnectionPool,
    HTTPResponse,
    HTTPSConnectionPool,
    PoolManager,
    ProxyManager,
)
from urllib3.connection import port_by_scheme
from urllib3.util.request import set_file_position

from keyturn import errors
from keyturn.integrations._request_auth import RequestAuth, api_for
from keyturn.integrations._urllib3 import checked_pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse

    from keyturn._connection import Connection
    from keyturn.integrations._authorized_request import AuthorizedRequest

# The keyword argument by which a pool gets a `_Call` from the manager.
_CALL = "keyturn_call"


class _Call:
    """A caller's request, and its redirected requests.

    Attributes:
        url: The URL of the latest one.
        is_redirected: Whether it is a redirected one.
        has_left: Whether one of them led to another origin.
    """

    url = ""
    is_redirected = False
    has_left = False


class _Manager(PoolManager):
    """The common base of both managers."""

    _auth: RequestAuth
    _options: Mapping[str, Any]

    def urlopen(  # type: ignore[override]
        self,
        method: str,
        url: str,
        redirect: bool = True,  # noqa: FBT001, FBT002 - urllib3's
        **options: Any,
    ) -> BaseHTTPResponse:
        """Send a request; urllib3 calls this for each redirect too."""
        call = options.setdefault(_CALL, _Call())
        call.is_redirected, call.url = bool(call.url), url
        return super().urlopen(method, url, redirect, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), **self._options), self._auth.__reduce__()[1]


class KeyturnPoolManager(_Manager):
    """A `urllib3.PoolManager` that adds a connection's token to requests for its API.

    It adds the provider's own headers too. keyturn replaces a caller's `Authorization`, and keeps
    all other headers of the caller. After a 401 for a refused token, keyturn renews the token and
    sends the request once more, and rewinds a file in its body. It returns the API's own response
    if the body can't be sent again, or if no other token is available.

    urllib3's redirects don't copy the added headers. A redirected request has them only if it leads
    to the API's origin, and no earlier redirect led elsewhere. Under a network policy, each address
    is checked when urllib3 has connected to it, before anything is sent.

    Args:
        connection: A connection, or the name of a configured one. A manager made from a name can be
            pickled and copied; the copy has its own connections.
        num_pools: As for `urllib3.PoolManager`.
        headers: As for `urllib3.PoolManager`.
        options: Further arguments of `urllib3.PoolManager`.

    Raises:
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.ConfigurationError: `connection` is neither a connection nor a name.
        keyturn.errors.KeyturnError: No token can be acquired.

    Example:
        >>> import keyturn
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ... )
        >>> http = keyturn.integrations.urllib3.KeyturnPoolManager(connection, timeout=10)
        >>> http.request("GET", "https://elsewhere.example/")
        Traceback (most recent call last):
        keyturn.errors.ForeignOrigin: orocommerce: ...
    """

    def __init__(
        self,
        connection: Connection | str,
        num_pools: int = 10,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._auth = RequestAuth(connection)
        self._options = {"num_pools": num_pools, "headers": headers, **options}
        super().__init__(num_pools, headers, **options)
        self.pool_classes_by_scheme = {
            scheme: checked_pool(pool, self._auth, keyturn_auth=self._auth)
            for scheme, pool in _POOLS.items()
        }


class KeyturnProxyManager(_Manager, ProxyManager):
    """A `urllib3.ProxyManager` that does the same as `KeyturnPoolManager`, through a proxy.

    To an API with https it opens a tunnel, in which the proxy sees neither token nor headers. A
    network policy checks names only, because the proxy resolves them.

    Args:
        connection: A connection, or the name of a configured one. A manager made from a name can be
            pickled and copied; the copy has its own connections.
        proxy_url: As for `urllib3.ProxyManager`.
        num_pools: As for `urllib3.ProxyManager`.
        headers: As for `urllib3.ProxyManager`.
        options: Further arguments of `urllib3.ProxyManager`, such as `proxy_headers`.

    Raises:
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.ConfigurationError: `connection` is neither a connection nor a name; or
            `use_forwarding_for_https` would show the token to the proxy.
        keyturn.errors.KeyturnError: No token can be acquired.
    """

    def __init__(
        self,
        connection: Connection | str,
        proxy_url: str,
        num_pools: int = 10,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._auth = RequestAuth(connection)
        self._auth.resolves = False
        if options.get("use_forwarding_for_https"):
            raise errors.ConfigurationError(
                "use_forwarding_for_https would show the token to the proxy.",
                hint="Omit it: keyturn opens a tunnel.",
            )
        self._options = {
            "proxy_url": proxy_url,
            "num_pools": num_pools,
            "headers": headers,
            **options,
        }
        super().__init__(proxy_url, num_pools, headers, **options)
        self.pool_classes_by_scheme = {
            scheme: type(pool.__name__, (pool,), {"keyturn_auth": self._auth})
            for scheme, pool in _POOLS.items()
        }


class _Authorizing(HTTPConnectionPool):
    """Adds the headers of an API request, when urllib3 knows the host that it connects to."""

    keyturn_auth: RequestAuth

    def urlopen(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *rest: Any,
        **options: Any,
    ) -> BaseHTTPResponse:
        """Send a request; urllib3 calls this again, without a `_Call`, to retry it."""
        call: _Call | None = options.pop(_CALL, None)
        given = self.headers if headers is None else headers
        sent = self._authorize(call, method, url, given, body) if call else None
        if sent is None:
            return super().urlopen(method, url, body, headers, *rest, **options)
        position = options["body_pos"] = set_file_position(body, options.get("body_pos"))
        response = self._send(sent, *rest, body=body, **options)
        status = response.status
        if not self.keyturn_auth.needs_body(sent, status, response.headers):
            return response
        response, content = _read(response, is_read=options.get("preload_content", True))
        again = self.keyturn_auth.reauthorize(sent, status, response.headers, content)
        is_repeatable = _in_memory(body) is not None or isinstance(position, int)
        return (
            self._send(again, *rest, body=body, **options) if again and is_repeatable else response
        )

    def _authorize(
        self, call: _Call, method: str, path: str, headers: Mapping[str, str], body: Any
    ) -> AuthorizedRequest | None:
        """Return a request with the token, or None if a redirected one may not have it."""
        if call.has_left:
            return None
        try:
            # Both the caller's URL, and where urllib3 connects to.
            api_for(self.keyturn_auth, call.url)
            # A proxy gets the whole URL, unless there is a tunnel.
            url = f"{self._origin()}{path}" if path.startswith("/") else path
            return self.keyturn_auth.authorize(method, url, dict(headers), _in_memory(body))
        except errors.ForeignOrigin:
            if not call.is_redirected:
                raise
            # Another host must not control requests with the token, so it is not added again.
            call.has_left = True
            return None

    def _send(
        self, request: AuthorizedRequest, *rest: Any, body: Any, **options: Any
    ) -> BaseHTTPResponse:
        path = request.url.removeprefix(self._origin())
        return super().urlopen(request.method, path, body, request.headers, *rest, **options)

    def _origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_usual = self.port == port_by_scheme.get(self.scheme or "")
        return f"{self.scheme}://{host}" if is_usual else f"{self.scheme}://{host}:{self.port}"


class _Pool(_Authorizing):
    pass


class _SecurePool(_Authorizing, HTTPSConnectionPool):
    pass


_POOLS: dict[str, type[_Authorizing]] = {"http": _Pool, "https": _SecurePool}


def _in_memory(body: Any) -> bytes | None:
    """Return a body that is in memory; one that is absent is empty."""
    if body is None or isinstance(body, bytes):
        return body or b""
    return body.encode() if isinstance(body, str) else None


def _read(response: BaseHTTPResponse, *, is_read: bool) -> tuple[BaseHTTPResponse, bytes]:
    """Return a response that can still be read, and its whole body."""
    if is_read:
        return response, response.data
    # Not decoded: the caller decides that.
    raw = response.read(decode_content=False)

    def again(*, is_read: bool) -> HTTPResponse:
        return HTTPResponse(
            io.BytesIO(raw),
            response.headers,
            response.status,
            response.version,
            response.version_string,
            response.reason,
            preload_content=is_read,
            decode_content=is_read or response.decode_content,
            retries=response.retries,
            enforce_content_length=False,
            request_url=response.url,
        )

    return again(is_read=False), again(is_read=True).data
