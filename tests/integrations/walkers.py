"""The clients under one interface that follows redirects and records each request.

An entry in `WALKERS` runs the tests of `test_redirect_targets.py` for a new adapter.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import attrs
import httpx
import httpx2
import requests
import urllib3
import yarl
from requests.adapters import HTTPAdapter

import keyturn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from requests import PreparedRequest

PORTS = {"http": 80, "https": 443}


@attrs.frozen
class Step:
    """A response that may redirect.

    Args:
        status: Its status.
        location: The value of the header.
        header: The name of the header that redirects.
    """

    status: int
    location: str = "/"
    header: str = "Location"


@attrs.frozen
class Hop:
    """A request as a client sends it.

    Args:
        origin: Scheme, host and port that the client connects to.
        url: The URL as the client writes it.
        headers: All header names and values in one string, in lower case.
    """

    origin: tuple[str, str, int]
    url: str
    headers: str

    def is_plainly_at(self, home: tuple[str, str, int]) -> bool:
        """Return whether each parser reads this origin from the URL, and no user information."""
        scheme, host, port = home
        usual = {host} if PORTS[scheme] == port else set[str]()
        try:
            parts = urlsplit(self.url)
        except ValueError:
            return False
        return parts.scheme == scheme and parts.netloc.lower() in usual | {f"{host}:{port}"}


def flat(items: Iterable[tuple[str, Any]]) -> str:
    """Return header names and values in one string, in lower case."""
    return "\n".join(f"{name}: {value}" for name, value in items).lower()


class Walker:
    """A client that follows redirects.

    Attributes:
        adapter: The name of its adapter's module.
        follows_bare: Whether a redirect within the API is first followed without keyturn's headers.
        failures: The exceptions of the client for a redirect that it can't follow.
        has_failed: Whether it raised one of them.
    """

    adapter: str
    follows_bare = False
    failures: tuple[type[Exception], ...]
    has_failed = False

    def auth(self, connection: keyturn.Connection) -> Any:
        """Return the client's adapter for a connection."""
        return getattr(keyturn.integrations, self.adapter).KeyturnAuth(connection)

    def walk(self, auth: Any, method: str, url: str, *steps: Step) -> list[Hop]:
        """Send a request; return it, and all that follow from its responses.

        Args:
            auth: What `auth` returns, or None.
            method: The method.
            url: The first URL.
            steps: The first responses, one for each request; all others have status 200.
        """
        self.hops: list[Hop] = []
        self.steps = steps
        try:
            self.send(auth, method, url)
            self.has_failed = False
        except self.failures:
            self.has_failed = True
        return self.hops

    def send(self, auth: Any, method: str, url: str) -> None:
        """Send a request with a body, and follow redirects."""
        raise NotImplementedError

    def response(self, hop: Hop) -> Step:
        """Record a request, and return its response."""
        self.hops.append(hop)
        return self.steps[len(self.hops) - 1] if len(self.hops) <= len(self.steps) else Step(200)

    def close(self) -> None:
        """Release all resources."""


class Httpx(Walker):
    """`httpx.Client`."""

    adapter = "httpx"
    library: Any = httpx
    follows_bare = True

    def __init__(self) -> None:
        self._client = self._open(self.library.MockTransport(self._respond))
        self.failures = self.library.HTTPError, self.library.InvalidURL, ValueError

    def send(self, auth: Any, method: str, url: str) -> None:
        """Send a request with a body, and follow redirects."""
        self._client.request(method, url, auth=auth, content=b"body")

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _open(self, transport: Any) -> Any:
        return self.library.Client(transport=transport, follow_redirects=True)

    def _respond(self, request: Any) -> Any:
        url = request.url
        origin = url.scheme, url.raw_host.decode(), url.port or PORTS.get(url.scheme, 0)
        step = self.response(Hop(origin, str(url), flat(request.headers.multi_items())))
        moved = [(step.header.encode(), step.location.encode())]
        return self.library.Response(step.status, headers=moved)


