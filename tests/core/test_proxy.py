"""Proxies that the environment names: which hosts they are for, and what they get to see."""

from __future__ import annotations

import base64
import ssl
import sys
from typing import TYPE_CHECKING

import pytest

from keyturn import errors
from keyturn._http.exchange import proxy_for

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    import trustme
    from tests.conftest import RawServer

    import keyturn
    from keyturn._http.transport import Transport

    Behaviour = Callable[[RawServer, socket.socket], None]
    Secured = Callable[[ssl.SSLContext, Behaviour], Behaviour]
    Serve = Callable[..., RawServer]
    RequestTo = Callable[[str], keyturn.plugins.TokenRequest]
    FailedRequest = Callable[..., errors.KeyturnError]

PROXY = "http://proxy.example:8080"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what the environment says of proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": "proxy.example:8080"}, PROXY),
        ({"ALL_PROXY": PROXY}, PROXY),
        ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "http://other.example"}, PROXY),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTP_PROXY": PROXY}, None),
    ],
)
def test_proxy_is_the_environments(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str | None
) -> None:
    """A network that demands a proxy would give no token, or the wrong proxy be used."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert proxy_for("https://login.example/token") == url


@pytest.mark.parametrize(
    ("exceptions", "host", "is_direct"),
    [
        ("login.example", "login.example", True),
        ("login.example", "LOGIN.example", True),
        ("login.example", "eu.login.example", True),
        (".login.example", "login.example", True),
        ("login.example", "otherlogin.example", False),
        ("login.example", "login.example.evil", False),
        ("other.example, login.example", "login.example", True),
        ("other.example login.example", "login.example", True),
        ("login.example:443", "login.example", True),
        ("login.example:8443", "login.example", False),
        ("*", "login.example", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1:443", "127.0.0.1", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.1/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("::1", "[::1]", True),
        ("[::1]", "[::1]", True),
        ("[::1]:443", "[::1]", True),
        ("[::1]:8443", "[::1]", False),
        ("::/64", "[::1]", True),
        ("fe80::/64", "[::1]", False),
        ("10.0.0.0/8", "[::1]", False),
        ("", "login.example", False),
        (",", "login.example", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, host: str, is_direct: bool
) -> None:
    """An internal host would be reached through the proxy, or an external one directly."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exceptions)

    assert (proxy_for(f"https://{host}/token") is None) == is_direct


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_plain_http_never_goes_through_a_proxy(
    transport: Transport,
    serve: Serve,
    token_request: RequestTo,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    token_response: bytes,
) -> None:
    """What is meant for loopback, secret included, would go to another machine unencrypted."""
    proxy, server = serve(token_response), serve(token_response)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")

    assert transport.send(token_request(server.url), 10).status == 200
    assert proxy.received == []


