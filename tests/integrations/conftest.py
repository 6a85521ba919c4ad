"""An API with a token endpoint, another host, and the HTTP clients under one interface."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import uuid
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
import attrs
import httpx
import httpx2
import pytest
import requests
import urllib3

import keyturn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

CANARY = "made-up-token-canary"
# Loading the usual certificates takes 30 ms for each client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@attrs.frozen
class Arrived:
    """A request as a server received it; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Site:
    """An HTTP server on loopback: a token endpoint, and an API that accepts its latest tokens.

    Args:
        host: The address that it listens on.
        port: The port; 0 for any free port.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.requests: list[Arrived] = []
        self.issued = 0
        self.valid: set[str] = set()
        self.token_status = 200
        self.same_token = False
        server = _IPv6Server if ":" in host else ThreadingHTTPServer
        self._server = server((host, port), _Handler)
        self._server.daemon_threads = True
        self._server.site = self  # type: ignore[union-attr]
        written = f"[{host}]" if ":" in host else host
        self.url = f"http://{written}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def _accept(self) -> None:
        """Handle connections; unlike `serve_forever`, which looks for its end now and then."""
        with contextlib.suppress(OSError):  # the end
            while True:
                self._server.process_request(*self._server.get_request())

    @property
    def api_requests(self) -> list[Arrived]:
        """All requests except token requests."""
        return [request for request in self.requests if request.path != "/token"]

    @property
    def token_requests(self) -> int:
        """The number of token requests."""
        return len(self.requests) - len(self.api_requests)

    def forget_tokens(self) -> None:
        """Reject all tokens issued so far."""
        self.valid.clear()

    def response(self, request: Arrived) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for a request."""
        url = urlsplit(request.path)
        if url.path == "/token":
            return self._token()
        known = request.headers.get("authorization", "").removeprefix("Bearer ") in self.valid
        if url.path == "/forbidden":
            return _refusal("UNAUTHORIZED")
        if url.path == "/never" or not (known or url.path.startswith("/open")):
            return _refusal("INVALID_TOKEN")
        if url.path == "/needs-application" and "applicationid" not in request.headers:
            return 400, {}, b"ApplicationId is missing"
        if url.path.endswith("/redirect"):
            query = parse_qs(url.query)
            return int(query["status"][0]), {"Location": query["to"][0]}, b""
        return 200, {}, b"fine: " + request.body

    def _token(self) -> tuple[int, dict[str, str], bytes]:
        if self.token_status != 200:
            return self.token_status, {}, b"{}"
        if not self.same_token:
            self.issued += 1
        token = f"{CANARY}-{self.issued}"
        self.valid.add(token)
        fields = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        return 200, {"Content-Type": "application/json"}, json.dumps(fields).encode()


def _refusal(code: str) -> tuple[int, dict[str, str], bytes]:
    body = json.dumps({"errors": [{"code": code, "status": "401"}]})
    return 401, {"Content-Type": "application/vnd.api+json"}, body.encode()


