"""One token request over the wire, against servers that are slow, broken, or hostile."""

# ruff: noqa: SLF001 - no public name closes or counts a transport's HTTP client

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import socket
import ssl
import struct
import threading
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
import trustme

import keyturn
from keyturn import errors
from keyturn._http.response import MAX_BODY
from keyturn._http.transport import Transport, _Deadline, read_capped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import RawServer

    Serve = Callable[..., RawServer]

SECRET = "s3cret-for-tests"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def request_to(url: str) -> keyturn.plugins.TokenRequest:
    """Return a token request with a secret in its body."""
    parameters = (("client_secret", keyturn.Secret(SECRET)),)
    return keyturn.plugins.TokenRequest("acme", url, parameters, body_format="json")


@pytest.fixture
def transport() -> Iterator[Transport]:
    """Give a transport of the test's own, closed with it."""
    transport = Transport()
    yield transport
    for client in transport._clients.values():
        client.close()


def refused(transport: Transport, url: str, seconds: float = 10.0) -> errors.KeyturnError:
    """Return the error of a token request that must fail; nothing of the request is behind it."""
    with pytest.raises(errors.KeyturnError) as caught:
        transport.send(request_to(url), seconds)
    error = caught.value
    while error is not None:
        assert isinstance(error, errors.KeyturnError)
        assert SECRET not in repr(vars(error)) + str(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return caught.value


def test_response_arrives_whole(transport: Transport, serve: Serve) -> None:
    """Status, headers or body would be lost, or the token's start misjudged."""
    server = serve(b"HTTP/1.1 418 X\r\nX-One: a\r\nContent-Length: 3\r\n\r\n\x00\xff!")
    before = time.time()
    response = transport.send(request_to(server.url), 10)

    assert (response.status, response.headers["x-one"], response.body) == (418, "a", b"\x00\xff!")
    assert before <= response.sent_at <= time.time()
    assert server.received[0].endswith(b'\r\n\r\n{"client_secret":"s3cret-for-tests"}')


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(transport: Transport, serve: Serve, status: int) -> None:
    """The secret would be sent to another host."""
    other = serve(b"HTTP/1.1 200 OK\r\n\r\n")
    location = other.url.encode()
    server = serve(
        b"HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, location)
    )

    assert transport.send(request_to(server.url), 10).status == status
    assert other.received == []


def endless(server: RawServer, connection: socket.socket) -> None:
    """Send a body without end."""
    server.read_request(connection)
    connection.sendall(HEAD + b"\r\n")
    while not server.ended.is_set():
        connection.sendall(b"x" * 65_536)


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1) + b"x" * (MAX_BODY + 1),
        b"\r\n" + b"x" * (MAX_BODY + 1),
        b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 20_000_000),
        b"Content-Encoding: DEFLATE\r\n\r\n" + zlib.compress(b"x" * 20_000_000),
    ],
    ids=["length", "no length", "gzip bomb", "deflate bomb"],
)
def test_large_response_is_refused(transport: Transport, serve: Serve, body: bytes) -> None:
    """A hostile endpoint could fill the memory."""
    error = refused(transport, serve(HEAD + body).url)

    assert isinstance(error, errors.InvalidTokenResponse)
    assert "larger than 1048576 bytes" in str(error)


def test_endless_response_is_refused(transport: Transport, serve: Serve) -> None:
    """A hostile endpoint could keep a caller busy for ever."""
    assert isinstance(refused(transport, serve(endless).url), errors.InvalidTokenResponse)


