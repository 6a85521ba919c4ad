"""A canary token in API requests through every HTTP client: no log and no error shows it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from typing import TYPE_CHECKING

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

import keyturn
from keyturn import errors
from keyturn.integrations import aiohttp as for_aiohttp
from keyturn.integrations import httpx as for_httpx
from keyturn.integrations import httpx2 as for_httpx2
from keyturn.integrations import requests as for_requests
from keyturn.integrations import urllib3 as for_urllib3
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer
    from tests.threats.conftest import Canary, Watch


def patience(url: str) -> float:
    """Return a client's timeout in seconds: short only where no response comes."""
    return 0.3 if url.endswith("/silence") else 20.0


# Loading the usual certificates takes 30 ms for each client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def with_httpx(connection: keyturn.Connection, url: str) -> int:
    """Send a GET request by `httpx.Client`."""
    with httpx.Client(
        auth=for_httpx.KeyturnAuth(connection),
        timeout=patience(url),
        follow_redirects=True,
        verify=NO_TLS,
    ) as client:
        return client.get(url).status_code


def with_async_httpx(connection: keyturn.Connection, url: str) -> int:
    """Send a GET request by `httpx.AsyncClient`."""

    async def send() -> int:
        async with httpx.AsyncClient(
            auth=for_httpx.KeyturnAuth(connection),
            timeout=patience(url),
            follow_redirects=True,
            verify=NO_TLS,
        ) as client:
            return (await client.get(url)).status_code

    return asyncio.run(send(), debug=True)


def with_httpx2(connection: keyturn.Connection, url: str) -> int:
    """Send a GET request by `httpx2.Client`."""
    with httpx2.Client(
        auth=for_httpx2.KeyturnAuth(connection),
        timeout=patience(url),
        follow_redirects=True,
        verify=NO_TLS,
    ) as client:
        return client.get(url).status_code


def with_aiohttp(connection: keyturn.Connection, url: str) -> int:
    """Send a GET request by `aiohttp.ClientSession`."""

    async def send() -> int:
        async with (
            aiohttp.ClientSession(
                middlewares=[for_aiohttp.KeyturnAuth(connection)],
                timeout=aiohttp.ClientTimeout(total=patience(url)),
            ) as session,
            session.get(url) as response,
        ):
            return response.status

    return asyncio.run(send(), debug=True)


def with_requests(connection: keyturn.Connection, url: str) -> int:
    """Send a GET request by `requests`."""
    with requests.Session() as session:
        session.auth = for_requests.KeyturnAuth(connection)
        return session.get(url, timeout=patience(url)).status_code


def with_urllib3(connection: keyturn.Connection, url: str) -> int:
    """Send a GET request by `urllib3`."""
    with for_urllib3.KeyturnPoolManager(
        connection, timeout=patience(url), retries=urllib3.Retry(5, connect=0, read=0)
    ) as manager:
        return manager.request("GET", url).status


CLIENTS = {
    "httpx": with_httpx,
    "async httpx": with_async_httpx,
    "httpx2": with_httpx2,
    "aiohttp": with_aiohttp,
    "requests": with_requests,
    "urllib3": with_urllib3,
}
ERRORS = (
    httpx.HTTPError,
    httpx2.HTTPError,
    aiohttp.ClientError,
    TimeoutError,  # aiohttp's, for the whole request
    requests.RequestException,
    urllib3.exceptions.HTTPError,
)


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def get(request: pytest.FixtureRequest) -> Callable[[keyturn.Connection, str], int]:
    """Return a function that sends a GET request through a connection's adapter."""
    client: Callable[[keyturn.Connection, str], int] = request.param
    return client