class _IPv6Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # send head and body in one packet

    def do_GET(self) -> None:
        """Respond to a request of any method."""
        site: Site = self.server.site  # type: ignore[attr-defined]
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._chunked() if "transfer-encoding" in headers else self._sized(headers)
        request = Arrived(self.command, self.path, headers, body)
        site.requests.append(request)
        status, response_headers, response = site.response(request)
        self.send_response(status)
        for name, value in response_headers.items():
            self.send_header(name, value.encode().decode("latin-1"))
        self.send_header("Content-Length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    do_POST = do_GET  # noqa: N815 - http.server's

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _sized(self, headers: dict[str, str]) -> bytes:
        return self.rfile.read(int(headers.get("content-length", "0")))

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


@attrs.frozen
class Reply:
    """The response that a client's caller gets."""

    status: int
    body: bytes
    url: str


class Client:
    """A client that sends requests with a connection's `KeyturnAuth`."""

    name: ClassVar[str]
    sees_user_information: ClassVar[bool] = True
    follows_bare: ClassVar[bool] = False
    """Whether a redirect within the API is followed without our headers first."""
    failures: ClassVar[tuple[type[Exception], ...]]
    """What it raises for a request that it can't send."""
    takes_auth: ClassVar[bool] = True
    """Whether it takes a `KeyturnAuth`; else `auth` is the client itself."""

    def __init__(self, connection: keyturn.Connection | str) -> None:
        self.auth: Any = getattr(keyturn.integrations, self.name).KeyturnAuth(connection)

    def send(self, method: str, url: str, *, stream: bool = False, **options: Any) -> Reply:
        """Send a request and follow redirects; with `stream`, read the response afterwards."""
        raise NotImplementedError

    def upload(self, body: bytes) -> Any:
        """Return a body that can be sent only once."""
        return iter([body])


class Httpx(Client):
    """`httpx.Client`."""

    name = "httpx"
    library: ClassVar[Any] = httpx
    failures = httpx.HTTPError, httpx.InvalidURL
    follows_bare = True

    def send(self, method: str, url: str, *, stream: bool = False, **options: Any) -> Reply:
        """Send a request."""
        with self.library.Client(auth=self.auth, follow_redirects=True, verify=NO_TLS) as client:
            request = client.build_request(method, url, **options)
            response = client.send(request, stream=stream)
            return Reply(response.status_code, response.read(), str(response.url))


class AsyncHttpx(Httpx):
    """`httpx.AsyncClient`."""

    def send(self, method: str, url: str, *, stream: bool = False, **options: Any) -> Reply:
        """Send a request."""

        async def talk() -> Reply:
            async with self.library.AsyncClient(
                auth=self.auth, follow_redirects=True, verify=NO_TLS
            ) as client:
                request = client.build_request(method, url, **options)
                response = await client.send(request, stream=stream)
                return Reply(response.status_code, await response.aread(), str(response.url))

        return asyncio.run(talk())

    def upload(self, body: bytes) -> Any:
        """Return a body that can be sent only once."""

        async def chunks() -> AsyncIterator[bytes]:
            yield body

        return chunks()


class Httpx2(Httpx):
    """`httpx2.Client`."""

    name = "httpx2"
    library = httpx2
    failures = httpx2.HTTPError, httpx2.InvalidURL


class AsyncHttpx2(AsyncHttpx):
    """`httpx2.AsyncClient`."""

    name = "httpx2"
    library = httpx2
    failures = httpx2.HTTPError, httpx2.InvalidURL


class Aiohttp(Client):
    """`aiohttp.ClientSession`."""

    name = "aiohttp"
    failures = (aiohttp.ClientError,)
    sees_user_information = False

    def send(self, method: str, url: str, *, stream: bool = False, **options: Any) -> Reply:
        """Send a request."""
        if "content" in options:
            options["data"] = options.pop("content")

        async def talk() -> Reply:
            async with (
                aiohttp.ClientSession(middlewares=[self.auth]) as session,
                session.request(method, url, **options) as response,
            ):
                return Reply(response.status, await response.read(), str(response.url))

        return asyncio.run(talk())

    def upload(self, body: bytes) -> Any:
        """Return a body that can be sent only once."""

        async def chunks() -> AsyncIterator[bytes]:
            yield body

        return chunks()


class Requests(Client):
    """`requests.Session`."""

    name = "requests"
    failures = (requests.RequestException,)

    def send(self, method: str, url: str, *, stream: bool = False, **options: Any) -> Reply:
        """Send a request."""
        if "content" in options:
            options["data"] = options.pop("content")
        with requests.Session() as session:
            session.auth = self.auth
            response = session.request(method, url, stream=stream, timeout=10, **options)
            return Reply(response.status_code, response.content, response.url)


class Urllib3(Client):
    """`urllib3.PoolManager`."""

    name = "urllib3"
    failures = (urllib3.exceptions.HTTPError,)
    takes_auth = False

    def __init__(self, connection: keyturn.Connection | str) -> None:
        self.auth = keyturn.integrations.urllib3.KeyturnPoolManager(connection, timeout=10)

    def send(self, method: str, url: str, *, stream: bool = False, **options: Any) -> Reply:
        """Send a request."""
        if "content" in options:
            options["body"] = options.pop("content")
        with self.auth as manager:
            response = manager.request(method, url, preload_content=not stream, **options)
            body = response.read() if stream else response.data
            return Reply(response.status, body, urljoin(url, response.url))


CLIENTS = {
    "httpx": Httpx,
    "httpx-async": AsyncHttpx,
    "httpx2": Httpx2,
    "httpx2-async": AsyncHttpx2,
    "aiohttp": Aiohttp,
    "requests": Requests,
    "urllib3": Urllib3,
}


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def client_class(request: pytest.FixtureRequest) -> type[Client]:
    """Return each of the client classes."""
    return request.param


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """Return each of the two libraries with the same interface, httpx and httpx2."""
    return request.param


@pytest.fixture
def api() -> Iterator[Site]:
    """Yield the API, with its token endpoint."""
    with Site() as site:
        yield site


@pytest.fixture
def elsewhere() -> Iterator[Site]:
    """Yield another host."""
    with Site() as site:
        yield site


@pytest.fixture
def connect(api: Site) -> Iterator[Callable[..., keyturn.Connection]]:
    """Return a function that opens connections to the `api` fixture's API and token endpoint."""
    needed: dict[str, dict[str, Any]] = {
        "norce-commerce": {"client": "acme", "environment": "stage", "application_id": 1042},
        "orocommerce": {"url": api.url},
        "commercelayer": {"kind": "integration", "organization": "acme"},
    }
    with ExitStack() as stack:

        def open_connection(provider: str = "norce-commerce", **given: Any) -> keyturn.Connection:
            settings: dict[str, Any] = {
                "client_id": uuid.uuid4().hex,
                "client_secret": "s3cret-for-tests",
                "token_url": f"{api.url}/token",
                "api_url": api.url,
                "store": keyturn.stores.from_url("memory://"),
            }
            settings |= needed[provider] | given
            return stack.enter_context(keyturn.connect(provider, **settings))

        yield open_connection