@pytest.mark.parametrize(
    ("proxy", "cause"),
    [
        ("socks5://user:pa55@127.0.0.1:9", "it needs the package socksio"),
        ("ftp://user:pa55@proxy.example", "ValueError"),
        ("http://user:pa55@proxy.example:port", "InvalidURL"),
    ],
)
def test_unusable_proxy_is_reported_by_its_variables(
    transport: Transport,
    failed_request: FailedRequest,
    monkeypatch: pytest.MonkeyPatch,
    proxy: str,
    cause: str,
) -> None:
    """A mistake in the environment would be taken for a provider's defect."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)
    error = failed_request(transport, "https://127.0.0.1:9/token")

    assert isinstance(error, errors.ConfigurationError)
    assert f"the proxy that the environment names can't be used ({cause})." in str(error)
    assert "HTTPS_PROXY" in str(error)
    assert "pa55" not in str(error)


# --- real ones ---


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """Give the TLS context of a server on loopback, which may ask for a client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_gets_its_own_credentials_and_no_secret(
    trusting: Transport,
    serve: Serve,
    token_request: RequestTo,
    server_context: ssl.SSLContext,
    token_response: bytes,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    secured: Secured,
    tunnel: Behaviour,
) -> None:
    """The proxy would see the secret, or the token endpoint the proxy's password."""
    proxy = serve(secured(server_context, tunnel) if scheme == "https" else tunnel)
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:pa55@127.0.0.1:{proxy.port}")

    def respond(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(token_response)

    server = serve(secured(server_context, respond))
    response = trusting.send(token_request(server.url.replace("http:", "https:")), 10)
    credentials = base64.b64encode(b"user:pa55")

    assert response.status == 200
    assert b"Proxy-Authorization: Basic " + credentials in proxy.received[0]
    assert b"s3cret-for-tests" not in proxy.received[0]
    assert b"s3cret-for-tests" in server.received[0]
    assert credentials not in server.received[0]


@pytest.mark.parametrize(
    ("response", "cause"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "responded with HTTP 407"),
        (b"HTTP/1.1 502 Bad\x1b[2J Gateway\r\n\r\n", "responded with HTTP 502"),
    ],
)
def test_refusing_proxy_is_reported(
    trusting: Transport,
    serve: Serve,
    failed_request: FailedRequest,
    monkeypatch: pytest.MonkeyPatch,
    response: bytes,
    cause: str,
) -> None:
    """The user would look for the fault at the token endpoint."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:pa55@127.0.0.1:{serve(response).port}")
    error = failed_request(trusting, "https://login.example/token")

    assert isinstance(error, errors.EndpointUnavailable)
    assert f"https://login.example/token failed: the proxy {cause}." in str(error)
    assert "pa55" not in str(error)


# --- SOCKS ---

NO_AUTHENTICATION = b"\x05\x00"
SUCCEEDED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def socks(*replies: bytes) -> Behaviour:
    """Return the behaviour of a SOCKS proxy (RFC 1928) with these replies, and silence after."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        for reply in replies:
            connection.recv(1000)
            connection.sendall(reply)
        server.ended.wait(30)

    return handle


@pytest.mark.parametrize(
    "replies",
    [(), (NO_AUTHENTICATION,), (NO_AUTHENTICATION, SUCCEEDED)],
    ids=["silence", "silence after the greeting", "silence in the tunnel"],
)
def test_deadline_holds_at_a_socks_proxy(
    transport: Transport,
    serve: Serve,
    failed_request: FailedRequest,
    monkeypatch: pytest.MonkeyPatch,
    replies: tuple[bytes, ...],
) -> None:
    """A SOCKS proxy that stalls would hold a caller for ever: httpcore sets no timeout for it."""
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{serve(socks(*replies)).port}")
    error = failed_request(transport, "https://login.example/token", seconds=0.3)

    assert "did not respond within 0.3 s" in str(error)


@pytest.mark.parametrize(
    ("replies", "cause"),
    [
        ((b"\x05\xff",), "the proxy responded with Requested NO AUTHENTICATION REQUIRED"),
        ((NO_AUTHENTICATION, b"\x05\x05" + SUCCEEDED[2:]), "Connection refused. Check"),
        ((b"HTTP/1.1 400 X\r\n\r\n",), "failed: "),
    ],
)
def test_refusing_socks_proxy_is_reported(
    transport: Transport,
    serve: Serve,
    failed_request: FailedRequest,
    monkeypatch: pytest.MonkeyPatch,
    replies: tuple[bytes, ...],
    cause: str,
) -> None:
    """The user would look for the fault at the token endpoint, or get a library's own error."""
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{serve(socks(*replies)).port}")
    error = failed_request(transport, "https://login.example/token")

    assert isinstance(error, errors.EndpointUnavailable)
    assert cause in str(error)


def test_token_request_passes_a_socks_proxy(
    trusting: Transport,
    serve: Serve,
    token_request: RequestTo,
    server_context: ssl.SSLContext,
    token_response: bytes,
    monkeypatch: pytest.MonkeyPatch,
    secured: Secured,
) -> None:
    """A network that demands a SOCKS proxy would give no token."""

    def respond(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(token_response)

    inner = secured(server_context, respond)

    def handle(server: RawServer, connection: socket.socket) -> None:
        for reply in (NO_AUTHENTICATION, SUCCEEDED):
            connection.recv(1000)
            connection.sendall(reply)
        inner(server, connection)

    proxy = serve(handle)
    monkeypatch.setenv("HTTPS_PROXY", f"socks5://127.0.0.1:{proxy.port}")

    assert trusting.send(token_request("https://127.0.0.1:9/token"), 10).status == 200
