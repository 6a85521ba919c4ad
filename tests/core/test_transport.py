"""One token request over the wire, against servers that are broken or hostile."""

from __future__ import annotations

import gzip
import socket
import struct
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn._http.exchange import read_capped
from keyturn._http.response import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import RawServer

    from keyturn._http.transport import Transport

    Serve = Callable[..., RawServer]
    RequestTo = Callable[[str], keyturn.plugins.TokenRequest]
    FailedRequest = Callable[..., errors.KeyturnError]

SECRET = "s3cret-for-tests"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def test_response_is_received_completely(
    transport: Transport, serve: Serve, token_request: RequestTo
) -> None:
    """Status, headers or body would be lost, or the token's lifetime would start too late."""
    server = serve(b"HTTP/1.1 418 X\r\nX-One: a\r\nContent-Length: 3\r\n\r\n\x00\xff!")
    before = time.time()
    response = transport.send(token_request(server.url), 10)

    assert (response.status, response.headers["x-one"], response.body) == (418, "a", b"\x00\xff!")
    assert before <= response.sent_at <= time.time()
    assert server.received[0].endswith(b'\r\n\r\n{"client_secret":"s3cret-for-tests"}')


def test_repeated_and_other_headers_are_read(
    transport: Transport, serve: Serve, token_request: RequestTo
) -> None:
    """A second value would replace the first; a byte that is not UTF-8 would fail the request."""
    lines = b"X-One: a\r\nx-one: b\r\nX-Two: caf\xe9\r\nX-Three: caf\xc3\xa9\r\n"
    response = transport.send(token_request(serve(HEAD + lines + b"\r\n").url), 10)

    read = [response.headers[name] for name in ("x-one", "x-two", "x-three")]
    assert read == ["a, b", "caf\xe9", "caf\xe9"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(
    transport: Transport, serve: Serve, status: int, token_request: RequestTo
) -> None:
    """The secret would be sent to another host."""
    other = serve(b"HTTP/1.1 200 OK\r\n\r\n")
    location = other.url.encode()
    server = serve(
        b"HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, location)
    )

    assert transport.send(token_request(server.url), 10).status == status
    assert other.received == []


def endless(server: RawServer, connection: socket.socket) -> None:
    """Send an endless body."""
    server.read_request(connection)
    connection.sendall(HEAD + b"\r\n")
    while not server.ended.is_set():
        connection.sendall(b"x" * 65_536)


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1) + b"x" * (MAX_BODY + 1),
        b"\r\n" + b"x" * (MAX_BODY + 1),
        b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 2 * MAX_BODY),
        b"Content-Encoding: DEFLATE\r\n\r\n" + zlib.compress(b"x" * 2 * MAX_BODY),
    ],
    ids=["length", "no length", "gzip bomb", "deflate bomb"],
)
def test_large_response_is_rejected(
    transport: Transport, serve: Serve, body: bytes, failed_request: FailedRequest
) -> None:
    """A hostile endpoint could fill the memory."""
    error = failed_request(transport, serve(HEAD + body).url)

    assert isinstance(error, errors.InvalidTokenResponse)
    assert "larger than 1048576 bytes" in str(error)


def test_endless_response_is_rejected(
    transport: Transport, serve: Serve, failed_request: FailedRequest
) -> None:
    """A hostile endpoint could block a caller forever."""
    assert isinstance(failed_request(transport, serve(endless).url), errors.InvalidTokenResponse)


