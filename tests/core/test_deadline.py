"""The total deadline of a token request, against servers and proxies that respond too slowly."""

from __future__ import annotations

import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import errors
from keyturn._clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme
    from tests.conftest import RawServer

    from keyturn._http.transport import Transport

    Behaviour = Callable[[RawServer, socket.socket], None]
    Secured = Callable[[ssl.SSLContext, Behaviour], Behaviour]
    Serve = Callable[..., RawServer]
    RequestTo = Callable[[str], keyturn.plugins.TokenRequest]
    FailedRequest = Callable[..., errors.KeyturnError]
    DeadlineErrors = Callable[..., dict[str, str]]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LARGE = 20_000_000


def dripping(start: bytes, drop: bytes) -> Behaviour:
    """Return a behaviour: send one piece after another, each within the timeout of one read."""

    def drip(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(start)
        while not server.ended.wait(0.02):
            connection.sendall(drop)

    return drip


def silent(server: RawServer, connection: socket.socket) -> None:
    """Read nothing and send nothing."""
    del connection
    server.ended.wait(30)


SLOW: dict[str, Behaviour] = {
    "silence": silent,
    "silence after the request": dripping(b"", b""),
    "header dripping": dripping(b"", b"H"),
    "headers without end": dripping(HEAD, b"X: y\r\n"),
    "interim responses without end": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body dripping": dripping(HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunks dripping": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "body that ends with the connection": dripping(HEAD + b"\r\n", b" "),
    "body that never comes": dripping(HEAD + b"Content-Length: 5\r\n\r\n", b""),
    "body of an error response dripping": dripping(
        b"HTTP/1.1 429 X\r\nContent-Length: 100000\r\n\r\n", b" "
    ),
}


@pytest.fixture
def deadline_errors(failed_request: FailedRequest) -> Callable[..., dict[str, str]]:
    """Give a function that sends requests to all URLs at once, and returns the error messages."""

    def send(transport: Transport, urls: dict[str, str], seconds: float) -> dict[str, str]:
        with ThreadPoolExecutor(len(urls)) as pool:
            errors = pool.map(lambda url: failed_request(transport, url, seconds), urls.values())
            return dict(zip(urls, map(str, errors), strict=True))

    return send


def late(messages: dict[str, str], seconds: float) -> list[str]:
    """Return the names of the messages that say that a deadline passed."""
    return [name for name, text in messages.items() if f"not respond within {seconds} s" in text]


def test_total_deadline_holds(
    transport: Transport, serve: Serve, deadline_errors: DeadlineErrors
) -> None:
    """A server that slowly sends single bytes would block a caller forever."""
    urls = {name: serve(behaviour).url for name, behaviour in SLOW.items()}
    messages = deadline_errors(transport, urls, 0.3)

    assert late(messages, 0.3) == [*SLOW]


def test_deadline_holds_although_the_connections_clock_is_stopped(
    transport: Transport, serve: Serve, token_request: RequestTo
) -> None:
    """A stopped clock in a test, or a clock that is set back, would make a request endless."""
    standing = Clock(time=lambda: 0.0, monotonic=lambda: 0.0)
    server = serve(SLOW["body dripping"])

    with pytest.raises(errors.EndpointUnavailable, match=r"did not respond within 0\.3 s"):
        transport.send(token_request(server.url), 0.3, standing)


def test_deadline_holds_while_sending(transport: Transport, serve: Serve) -> None:
    """A server that does not read a large request would block a caller forever."""
    request = keyturn.plugins.TokenRequest("acme", serve(silent).url, (("a", "x" * LARGE),))

    with pytest.raises(errors.EndpointUnavailable, match=r"did not respond within 0\.3 s"):
        transport.send(request, 0.3)


def unresponsive_address(held: contextlib.ExitStack) -> tuple[str, int]:
    """Return an address at which no connection is ever accepted."""
    listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    address: tuple[str, int] = listener.getsockname()
    # When the queue is full, the kernel drops the first packet of further connections.
    for _ in range(4):
        waiting = held.enter_context(socket.socket())
        waiting.setblocking(False)  # noqa: FBT003 - the parameter has no name
        waiting.connect_ex(address)
    return address


def test_deadline_holds_while_connecting(
    transport: Transport, failed_request: FailedRequest
) -> None:
    """A host that drops packets would block a caller for minutes."""
    with contextlib.ExitStack() as held:
        _, port = unresponsive_address(held)
        error = failed_request(transport, f"http://127.0.0.1:{port}/token", seconds=0.3)

    assert "did not respond within 0.3 s" in str(error)


def test_address_that_does_not_respond_leaves_time_for_the_next(
    transport: Transport,
    serve: Serve,
    token_request: RequestTo,
    token_response: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host with one dead address among two would never give a token."""
    server = serve(token_response)
    with contextlib.ExitStack() as held:
        dead = unresponsive_address(held)
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            for address in (dead, ("127.0.0.1", server.port))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        response = transport.send(token_request("http://localhost/token"), 1.0)

    assert response.status == 200


def test_time_for_connecting_is_a_part_of_the_whole(
    transport: Transport, failed_request: FailedRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that drops packets would block a worker for the whole of a long timeout."""
    monkeypatch.setattr("keyturn._http.network._CONNECT_SECONDS", 0.2)
    with contextlib.ExitStack() as held:
        _, port = unresponsive_address(held)
        error = failed_request(transport, f"http://127.0.0.1:{port}/token", seconds=20.0)

    assert "failed: no connection within 0.2 s" in str(error)


def test_no_time_left_is_reported_as_too_slow(
    transport: Transport, serve: Serve, failed_request: FailedRequest
) -> None:
    """A retry just before the deadline would raise a raw error of a library."""
    error = failed_request(transport, serve(silent).url, seconds=0.0)

    assert isinstance(error, errors.EndpointUnavailable)
    assert "did not respond within 0 s" in str(error)


# --- within TLS, and through proxies ---


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """Give the TLS context of a server on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def dripping_handshake(server: RawServer, connection: socket.socket) -> None:
    """Begin a TLS record of 16 KB, and send a byte of it now and then."""
    connection.sendall(b"\x16\x03\x03\x3f\x00")
    while not server.ended.wait(0.02):
        connection.sendall(b"\x02")


def over_tls(server: RawServer) -> str:
    """Return the https address of a server."""
    return server.url.replace("http:", "https:")


@pytest.mark.parametrize("behaviour", [silent, dripping_handshake])
def test_deadline_holds_in_the_handshake(
    trusting: Transport, serve: Serve, failed_request: FailedRequest, behaviour: Behaviour
) -> None:
    """A server that accepts a connection and then stalls would block a caller forever."""
    error = failed_request(trusting, over_tls(serve(behaviour)), seconds=0.3)

    assert "did not respond within 0.3 s" in str(error)


def test_deadline_holds_within_tls(
    trusting: Transport,
    serve: Serve,
    deadline_errors: DeadlineErrors,
    server_context: ssl.SSLContext,
    secured: Secured,
) -> None:
    """A server that slowly sends single bytes would block a caller forever."""
    urls = {name: over_tls(serve(secured(server_context, each))) for name, each in SLOW.items()}
    messages = deadline_errors(trusting, urls, 0.5)

    assert late(messages, 0.5) == [*SLOW]


def dripping_in_tunnel(server: RawServer, connection: socket.socket) -> None:
    """Open a tunnel, and begin the TLS handshake of a server that stalls."""
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.recv(65_536)
    dripping_handshake(server, connection)


SLOW_PROXIES: dict[str, Behaviour] = {
    "silence": silent,
    "response to CONNECT dripping": dripping(b"", b"H"),
    "rejection of CONNECT dripping": dripping(b"HTTP/1.1 502 X\r\n", b"X: y\r\n"),
    "silence in the tunnel": dripping(b"HTTP/1.1 200 OK\r\n\r\n", b""),
    "handshake in the tunnel dripping": dripping_in_tunnel,
}


@pytest.fixture
def use_proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[[RawServer, str], None]:
    """Give a function that makes a server the proxy of the environment."""

    def use(server: RawServer, scheme: str = "http") -> None:
        for name in ("NO_PROXY", "no_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{server.port}")

    return use


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("behaviour", SLOW_PROXIES.values(), ids=SLOW_PROXIES)
def test_deadline_holds_at_the_proxy(
    trusting: Transport,
    serve: Serve,
    failed_request: FailedRequest,
    server_context: ssl.SSLContext,
    use_proxy: Callable[..., None],
    behaviour: Behaviour,
    scheme: str,
    secured: Secured,
) -> None:
    """A proxy that stalls would block a caller forever."""
    proxy = serve(secured(server_context, behaviour) if scheme == "https" else behaviour)
    use_proxy(proxy, scheme)

    error = failed_request(trusting, "https://127.0.0.1:9/token", seconds=0.3)
    assert "did not respond within 0.3 s" in str(error)


def test_deadline_holds_through_a_proxy(
    trusting: Transport,
    serve: Serve,
    deadline_errors: DeadlineErrors,
    server_context: ssl.SSLContext,
    use_proxy: Callable[..., None],
    secured: Secured,
    tunnel: Behaviour,
) -> None:
    """A server behind a proxy that slowly sends single bytes would block a caller forever."""
    use_proxy(serve(tunnel))
    urls = {name: over_tls(serve(secured(server_context, each))) for name, each in SLOW.items()}
    messages = deadline_errors(trusting, urls, 0.5)

    assert late(messages, 0.5) == [*SLOW]