class AsyncHttpx(Httpx):
    """`httpx.AsyncClient`."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        super().__init__()

    def send(self, auth: Any, method: str, url: str) -> None:
        """Send a request with a body, and follow redirects."""
        self._runner.run(self._client.request(method, url, auth=auth, content=b"body"))

    def close(self) -> None:
        """Close client and event loop."""
        self._runner.run(self._client.aclose())
        self._runner.close()

    def _open(self, transport: Any) -> Any:
        return self.library.AsyncClient(transport=transport, follow_redirects=True)


class Httpx2(Httpx):
    """`httpx2.Client`."""

    adapter = "httpx2"
    library = httpx2


class AsyncHttpx2(AsyncHttpx):
    """`httpx2.AsyncClient`."""

    adapter = "httpx2"
    library = httpx2


class Requests(Walker):
    """`requests.Session`."""

    adapter = "requests"
    failures = requests.RequestException, ValueError

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        for scheme in PORTS:
            self._session.mount(f"{scheme}://", _Recorder(self))

    def send(self, auth: Any, method: str, url: str) -> None:
        """Send a request with a body, and follow redirects."""
        self._session.request(method, url, auth=auth, data=b"body")

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class _Recorder(HTTPAdapter):
    """Sends nothing, and records the addresses that requests would connect to."""

    def __init__(self, walker: Requests) -> None:
        super().__init__()
        self._walker = walker

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Record a request, and return its response."""
        # Before requests 2.32, an adapter gets the pool by the URL only.
        by_request = getattr(self, "get_connection_with_tls_context", None)
        url = request.url or ""
        pool: Any = by_request(request, True) if by_request else self.get_connection(url)  # noqa: FBT003 - the argument's name differs between versions
        origin = pool.scheme, pool.host, pool.port or PORTS[pool.scheme]
        step = self._walker.response(Hop(origin, url, flat(request.headers.items())))
        response = requests.Response()
        response.url, response.request, response.raw = url, request, io.BytesIO()
        response.status_code = step.status
        response.headers[step.header] = step.location.encode().decode("latin-1")
        return response


class Aiohttp(Walker):
    """`aiohttp.ClientSession`; all its requests are recorded, and sent to one server."""

    adapter = "aiohttp"

    failures = aiohttp.ClientError, ValueError

    def __init__(self) -> None:
        self._next = Step(200)
        self._runner = asyncio.Runner()
        self._runner.run(self._start())

    def send(self, auth: Any, method: str, url: str) -> None:
        """Send a request with a body, and follow redirects."""
        self._runner.run(self._send(auth, method, url))

    def close(self) -> None:
        """Close connections, server and event loop."""
        self._runner.run(self._stop())
        self._runner.close()

    async def _start(self) -> None:
        self._connector = aiohttp.TCPConnector()
        self._server = await asyncio.start_server(self._respond, "127.0.0.1", 0)
        self._here = yarl.URL(f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/")

    async def _stop(self) -> None:
        await self._connector.close()
        self._server.close()
        await asyncio.sleep(0)

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"content-length: 4" in head.lower():
                    await reader.readexactly(4)
                step = self._next
                moved = f"{step.status} X\r\n{step.header}: {step.location}"
                writer.write(f"HTTP/1.1 {moved}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async def _record(self, request: Any, handler: Any) -> Any:
        key = request.connection_key
        origin = "https" if key.is_ssl else "http", key.host, key.port
        self._next = self.response(Hop(origin, str(request.url), flat(request.headers.items())))
        request.url = self._here
        return await handler(request)

    async def _send(self, auth: Any, method: str, url: str) -> None:
        middlewares = [self._record] if auth is None else [auth, self._record]
        async with (
            aiohttp.ClientSession(
                connector=self._connector, connector_owner=False, middlewares=middlewares
            ) as session,
            session.request(method, url, data=b"body") as response,
        ):
            await response.read()


class Urllib3(Walker):
    """`urllib3.PoolManager`; all its requests are recorded instead of sent."""

    adapter = "urllib3"
    failures = urllib3.exceptions.HTTPError, ValueError

    def __init__(self) -> None:
        self._bare = self._recorded(urllib3.PoolManager())

    def auth(self, connection: keyturn.Connection) -> Any:
        """Return the client's adapter for a connection, which is a client itself."""
        module = keyturn.integrations.urllib3
        return self._recorded(module.KeyturnPoolManager(connection))

    def send(self, auth: Any, method: str, url: str) -> None:
        """Send a request with a body, and follow redirects."""
        manager = auth or self._bare
        with warnings.catch_warnings():
            # A redirect to a URL without a scheme.
            warnings.simplefilter("ignore", FutureWarning)
            manager.request(method, url, body=b"body")

    def _recorded(self, manager: urllib3.PoolManager) -> urllib3.PoolManager:
        """Return a manager whose pools record the addresses, and send nothing."""
        walker, follow = self, manager.urlopen

        def urlopen(method: str, url: str, redirect: bool = True, **options: Any) -> Any:  # noqa: FBT002 - urllib3's
            walker._url = url
            return follow(method, url, redirect, **options)

        def record(pool: Any, _: Any, __: str, ___: str, **given: Any) -> Any:
            hop = Hop(
                (pool.scheme, pool.host, pool.port), walker._url, flat(given["headers"].items())
            )
            step = walker.response(hop)
            location = step.location.encode().decode("latin-1")
            return urllib3.HTTPResponse(b"", {step.header: location}, step.status)

        manager.urlopen = urlopen  # type: ignore[method-assign]
        manager.pool_classes_by_scheme = {
            scheme: type(pool.__name__, (pool,), {"_make_request": record})
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }
        return manager


WALKERS: dict[str, type[Walker]] = {
    "httpx": Httpx,
    "httpx-async": AsyncHttpx,
    "httpx2": Httpx2,
    "httpx2-async": AsyncHttpx2,
    "requests": Requests,
    "aiohttp": Aiohttp,
    "urllib3": Urllib3,
}
