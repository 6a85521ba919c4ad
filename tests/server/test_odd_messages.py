"""Ambiguous requests and responses, which two servers may read differently."""

from __future__ import annotations

import asyncio
import socket
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from keyturn._server import api_response
from keyturn._server.api_response import ApiResponse, ResponseCut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def raw(agent: Any, line: str, *fields: str, body: bytes = b"") -> bytes:
    """Return the bytes that an agent sends until it closes the connection."""
    address = urlsplit(agent.url)
    lines = [line, f"Host: {address.netloc}", f"X-Keyturn-Secret: {agent.secret}", *fields, "", ""]
    with socket.create_connection((address.hostname, address.port), 20) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        return connection.makefile("rb").read()


CHUNKED = "Transfer-Encoding: chunked"
NEXT = b"0\r\n\r\nGET /shop/v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("line", "fields", "status"),
    [
        ("POST /shop/v1/echo HTTP/1.1", (CHUNKED, "Content-Length: 60"), b"400"),
        ("POST /shop/v1/echo HTTP/1.0", (CHUNKED,), b"400"),
        ("GET /shop/v1/..#a HTTP/1.1", ("Connection: close",), b"400"),
        ("GET /shop/v1/echo?a#b HTTP/1.1", ("Connection: close",), b"400"),
        ("TRACE /shop/v1/echo HTTP/1.1", ("Connection: close",), b"405"),
        ("CONNECT /shop/v1/echo HTTP/1.1", ("Connection: close",), b"405"),
        ("GET /shop/v1/echo HTTP/1.1", ("Connection: close", f"X-Long: {'a' * 33_000}"), b"431"),
    ],
)
def test_ambiguous_requests_are_rejected(
    served: Any, api: Any, line: str, fields: tuple[str, ...], status: bytes
) -> None:
    """A second request could hide in the body of the first, or TRACE could show the token."""
    api.arrived.clear()
    response = raw(served, line, *fields, body=NEXT if CHUNKED in fields else b"")
    assert response.split()[1] == status
    assert response.count(b"HTTP/1.1 ") == 1
    assert not api.arrived


@pytest.mark.parametrize("body", [b"zz\r\n", b"-1\r\na", b"3\r\nabcXX0\r\n\r\n"])
def test_invalid_chunks_are_rejected(served: Any, api: Any, body: bytes) -> None:
    """The agent and the API would read different bodies."""
    api.arrived.clear()
    response = raw(served, "POST /shop/v1/echo HTTP/1.1", CHUNKED, body=body)
    assert response.split()[1] == b"400"
    assert not api.arrived


def test_secret_in_other_headers_is_removed(served: Any, api: Any) -> None:
    """A browser or a gateway that repeats the URL in a header would show the secret to the API."""
    api.arrived.clear()
    address = f"http://127.0.0.1/{served.secret}/shop/"
    sent = {"Referer": address, "X-Original-URI": f"/{served.secret}/", "X-Mine": "1"}
    with served.client(has_secret=False, headers=sent) as client:
        assert client.get(f"/{served.secret}/shop/v1/echo").status_code == 200
    [arrived] = api.arrived
    assert served.secret not in str(arrived)
    assert arrived.headers["x-mine"] == "1"


@pytest.mark.parametrize(
    ("accepted", "passed"),
    [
        ("br, gzip, deflate", "gzip, deflate"),
        ("zstd;q=1, GZIP;q=0.5, *;q=0.1", "GZIP;q=0.5"),
        ("br", "identity"),
        ("gzip, identity;q=0", "gzip, identity;q=0"),
    ],
)
def test_only_readable_content_codings_are_requested(
    client: httpx.Client, api: Any, accepted: str, passed: str
) -> None:
    """The agent could not read a 401 that rejects the token, and would not renew it."""
    client.get("/shop/v1/echo", headers={"Accept-Encoding": accepted})
    assert api.arrived[-1].headers["accept-encoding"] == passed