@pytest.fixture
def site(canary: Canary, serve: Callable[..., RawServer]) -> RawServer:
    """Yield a server with a token endpoint, and an API that behaves as its paths say."""

    def response(server: RawServer, connection: socket.socket) -> None:
        path = server.read_request(connection).split()[1]
        if path == b"/token":
            body = {"access_token": canary.token, "token_type": "Bearer", "expires_in": 3600}
            connection.sendall(http_response(200, json.dumps(body)))
        elif path == b"/admin/api/refused":
            connection.sendall(http_response(401, canary.quoted))
        elif path == b"/admin/api/elsewhere":
            away = f"Location: http://localhost:{server.port}/elsewhere\r\n"
            connection.sendall(http_response(302, "", away))
        elif path == b"/admin/api/reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif path == b"/admin/api/silence":
            server.ended.wait(30)
        elif path == b"/admin/api/garbage":
            connection.sendall(b"what?\r\n\r\n")
        else:
            connection.sendall(http_response(200, "fine"))

    return serve(response)


def http_response(status: int, body: str, headers: str = "") -> bytes:
    """Return the bytes of an HTTP response."""
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n{body}"
    ).encode()


@pytest.fixture
def connection(canary: Canary, site: RawServer) -> keyturn.Connection:
    """Return a connection to that server, with the canary secret."""
    return keyturn.connect(
        "orocommerce",
        store=MemoryStore(),
        url=f"http://127.0.0.1:{site.port}",
        token_url=site.url,
        client_id=canary.client_id,
        client_secret=canary.secret,
    )


@pytest.mark.parametrize(("path", "status"), [("fine", 200), ("refused", 401), ("elsewhere", 200)])
def test_successful_request_shows_no_canary(
    watch: Watch,
    connection: keyturn.Connection,
    site: RawServer,
    get: Callable[[keyturn.Connection, str], int],
    path: str,
    status: int,
) -> None:
    """A client's log at DEBUG level would hold the token of every request."""
    assert get(connection, f"{connection.api_url}/{path}") == status
    watch.look_at(connection)

    # The request carried the token; otherwise the test would prove nothing.
    assert watch.canary.token.encode() in site.received[1]


@pytest.mark.parametrize("path", ["reset", "silence", "garbage"])
def test_failed_request_shows_no_canary(
    watch: Watch,
    connection: keyturn.Connection,
    site: RawServer,
    get: Callable[[keyturn.Connection, str], int],
    path: str,
) -> None:
    """A client's error, or a crash report with local variables, would contain the token."""
    with pytest.raises(ERRORS) as caught:
        get(connection, f"{connection.api_url}/{path}")
    watch.look_at_error(caught.value)

    assert watch.canary.token.encode() in site.received[1]


def test_request_to_another_host_shows_no_canary(
    watch: Watch,
    connection: keyturn.Connection,
    get: Callable[[keyturn.Connection, str], int],
) -> None:
    """A log line about a link to another host would contain the token."""
    with pytest.raises(errors.ForeignOrigin) as caught:
        get(connection, "http://localhost:1/")

    watch.look_at_error(caught.value)


def test_adapters_show_no_canary(watch: Watch, connection: keyturn.Connection) -> None:
    """Printing, copying or pickling a client or session would show its token."""
    connection.token()
    modules = (for_httpx, for_httpx2, for_aiohttp, for_requests)
    adapters = [module.KeyturnAuth(connection) for module in modules]
    watch.look_at(*adapters)
    watch.look_at_copies(*adapters)


def test_aiohttp_error_shows_no_canary(
    watch: Watch, connection: keyturn.Connection, site: RawServer
) -> None:
    """The error of `raise_for_status`, which contains the sent headers, would show the token."""

    async def send() -> None:
        auth = for_aiohttp.KeyturnAuth(connection)
        async with aiohttp.ClientSession(middlewares=[auth], raise_for_status=True) as session:
            await session.get(f"{connection.api_url}/refused")

    with pytest.raises(aiohttp.ClientResponseError) as caught:
        asyncio.run(send())
    watch.look_at_error(caught.value)

    assert watch.canary.token.encode() in site.received[1]
