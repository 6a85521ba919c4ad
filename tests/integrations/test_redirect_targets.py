"""Any `Location`: where a client itself goes decides, and only the API gets what we add."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import httpx
import httpx2
import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

import keyturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest

OURS = ("made-up-token-canary", "applicationid: 7", "accept: application/vnd.made-up+json")

# What URL parsers disagree on, and what leads to the API or to another host.
PARTS = [
    *("http:", "https:", "HTTP:", "ht\ttp:", "ftp:", "//", "/", "///", "////", "\\", "@", ":", "#"),
    *("?", ".", "..", "%2f", "%5c", "%09", "\t", " ", "[", "]", "::1", "user", "x", "。", "\u2024"),
    *("localhost", "LOCALHOST", "localhost.", "evil.example", "127.0.0.1", "0x7f.1", "\xad", "%00"),
    *("80", "443", "8080", "1"),
]
LOCATIONS = st.one_of(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=9).map("".join),
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "http:", "https:", "ht\ttp:", "HTTP:"]),
            st.sampled_from(["", "/", "//", "///", "////", "/\\", "\\\\", "//@"]),
            st.sampled_from(["localhost", "127.0.0.1", "evil.example", "localhost@evil.example"]),
            st.sampled_from(["", ":80", ":443", ":8080", ":1", ":", "\\", "#", "?", "%2f"]),
            st.sampled_from(
                ["", "/x", "/\t/x", "@evil.example/", "\\@evil.example", ".evil.example"]
            ),
        ),
    ),
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), min_size=1, max_size=20),
)


class Plain(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
    """A platform whose token is in a header of its own, and that needs two others."""

    name = "plain"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://replaced.example"
    authorization_header = "X-Access-Token"
    authorization_scheme = ""

    def api_request_headers(self, _: Any, __: Any) -> dict[str, str]:
        """Return two more headers."""
        return {"ApplicationId": "7", "Accept": "application/vnd.made-up+json"}


class Usual(Plain):
    """The same with the usual header."""

    authorization_header = "Authorization"
    authorization_scheme = "Bearer"


@attrs.frozen
class Hop:
    """A request as a client sends it.

    Args:
        origin: Scheme, host and port that the client connects to.
        headers: All header names and values in one string, in lower case.
    """

    origin: tuple[str, str, int]
    headers: str

    @property
    def ours(self) -> list[str]:
        """What of ours is in it."""
        return [ours for ours in OURS if ours in self.headers]


def flat(items: Any) -> str:
    """Return headers as one string in lower case."""
    return "\n".join(f"{name}: {value}" for name, value in items).lower()


class Walker:
    """Sends requests with an adapter to an API that redirects.

    Args:
        connect: Opens a connection with an API at an origin.
        port: The API's port.
    """

    examples = 100

    def __init__(self, connect: Callable[[str], keyturn.Connection], port: int) -> None:
        self.home = ("http", "localhost", port)
        self.origin = "http://localhost" if port == 80 else f"http://localhost:{port}"
        name = type(self).__name__.lower()
        self.auth: Any = getattr(keyturn.integrations, name).KeyturnAuth(connect(self.origin))

    def hops(self, location: str, status: int) -> list[Hop]:
        """Return the requests that follow from one whose response redirects."""
        raise NotImplementedError


class Httpx(Walker):
    """`httpx.Client`."""

    library: Any = httpx

    def hops(self, location: str, status: int) -> list[Hop]:
        """Return the requests that follow from one whose response redirects."""
        hops: list[Hop] = []

        def respond(request: Any) -> Any:
            url = request.url
            port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
            headers = flat(request.headers.multi_items())
            hops.append(Hop((url.scheme, url.raw_host.decode(), port), headers))
            moved = [(b"Location", location.encode())]
            return self.library.Response(status, headers=moved if len(hops) == 1 else [])

        transport = self.library.MockTransport(respond)
        with (
            self.library.Client(
                transport=transport, auth=self.auth, follow_redirects=True
            ) as client,
            contextlib.suppress(self.library.HTTPError, self.library.InvalidURL, ValueError),
        ):
            client.get(f"{self.origin}/first")
        return hops


class Httpx2(Httpx):
    """`httpx2.Client`."""

    library = httpx2


class Recorder(HTTPAdapter):
    """Sends nothing, and records where requests would connect to.

    Args:
        location: Where the first response redirects to.
        status: Its status.
    """

    def __init__(self, location: str, status: int) -> None:
        super().__init__()
        self.hops: list[Hop] = []
        self._location, self._status = location, status

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Record a request and redirect the first one."""
        # Before requests 2.32, an adapter gets the pool by the URL alone.
        by_request = getattr(self, "get_connection_with_tls_context", None)
        pool: Any = (
            by_request(request, True)  # noqa: FBT003 - its name differs
            if by_request
            else self.get_connection(request.url or "")
        )
        origin = pool.scheme, pool.host, pool.port or {"http": 80, "https": 443}[pool.scheme]
        self.hops.append(Hop(origin, flat(request.headers.items())))
        response = requests.Response()
        response.url, response.request, response.raw = request.url or "", request, io.BytesIO()
        response.status_code = self._status if len(self.hops) == 1 else 200
        response.headers["Location"] = self._location
        return response