@pytest.mark.parametrize(
    ("location", "passed"),
    [
        ("https://elsewhere.example/", "https://elsewhere.example/"),
        ("//elsewhere.example/a", "//elsewhere.example/a"),
        ("https://u@elsewhere.example/", "https://u@elsewhere.example/"),
        ("{api}/v2/users?a=b#c", "../v2/users?a=b#c"),
        ("/v2/users/", "../v2/users/"),
        ("users", "../v1/users"),
        ("/../../other/v1/x", "../other/v1/x"),
        ("/a:b", "../a:b"),
        ("/%2e%2e/other/v1/x", None),
        ("/..;/other/v1/x", None),
        ("{agent}/other/v1/x", None),
        ("http://LOCALHOST.:{port}/other/v1/x", None),
        ("http://127.1:{port}/other/v1/x", None),
    ],
)
def test_redirects_are_rewritten(
    client: httpx.Client, served: Any, api: Any, location: str, passed: str | None
) -> None:
    """A redirect would be followed with the token, or lead to another connection."""
    port = urlsplit(served.url).port
    there = location.format(api=api.url, agent=served.url, port=port)
    response = client.get("/shop/v1/redirect", headers={"X-Location": there})
    assert (response.status_code, response.headers.get("location")) == (302, passed)
    assert len(api.arrived) == 1


def test_redirect_to_an_invalid_url_is_returned(client: httpx.Client, served: Any) -> None:
    """A response would be lost, because the agent's own client can't parse it."""
    client.get("/shop/v1/echo")
    line = "GET /shop/v1/redirect HTTP/1.1"
    response = raw(served, line, "X-Location: http://[::1", "Connection: close")
    assert b" 302 " in response
    assert b"location: http://[::1\r\n" in response


def test_redirect_leads_through_the_agent(served: Any, api: Any) -> None:
    """A program would follow a redirect without the agent, or without the secret."""
    api.arrived.clear()
    headers = {"X-Location": "/v1/echo?a=b"}
    with served.client(has_secret=False, follow_redirects=True, headers=headers) as client:
        assert client.get(f"/{served.secret}/shop/v1/redirect").status_code == 200
    assert [each.path for each in api.arrived] == ["/v1/redirect", "/v1/echo?a=b"]


def test_response_with_two_lengths_is_read_in_chunks(client: httpx.Client, api: Any) -> None:
    """A response could contain a second one, or the client would wait for the rest."""
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
    api.raw = [both + b"2\r\nok\r\n0\r\n\r\n"]
    response = client.get("/shop/v1/raw")
    assert (response.content, response.headers.get("content-length")) == (b"ok", None)


def test_invalid_status_is_an_error_response(
    client: httpx.Client, api: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection would be closed without a response."""
    api.raw = [b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n"]
    response = client.get("/shop/v1/raw")
    assert response.status_code == 502
    assert "InvalidStatus" in response.text
    assert "please report" not in caplog.text
    assert len(api.arrived) == 1


def test_incomplete_401_is_reported(client: httpx.Client, api: Any) -> None:
    """A connection to the API would be kept forever for a response that is not read."""
    api.raw = [b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\na"]
    response = client.post("/shop/v1/raw", content=b"a")
    assert response.status_code == 502
    assert response.headers["x-keyturn-error"] == "APIUnavailable"


def test_repeated_request_on_a_closed_connection_is_sent_again(
    client: httpx.Client, api: Any
) -> None:
    """A request that is repeated with a new token would be lost with its old connection."""
    client.get("/g/v1/echo")
    api.revoke()
    api.arrived.clear()
    api.raw = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
    assert client.get("/g/v1/raw").content == b"ok"
    assert len(api.arrived) == 3


@pytest.mark.parametrize(
    ("coding", "bits", "length"),
    [
        ("gzip", 31, 1_000_000),
        ("deflate", 15, 1_000_000),
        ("Deflate", -15, 1_000_000),
        ("gzip, gzip", 31, None),
        ("br", 31, None),
    ],
)
def test_compression_bomb_is_decoded_up_to_a_limit(
    coding: str, bits: int, length: int | None
) -> None:
    """A compressed 401 of an API could fill the memory."""
    packer = zlib.compressobj(wbits=bits)
    body = packer.compress(bytes(4_000_000)) + packer.flush()

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    head = httpx.Response(401, headers={"Content-Encoding": coding})
    decoded = asyncio.run(ApiResponse(head, chunks()).read_beginning())
    assert len(decoded) == (length or len(body))


def test_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never reads would keep a response forever."""
    monkeypatch.setattr(api_response, "MAX_SILENCE", 0.01)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with pytest.raises(ResponseCut):
        asyncio.run(ApiResponse(httpx.Response(200), chunks()).relay([], send))