@pytest.mark.parametrize("size", [0, 1, MAX_BODY])
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("", bytes), ("identity", bytes), (" GZip ", gzip.compress), ("deflate", zlib.compress)],
)
def test_body_up_to_the_cap_is_read(
    encoding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    """A right response would be refused for its size or compression."""
    packed = pack(b"x" * size)
    chunks = [packed[start : start + 1000] for start in range(0, len(packed), 1000)]

    assert read_capped(chunks, encoding) == b"x" * size


def test_decompression_stops_at_the_cap() -> None:
    """A bomb would be unpacked in whole before it is refused."""
    bomb = zlib.compress(b"x" * 50_000_000)

    def chunks() -> Iterator[bytes]:
        yield bomb
        pytest.fail("it went on reading")

    tracemalloc.start()
    try:
        with pytest.raises(errors.InvalidTokenResponse):
            read_capped(chunks(), "deflate")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x"])
def test_unexpected_compression_is_refused(encoding: str) -> None:
    """Compressed bytes would be read as JSON."""
    with pytest.raises(errors.InvalidTokenResponse, match="Content-Encoding that was not asked"):
        read_capped([], encoding)


def test_broken_compression_is_a_failure_of_the_endpoint(
    transport: Transport, serve: Serve
) -> None:
    """A library's own error would come out."""
    error = refused(transport, serve(HEAD + b"Content-Encoding: gzip\r\n\r\nnot gzip").url)

    assert isinstance(error, errors.EndpointUnavailable)
    assert "its response can't be decompressed" in str(error)


@pytest.mark.parametrize("kept", [1, 12, -8, -1])
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_compressed_response_that_was_cut_off_is_a_failure_of_the_endpoint(
    transport: Transport, serve: Serve, pack: Callable[[bytes], bytes], kept: int
) -> None:
    """Half a response would be read as a whole one."""
    encoding = b"gzip" if pack is gzip.compress else b"deflate"
    head = HEAD + b"Content-Encoding: %s\r\n\r\n" % encoding
    noise = bytes(range(256))  # incompressible: some of it comes out before the end
    response = head + pack(noise)[: kept if kept < 0 else len(noise) - kept]
    error = refused(transport, serve(response).url)

    assert isinstance(error, errors.EndpointUnavailable)
    assert "its response can't be decompressed" in str(error)


UNREADABLE = {
    "bad gzip": b"Content-Encoding: gzip\r\n\r\nnot gzip",
    "gzip cut off": b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"Slow down")[:-4],
    "unasked compression": b"Content-Encoding: br\r\n\r\nx",
    "too large": b"\r\n" + b"x" * (MAX_BODY + 1),
    "cut short": b"Content-Length: 9\r\n\r\nSlow",
    "chunks cut short": b"Transfer-Encoding: chunked\r\n\r\n4\r\nSlow\r\n",
    "bad chunks": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("status", [300, 302, 401, 429, 503])
@pytest.mark.parametrize("rest", UNREADABLE.values(), ids=UNREADABLE)
def test_refusal_counts_though_its_body_cannot_be_read(
    transport: Transport, serve: Serve, status: int, rest: bytes
) -> None:
    """A refusal would be taken for a failure of the network, not be obeyed, and asked again."""
    server = serve(b"HTTP/1.1 %d X\r\nRetry-After: 30\r\n" % status + rest)
    response = transport.send(request_to(server.url), 10)

    assert (response.status, response.headers["retry-after"], response.body) == (status, "30", b"")


def test_refusal_that_is_reset_counts(transport: Transport, serve: Serve) -> None:
    """A refusal would be taken for a failure of the network, not be obeyed, and asked again."""
    reset = resetting(b"HTTP/1.1 429 X\r\nContent-Length: 9\r\n\r\nSlow")

    assert transport.send(request_to(serve(reset).url), 10).body == b""


@pytest.mark.parametrize("rest", UNREADABLE.values(), ids=UNREADABLE)
def test_body_of_what_is_no_refusal_must_be_read(
    transport: Transport, serve: Serve, rest: bytes
) -> None:
    """A token that came damaged would be told as a response without any."""
    refused(transport, serve(b"HTTP/1.1 299 X\r\n" + rest).url)


def test_total_deadline_holds_for_the_body_of_a_refusal(transport: Transport, serve: Serve) -> None:
    """A server that refuses could hold a caller for ever, or its late response be used."""
    head = b"HTTP/1.1 429 X\r\nContent-Length: 100000\r\n\r\n"
    error = refused(transport, serve(dripping(head, b" ")).url, seconds=0.3)

    assert "did not respond within 0.3 s" in str(error)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_no_body_is_no_cut_off_body(encoding: str) -> None:
    """A refusal without a body, from a server that names an encoding, would not be understood."""
    assert read_capped([], encoding) == b""


def test_host_that_is_no_punycode_is_told(transport: Transport) -> None:
    """A library's own error would be taken for a provider's defect."""
    error = refused(transport, "https://xn--a/token")

    assert isinstance(error, errors.EndpointUnavailable)
    assert "its host is not a name in Punycode" in str(error)


def test_header_that_is_no_ascii_is_told(transport: Transport, serve: Serve) -> None:
    """A secret that only fits into a body would be taken for a defect, or shown by a library."""
    server = serve(b"")
    pairs = (("X-Key", keyturn.Secret(f"{SECRET}\u00e9")),)
    request = keyturn.plugins.TokenRequest("acme", server.url, extra_headers=pairs)
    with pytest.raises(errors.ConfigurationError) as caught:
        transport.send(request, 10)

    assert "a header of the token request is not ASCII: X-Key." in str(caught.value)
    assert caught.value.__context__ is None
    assert server.received == []


def dripping(start: bytes, drop: bytes) -> Callable[[RawServer, socket.socket], None]:
    """Return a behaviour: one piece after the other, each soon enough for a timeout of reads."""

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


SLOW = {
    "silence": silent,
    "silence after the request": dripping(b"", b""),
    "header dripping": dripping(b"", b"H"),
    "headers without end": dripping(HEAD, b"X: y\r\n"),
    "interim responses without end": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body dripping": dripping(HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunks dripping": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "body that ends with the connection": dripping(HEAD + b"\r\n", b" "),
    "body that never comes": dripping(HEAD + b"Content-Length: 5\r\n\r\n", b""),
}


@pytest.mark.parametrize("behaviour", SLOW.values(), ids=SLOW)
def test_total_deadline_holds(
    transport: Transport, serve: Serve, behaviour: Callable[[RawServer, socket.socket], None]
) -> None:
    """A server that sends a byte now and then would hold a caller for ever."""
    error = refused(transport, serve(behaviour).url, seconds=0.3)

    assert isinstance(error, errors.EndpointUnavailable)
    assert "did not respond within 0.3 s" in str(error)


def test_deadline_that_passed_while_connecting_closes_the_connection() -> None:
    """A connection that came too late would be used without any deadline."""
    ours, theirs = socket.socketpair()

    class Stream:
        def get_extra_info(self, _: str) -> socket.socket:
            return ours

    deadline = _Deadline(0.0)
    with ours, theirs, deadline:
        deadline._timer.join()
        deadline.trace("connection.connect_tcp.complete", {"return_value": Stream()})
        assert theirs.recv(1) == b""


def test_deadline_holds_while_connecting(transport: Transport) -> None:
    """A host that drops packets would hold a caller for minutes."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        # Nobody accepts: when the queue is full, further connections are left unanswered.
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - its only, positional, argument
            waiting.connect_ex(address)
        error = refused(transport, f"http://127.0.0.1:{address[1]}/token", seconds=0.3)

    assert "did not respond within 0.3 s" in str(error)


def test_no_time_left_is_told_as_too_slow(transport: Transport, serve: Serve) -> None:
    """A retry at the very end of the time would raise a library's own error."""
    error = refused(transport, serve(silent).url, seconds=0.0)

    assert isinstance(error, errors.EndpointUnavailable)


def resetting(sent: bytes) -> Callable[[RawServer, socket.socket], None]:
    """Return a behaviour: some bytes, then a reset instead of an end."""

    def reset(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return reset


WHOLE = HEAD + b'Content-Length: 20\r\n\r\n{"access_token":"x"}'


@pytest.mark.parametrize("sent", range(0, len(WHOLE) - 1, 7))
@pytest.mark.parametrize("end", [resetting, lambda sent: sent], ids=["reset", "hang-up"])
def test_torn_response_is_a_failure_of_the_endpoint(
    transport: Transport, serve: Serve, sent: int, end: Callable[[bytes], object]
) -> None:
    """Half a response would be used, or a library's own error come out."""
    error = refused(transport, serve(end(WHOLE[:sent])).url)

    assert isinstance(error, errors.EndpointUnavailable)
    assert "failed: " in str(error)


@pytest.mark.parametrize(
    "garbage",
    [b"garbage\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"\x16\x03\x01" * 99,
     HEAD + b"Content-Length: x\r\n\r\n", HEAD + b"A: b\r\n" * 50_000,
     HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
def test_what_is_not_http_is_a_failure_of_the_endpoint(
    transport: Transport, serve: Serve, garbage: bytes
) -> None:
    """A library's own error would come out."""
    assert isinstance(refused(transport, serve(garbage).url), errors.EndpointUnavailable)


def test_refused_connection_is_told(transport: Transport) -> None:
    """The user would not learn that nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = refused(transport, f"http://127.0.0.1:{port}/token")

    assert isinstance(error, errors.EndpointUnavailable)
    assert f"http://127.0.0.1:{port}/token failed: Connection refused." in str(error)
    assert "Check the network" in error.hint


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_plain_http_never_goes_through_a_proxy(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, variable: str, token_response: bytes
) -> None:
    """What is meant for loopback, secret included, would go to another machine in the clear."""
    proxy, server = serve(token_response), serve(token_response)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    transport = Transport()

    assert transport.send(request_to(server.url), 10).status == 200
    assert proxy.received == []
    for client in transport._clients.values():
        client.close()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "ftp://user:pa55@proxy.example"])
def test_unusable_proxy_is_told_by_its_variables(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """A proxy in the environment would be taken for a provider's defect."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = refused(transport, "https://127.0.0.1:9/token")

    assert isinstance(error, errors.ConfigurationError)
    assert "HTTPS_PROXY" in str(error)
    assert "pa55" not in str(error)


def test_netrc_is_not_read(
    transport: Transport,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: object,
    token_response: bytes,
) -> None:
    """Credentials of another account would be sent beside the client's."""
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w", encoding="utf-8") as file:  # noqa: PTH123 - named by the environment
        file.write("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", netrc)
    server = serve(token_response)
    transport.send(request_to(server.url), 10)

    assert b"uthorization" not in server.received[0]


def test_fork_while_a_client_is_built_blocks_nobody(
    run_python: Callable[..., str], serve: Serve
) -> None:
    """A child would wait for ever for a lock that only a thread of its parent's frees."""
    code = """
import os, sys, threading, time
from keyturn import _once as once
from keyturn._http.request import TokenRequest
from keyturn._http.transport import Transport

once._PATIENCE = 0.1  # which the fork spends in vain
transport, request = Transport(), TokenRequest("acme", sys.argv[1])
building, gate, build = threading.Event(), threading.Event(), transport._build

def slowly(**options):
    building.set()
    assert gate.wait(20)
    return build(**options)

transport._build = slowly
thread = threading.Thread(target=transport.send, args=(request, 20))
thread.start()
assert building.wait(20)
child = os.fork()
if not child:
    gate.set()
    os._exit(transport.send(request, 20).status != 200)
end = time.monotonic() + 10
while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
    time.sleep(0.01)
if not ended[0]:
    os.kill(child, 9)
    ended = os.waitpid(child, 0)
print(ended[1])
gate.set()
thread.join()
"""
    server = serve(b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n")

    assert run_python(code, server.url) == "0"


def test_fork_amid_a_request_leaves_the_child_its_own_connections(
    run_python: Callable[..., str], serve: Serve, token_response: bytes
) -> None:
    """A child would wait for connections that its parent's threads had taken."""
    code = """
import os, sys, threading
import httpx
from keyturn._http.request import TokenRequest
from keyturn._http.transport import Transport

transport, request = Transport(), TokenRequest("acme", sys.argv[1])
answering = threading.Event()

def with_one_connection(**options):
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
    hooks = {"response": [lambda _: answering.set()]}
    return httpx.Client(limits=limits, event_hooks=hooks, **options)

transport._build = with_one_connection
thread = threading.Thread(target=transport.send, args=(request, 20))
thread.start()
assert answering.wait(20)
child = os.fork()
if not child:
    os._exit(transport.send(request, 5).status != 200)
print(os.waitpid(child, 0)[1])
thread.join()
"""
    head, _, body = token_response.partition(b"\r\n\r\n")
    child_came = threading.Event()

    def response(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(head + b"\r\n\r\n")
        if len(server.received) > 1:
            child_came.set()
        child_came.wait(20)
        connection.sendall(body)

    assert run_python(code, serve(response).url) == "0"


def test_cookies_are_not_kept(
    transport: Transport, serve: Serve, http_response: Callable[..., bytes]
) -> None:
    """One account's session would go along with the next one's token request."""
    server = serve(http_response({}, set_cookie="session=s3ssion; Path=/"))
    for _ in range(2):
        transport.send(request_to(server.url), 10)

    assert len(server.received) == 2
    assert b"ookie" not in server.received[1]


@pytest.mark.parametrize(
    "url", ["http://evil.example/token", "https://a@evil.example", "file:///etc/passwd", ""]
)
def test_unsafe_address_is_refused_before_anything_is_sent(transport: Transport, url: str) -> None:
    """A provider's mistake would send the secret in the clear."""
    error = refused(transport, url)

    assert isinstance(error, errors.ConfigurationError)
    assert transport._clients == {}


# --- TLS ---


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give a certificate authority of the tests' own."""
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> Iterator[Transport]:
    """Give a transport that trusts the tests' authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    transport = Transport(verify=context)
    yield transport
    for client in transport._clients.values():
        client.close()


def secured(
    certificate: trustme.LeafCert, response: bytes
) -> Callable[[RawServer, socket.socket], None]:
    """Return a behaviour: TLS with a certificate, then a response."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def handle(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            server.read_request(secure)
            secure.sendall(response)

    return handle


def over_tls(server: RawServer) -> str:
    """Return the https address of a server."""
    return server.url.replace("http:", "https:")


def test_trusted_certificate_is_accepted(
    trusting: Transport, serve: Serve, authority: trustme.CA, token_response: bytes
) -> None:
    """No token would come over TLS."""
    server = serve(secured(authority.issue_cert("127.0.0.1"), token_response))

    assert trusting.send(request_to(over_tls(server)), 10).status == 200


@pytest.mark.parametrize("flaw", ["name", "authority", "expiry"])
def test_bad_certificate_is_refused(
    trusting: Transport, serve: Serve, authority: trustme.CA, flaw: str, token_response: bytes
) -> None:
    """The secret would be sent to whoever is in the middle."""
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = {
        "name": lambda: authority.issue_cert("other.example"),
        "authority": lambda: trustme.CA().issue_cert("127.0.0.1"),
        "expiry": lambda: authority.issue_cert(
            "127.0.0.1", not_before=past, not_after=past + dt.timedelta(1)
        ),
    }[flaw]()
    server = serve(secured(certificate, token_response))
    error = refused(trusting, over_tls(server))

    assert isinstance(error, errors.EndpointUnavailable)
    assert "certificate" in str(error).lower()
    assert server.received == []


def test_deadline_holds_in_the_handshake(trusting: Transport, serve: Serve) -> None:
    """A server that accepts and says nothing would hold a caller for ever."""
    error = refused(trusting, over_tls(serve(silent)), seconds=0.3)

    assert "did not respond within 0.3 s" in str(error)


def test_deadline_holds_within_tls(
    trusting: Transport, serve: Serve, authority: trustme.CA
) -> None:
    """A server that sends a byte now and then would hold a caller for ever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def handle(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            dripping(HEAD + b"Content-Length: 100000\r\n\r\n", b" ")(server, secure)

    error = refused(trusting, over_tls(serve(handle)), seconds=0.5)
    assert "did not respond within 0.5 s" in str(error)