class Requests(Walker):
    """`requests.Session`."""

    def hops(self, location: str, status: int) -> list[Hop]:
        """Return the requests that follow from one whose response redirects."""
        recorder = Recorder(location.encode().decode("latin-1"), status)
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://", recorder)
            session.mount("https://", recorder)
            with contextlib.suppress(requests.RequestException, ValueError):
                session.get(f"{self.origin}/first", auth=self.auth)
        return recorder.hops


class Aiohttp(Walker):
    """`aiohttp.ClientSession`, before a server that redirects."""

    def __init__(self, connect: Callable[[str], keyturn.Connection], _: int) -> None:
        self._runner = asyncio.Runner()
        self._head = b""
        self._hops: list[Hop] = []
        self._server = self._runner.run(self._serve())
        super().__init__(connect, self._server.sockets[0].getsockname()[1])

    def hops(self, location: str, status: int) -> list[Hop]:
        """Return the requests that follow from one whose response redirects."""
        location = location.replace("8080", str(self.home[2]))
        self._head = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\n".encode()
        self._hops = []
        with contextlib.suppress(aiohttp.ClientError, ValueError):
            self._runner.run(self._send())
        return self._hops

    def close(self) -> None:
        """End the server."""
        self._server.close()
        self._runner.close()

    async def _serve(self) -> asyncio.Server:
        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self._head + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()

        return await asyncio.start_server(respond, "127.0.0.1", 0)

    async def _record(self, request: Any, handler: Any) -> aiohttp.ClientResponse:
        key = request.connection_key
        origin = "https" if key.is_ssl else "http", key.host, key.port
        self._hops.append(Hop(origin, flat(request.headers.items())))
        if len(self._hops) > 1:
            raise aiohttp.ClientConnectionError
        response: aiohttp.ClientResponse = await handler(request)
        return response

    async def _send(self) -> None:
        connector = aiohttp.TCPConnector(family=socket.AF_INET)
        async with aiohttp.ClientSession(
            connector=connector, middlewares=[self.auth, self._record]
        ) as session:
            await session.get(f"{self.origin}/first")


@pytest.mark.parametrize("header", ["Authorization", "X-Access-Token"])
@pytest.mark.parametrize(
    ("walker_class", "port"),
    [
        *((Httpx, port) for port in (80, 8080)),
        *((Httpx2, port) for port in (80, 8080)),
        *((Requests, port) for port in (80, 8080)),
        (Aiohttp, 0),
    ],
)
def test_other_origins_get_nothing(
    api: Any, walker_class: type[Walker], port: int, header: str
) -> None:
    """A `Location` that the client and we read differently would take the token elsewhere."""

    def connect(origin: str) -> keyturn.Connection:
        return stack.enter_context(connection_to(api, origin, header))

    with contextlib.ExitStack() as stack:
        walker = walker_class(connect, port)
        stack.callback(getattr(walker, "close", lambda: None))
        reached: set[bool] = set()

        @settings(max_examples=walker.examples)
        @given(LOCATIONS, st.sampled_from([301, 302, 303, 307, 308]))
        @example("/x", 302)
        @example("////evil.example:1/x", 302)
        @example("ht\ttp://evil.example/x", 302)
        @example("https://localhost/x", 307)
        @example("http://evil.example/x", 307)
        def follow(location: str, status: int) -> None:
            first, *others = walker.hops(location, status)
            assert first.ours == list(OURS)
            for hop in others:
                reached.add(hop.origin == walker.home)
                assert hop.origin == walker.home or hop.ours == []

        follow()
    assert reached == {True, False}


def connection_to(api: Any, origin: str, header: str) -> keyturn.Connection:
    """Return a connection with tokens of the `api` fixture, for an API elsewhere."""
    provider = Plain() if header == "X-Access-Token" else Usual()
    chosen = keyturn.plugins.ConfidentialSettings(
        client_id="made-up",
        client_secret=keyturn.Secret("s3cret-for-tests"),
        token_url=f"{api.url}/token",
        api_url=origin,
    )
    return keyturn.Connection(provider, chosen, store=keyturn.stores.from_url("memory://"))