@pytest.mark.parametrize("size", [0, 1, MAX_BODY])
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("", bytes), ("identity", bytes), (" GZip ", gzip.compress), ("deflate", zlib.compress)],
)
def test_body_up_to_the_cap_is_read(
    encoding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    """A correct response would be rejected for its size or compression."""
    packed = pack(b"x" * size)
    chunks = [packed[start : start + 1000] for start in range(0, len(packed), 1000)]

    assert read_capped(chunks, encoding) == b"x" * size


def test_decompression_stops_at_the_cap() -> None:
    """A bomb would be unpacked completely before it is rejected."""
    bomb = zlib.compress(b"x" * 20_000_000)

    def chunks() -> Iterator[bytes]:
        yield bomb
        pytest.fail("it kept on reading")

    tracemalloc.start()
    try:
        with pytest.raises(errors.InvalidTokenResponse):
            read_capped(chunks(), "deflate")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x"])
def test_unexpected_compression_is_rejected(encoding: str) -> None:
    """Compressed bytes would be read as JSON."""
    with pytest.raises(
        errors.InvalidTokenResponse, match="Content-Encoding that keyturn did not accept"
    ):
        read_capped([], encoding)


def test_broken_compression_is_a_failure_of_the_endpoint(
    transport: Transport, serve: Serve, failed_request: FailedRequest
) -> None:
    """The caller would get a raw error of a library."""
    error = failed_request(transport, serve(HEAD + b"Content-Encoding: gzip\r\n\r\nnot gzip").url)

    assert isinstance(error, errors.EndpointUnavailable)
    assert "its response can't be decompressed" in str(error)


@pytest.mark.parametrize("kept", [1, 12, -8, -1])
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_compressed_response_that_was_cut_off_is_a_failure_of_the_endpoint(
    transport: Transport,
    serve: Serve,
    pack: Callable[[bytes], bytes],
    kept: int,
    failed_request: FailedRequest,
) -> None:
    """A partial response would be read as a complete one."""
    encoding = b"gzip" if pack is gzip.compress else b"deflate"
    head = HEAD + b"Content-Encoding: %s\r\n\r\n" % encoding
    noise = bytes(range(256))  # incompressible: a part is decompressed before the end
    response = head + pack(noise)[: kept if kept < 0 else len(noise) - kept]
    error = failed_request(transport, serve(response).url)

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


@for_each("status", [300, 302, 401, 429, 503])
@pytest.mark.parametrize("rest", UNREADABLE.values(), ids=UNREADABLE)
def test_error_response_counts_though_its_body_cannot_be_read(
    transport: Transport, serve: Serve, status: int, rest: bytes, token_request: RequestTo
) -> None:
    """An error response would count as a network failure, and the request be repeated."""
    server = serve(b"HTTP/1.1 %d X\r\nRetry-After: 30\r\n" % status + rest)
    response = transport.send(token_request(server.url), 10)

    assert (response.status, response.headers["retry-after"], response.body) == (status, "30", b"")


def test_error_response_that_is_reset_counts(
    transport: Transport, serve: Serve, token_request: RequestTo
) -> None:
    """An error response would count as a network failure, and the request be repeated."""
    reset = resetting(b"HTTP/1.1 429 X\r\nContent-Length: 9\r\n\r\nSlow")

    assert transport.send(token_request(serve(reset).url), 10).body == b""


@pytest.mark.parametrize("rest", UNREADABLE.values(), ids=UNREADABLE)
def test_body_of_a_successful_response_must_be_readable(
    transport: Transport, serve: Serve, rest: bytes, failed_request: FailedRequest
) -> None:
    """A damaged token would be reported as a response without a token."""
    failed_request(transport, serve(b"HTTP/1.1 299 X\r\n" + rest).url)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_empty_body_may_name_an_encoding(encoding: str) -> None:
    """An empty error response that names an encoding would not be understood."""
    assert read_capped([], encoding) == b""


def test_header_that_is_not_ascii_is_reported(transport: Transport, serve: Serve) -> None:
    """A secret that can't be in a header would be reported as a provider's defect, or be shown."""
    server = serve(b"")
    pairs = (("X-Key", keyturn.Secret(f"{SECRET}\u00e9")),)
    request = keyturn.plugins.TokenRequest("acme", server.url, extra_headers=pairs)
    with pytest.raises(errors.ConfigurationError) as caught:
        transport.send(request, 10)

    assert "the header X-Key of the token request is not ASCII." in str(caught.value)
    assert caught.value.__context__ is None
    assert server.received == []


def resetting(sent: bytes) -> Callable[[RawServer, socket.socket], None]:
    """Return a behaviour: some bytes, then a reset instead of an end."""

    def reset(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return reset


WHOLE = HEAD + b'Content-Length: 20\r\n\r\n{"access_token":"x"}'


@for_each("sent", range(0, len(WHOLE) - 1, 7))
@pytest.mark.parametrize("end", [resetting, lambda sent: sent], ids=["reset", "hang-up"])
def test_incomplete_response_is_a_failure_of_the_endpoint(
    transport: Transport,
    serve: Serve,
    sent: int,
    end: Callable[[bytes], object],
    failed_request: FailedRequest,
) -> None:
    """A partial response would be used, or the caller would get a raw error of a library."""
    error = failed_request(transport, serve(end(WHOLE[:sent])).url)

    assert isinstance(error, errors.EndpointUnavailable)
    assert "failed: " in str(error)


@pytest.mark.parametrize(
    "garbage",
    [b"garbage\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"\x16\x03\x01" * 99,
     HEAD + b"Content-Length: x\r\n\r\n", HEAD + b"A: b\r\n" * 50_000,
     HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
def test_response_that_is_not_http_is_a_failure_of_the_endpoint(
    transport: Transport, serve: Serve, garbage: bytes, failed_request: FailedRequest
) -> None:
    """The caller would get a raw error of a library."""
    assert isinstance(failed_request(transport, serve(garbage).url), errors.EndpointUnavailable)


def test_refused_connection_is_reported(
    transport: Transport, failed_request: FailedRequest, refused_port: int
) -> None:
    """The error would not say that no server listens at the address."""
    url = f"http://127.0.0.1:{refused_port}/token"
    error = failed_request(transport, url)

    assert isinstance(error, errors.EndpointUnavailable)
    assert f"{url} failed: Connection refused." in str(error)
    assert "Check that a server listens at this address" in error.hint


def test_netrc_is_not_read(
    transport: Transport,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: object,
    token_response: bytes,
    token_request: RequestTo,
) -> None:
    """Credentials of another account would be sent beside the client's."""
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w", encoding="utf-8") as file:  # noqa: PTH123 - the path is a string
        file.write("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", netrc)
    server = serve(token_response)
    transport.send(token_request(server.url), 10)

    assert b"uthorization" not in server.received[0]


def test_cookies_are_not_kept(
    transport: Transport,
    serve: Serve,
    http_response: Callable[..., bytes],
    token_request: RequestTo,
) -> None:
    """One account's session cookie would be sent with the next account's token request."""
    server = serve(http_response({}, set_cookie="session=s3ssion; Path=/"))
    for _ in range(2):
        transport.send(token_request(server.url), 10)

    assert len(server.received) == 2
    assert b"ookie" not in server.received[1]


@pytest.mark.parametrize(
    "url", ["http://evil.example/token", "https://a@evil.example", "file:///etc/passwd", ""]
)
def test_unsafe_address_is_rejected_before_anything_is_sent(
    transport: Transport, url: str, failed_request: FailedRequest
) -> None:
    """A provider's mistake would send the secret unencrypted."""
    error = failed_request(transport, url)

    assert isinstance(error, errors.ConfigurationError)


def test_response_that_comes_before_the_request_is_read_counts(
    transport: Transport, serve: Serve
) -> None:
    """An early refusal of a large request would count as a network failure."""

    def refuse(server: RawServer, connection: socket.socket) -> None:
        del server
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 X\r\nContent-Length: 3\r\n\r\nbig")

    request = keyturn.plugins.TokenRequest("acme", serve(refuse).url, (("a", "x" * 20_000_000),))
    response = transport.send(request, 10)

    assert (response.status, response.body) == (413, b"big")
