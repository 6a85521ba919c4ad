"""Slow, broken and hostile networks between keyturn and a token endpoint."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import BACKOFF

import keyturn
from keyturn._connection import manager_of
from keyturn._http.transport import Transport
from keyturn._tokens import token_request
from keyturn._tokens.snapshot import EMPTY
from keyturn.errors import EndpointUnavailable, InvalidTokenResponse, KeyturnError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import RawServer

Behaviour: TypeAlias = "Callable[[RawServer, socket.socket], None]"
Serve: TypeAlias = "Callable[[bytes | Behaviour], RawServer]"

SECRET = "s3cret-for-tests"
PROVIDERS = ["norce-commerce", "norce-storm", "orocommerce", "commercelayer"]
BODY = b'{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
RESPONSES = {
    "with a length": HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY),
    "in chunks": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n28\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n"
    % (BODY[:40], len(BODY) - 40, BODY[40:]),
    "ended by the connection": HEAD + b"\r\n" + BODY,
}


def connected(url: str, seconds: float = 20.0) -> keyturn.Connection:
    """Return a connection to a plain provider whose token endpoint is at `url`."""
    return keyturn.connect(
        "orocommerce",
        url="https://shop.example",
        token_url=url,
        client_id="cid",
        client_secret=SECRET,
        store="memory://",
        timeout=seconds,
    )


@pytest.fixture
def no_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pause before a token request is sent again longer than a timeout of 0.2 seconds."""
    monkeypatch.setattr(token_request, "_BACKOFF", BACKOFF)


def failure(connection: keyturn.Connection) -> KeyturnError:
    """Return the error of a failed token request, after a check that it shows no secret."""
    with pytest.raises(KeyturnError) as caught:
        connection.token()
    error: BaseException | None = caught.value
    while error is not None:
        assert isinstance(error, KeyturnError)
        assert SECRET not in repr(vars(error)) + str(error)
        assert "t0ken" not in repr(vars(error)) + str(error)
        error = error.__cause__ or error.__context__
    assert manager_of(connection).peek() is EMPTY
    return caught.value


def reset(connection: socket.socket) -> None:
    """Reset the connection, as when a machine crashes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# --- incomplete responses ---


@pytest.mark.usefixtures("no_retry")
@pytest.mark.parametrize("end", [reset, lambda _: None], ids=["reset", "hang-up"])
@pytest.mark.parametrize("shape", RESPONSES)
def test_response_cut_off_at_any_byte_is_an_error(
    serve: Serve, shape: str, end: Callable[[socket.socket], None]
) -> None:
    """Half a response would be used, or the caller would get another library's error."""
    response = RESPONSES[shape]

    def tear(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(response[:sent])
        if sent < len(response):
            end(connection)

    server = serve(tear)
    sent = len(HEAD) if shape != "with a length" else 0  # they all begin with the same bytes
    # The end of such a body is marked by the end of the connection only.
    may_look_whole = shape == "ended by the connection" and end is not reset
    while sent < len(response):
        error = failure(connected(server.url, 0.2))
        if not (may_look_whole and type(error) is InvalidTokenResponse):
            assert type(error) is EndpointUnavailable
        sent += 1
    assert connected(server.url).token().access_token == "t0ken"


PIECES = st.binary(max_size=3) | st.sampled_from(
    [b"\r\n", b"\n", b"\r\n\r\n", b"\x00", b": ", b"Content-Length: 3\r\n", b"HTTP/1.1 100\r\n\r\n",
     b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n", b"\xff" * 9, b"9" * 30]
)  # fmt: skip
EDITS = st.lists(st.tuples(st.integers(0, 250), st.integers(0, 9), PIECES), min_size=1, max_size=3)


@pytest.mark.usefixtures("no_retry")
def test_mutated_bytes_give_a_token_or_an_error_of_keyturn(serve: Serve) -> None:
    """For bytes that are not HTTP, the caller would get an error of the HTTP client."""
    response = b""

    def reply(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(response)

    server = serve(reply)

    @given(st.sampled_from(sorted(RESPONSES.values())), EDITS)
    def check(start: bytes, edits: list[tuple[int, int, bytes]]) -> None:
        nonlocal response
        response = start
        for place, length, piece in edits:
            response = response[:place] + piece + response[place + length :]
        said = ""
        try:
            token = connected(server.url, 0.2).token()
        except KeyturnError as error:
            said = str(error)
        if said:
            assert "is a defect" not in said
            assert said.isprintable()
            return
        assert token.token_type.lower() == "bearer"
        assert token.access_token.isascii()
        assert token.access_token.isprintable()

    check()


# --- a proxy between keyturn and the emulator ---


def upstream(url: str, request: bytes) -> bytes:
    """Return the whole response of a server to a request."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        return b"".join(iter(functools.partial(connection.recv, 65_536), b""))


def whole(server: RawServer, connection: socket.socket, response: bytes) -> None:
    """Forward the response."""
    del server
    connection.sendall(response)


def byte_by_byte(server: RawServer, connection: socket.socket, response: bytes) -> None:
    """Forward the response in packets of one byte."""
    del server
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number in range(len(response)):
        connection.sendall(response[number : number + 1])


def hang(server: RawServer, connection: socket.socket, response: bytes, *, sent: int = 0) -> None:
    """Forward a part of the response, then nothing."""
    connection.sendall(response[:sent])
    server.ended.wait(30)


def drip(server: RawServer, connection: socket.socket, response: bytes) -> None:
    """Forward a byte now and then, each before a read timeout."""
    for number in range(len(response)):
        connection.sendall(response[number : number + 1])
        if server.ended.wait(0.02):
            return


def after_headers(server: RawServer, connection: socket.socket, response: bytes) -> None:
    """Forward the headers, then nothing."""
    hang(server, connection, response, sent=response.index(b"\r\n\r\n") + 4)


def in_headers(server: RawServer, connection: socket.socket, response: bytes) -> None:
    """Forward half of the headers, then nothing."""
    hang(server, connection, response, sent=response.index(b"\r\n\r\n") // 2)


def before_last_byte(server: RawServer, connection: socket.socket, response: bytes) -> None:
    """Forward all bytes but the last, then nothing."""
    hang(server, connection, response, sent=len(response) - 1)


def resetting(server: RawServer, connection: socket.socket, response: bytes) -> None:
    """Forward half of the response, then reset the connection."""
    del server
    connection.sendall(response[: len(response) // 2])
    reset(connection)


class Proxy:
    """A TCP proxy in front of the emulator's token endpoint of one provider."""

    def __init__(self, serve: Serve, emulator: keyturn.testing.Emulator, provider: str) -> None:
        self.relay = whole
        self.settings = emulator.settings(provider)
        self._target = keyturn.connect(provider, **self.settings).token_request().url
        self.server = serve(self._handle)
        path = urlsplit(self._target).path
        self.settings["token_url"] = self.server.url.removesuffix("/token") + path

    def _handle(self, server: RawServer, connection: socket.socket) -> None:
        request = server.read_request(connection)
        self.relay(server, connection, upstream(self._target, request))


@pytest.fixture(scope="module")
def emulator() -> Iterator[keyturn.testing.Emulator]:
    """Yield an emulator without rate limits."""
    with keyturn.testing.Emulator(rate_limits=False) as running:
        yield running


@pytest.mark.parametrize("provider", PROVIDERS)
def test_response_in_slow_pieces_gives_a_token(
    serve: Serve, emulator: keyturn.testing.Emulator, provider: str
) -> None:
    """A network that sends small packets would give no token."""
    proxy = Proxy(serve, emulator, provider)
    proxy.relay = byte_by_byte
    with keyturn.connect(provider, store="memory://", **proxy.settings) as connection:
        assert connection.token().access_token


@pytest.mark.parametrize(
    ("provider", "relay"),
    [
        ("norce-commerce", hang),
        ("norce-storm", in_headers),
        ("orocommerce", after_headers),
        ("commercelayer", before_last_byte),
        ("orocommerce", drip),
    ],
)
def test_timeout_covers_the_whole_request_and_the_next_call_starts_anew(
    serve: Serve, emulator: keyturn.testing.Emulator, provider: str, relay: Any
) -> None:
    """A network that stalls would block a caller forever, or break later calls."""
    proxy = Proxy(serve, emulator, provider)
    proxy.relay = relay
    options: dict[str, Any] = {"store": keyturn.stores.from_url("memory://"), **proxy.settings}
    with keyturn.connect(provider, timeout=0.2, **options) as connection:
        assert "did not respond within 0." in str(failure(connection))
    assert len(proxy.server.received) <= 1  # empty if this machine was too slow to send it

    proxy.relay = whole
    with keyturn.connect(provider, **options) as connection:
        assert connection.token().access_token


@pytest.mark.parametrize("provider", PROVIDERS)
def test_single_reset_is_retried(
    serve: Serve, emulator: keyturn.testing.Emulator, provider: str
) -> None:
    """The caller would get an error after a single reset."""
    proxy = Proxy(serve, emulator, provider)

    def once(server: RawServer, connection: socket.socket, response: bytes) -> None:
        proxy.relay = whole
        resetting(server, connection, response)

    proxy.relay = once
    with keyturn.connect(provider, store="memory://", **proxy.settings) as connection:
        assert connection.token().access_token
    assert len(proxy.server.received) == 2


def test_repeated_resets_are_an_error(serve: Serve, emulator: keyturn.testing.Emulator) -> None:
    """keyturn would retry forever when the network is down."""
    proxy = Proxy(serve, emulator, "orocommerce")
    proxy.relay = resetting
    with keyturn.connect("orocommerce", store="memory://", **proxy.settings) as connection:
        assert isinstance(failure(connection), EndpointUnavailable)
    assert len(proxy.server.received) == 3


def test_stalled_network_does_not_block_the_event_loop(
    serve: Serve, emulator: keyturn.testing.Emulator
) -> None:
    """All other tasks would wait while a token endpoint stalls."""
    proxy = Proxy(serve, emulator, "orocommerce")
    proxy.relay = hang

    async def talk() -> int:
        ticks = 0
        async with keyturn.connect(
            "orocommerce", store="memory://", timeout=0.2, **proxy.settings
        ) as connection:
            waiting = asyncio.ensure_future(connection.atoken())
            while not waiting.done():
                await asyncio.sleep(0.001)
                ticks += 1
            assert isinstance(waiting.exception(), EndpointUnavailable)
        return ticks

    assert asyncio.run(talk()) > 1


# --- hostile or missing networks ---

TOKENS = """
import sys, keyturn
for url in sys.argv[1:]:
    connection = keyturn.connect(
        "orocommerce",
        url="https://shop.example",
        token_url=url,
        client_id="cid",
        client_secret="s3cret-for-tests",
        store="memory://",
        timeout=20 if url == sys.argv[1] else 0.2,
    )
    try:
        print(connection.token().access_token)
    except keyturn.errors.KeyturnError as error:
        print(type(error).__name__, error)
"""


def secured(certificate: trustme.LeafCert) -> Behaviour:
    """Return a behaviour: TLS with a certificate, then a response with a token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def handle(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            server.read_request(secure)
            secure.sendall(RESPONSES["with a length"])

    return handle


def test_server_without_a_valid_certificate_gets_no_secret(
    serve: Serve, run_python: Callable[..., str], tmp_path: Path
) -> None:
    """The secret would be sent to an attacker between client and server."""
    authority, other = trustme.CA(), trustme.CA()
    past, future = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
    day = dt.timedelta(1)
    certificates = {
        "trusted": authority.issue_cert("localhost"),
        "wrong name": authority.issue_cert("other.example"),
        "wrong address": authority.issue_cert("127.0.0.2"),
        "expired": authority.issue_cert("localhost", not_before=past, not_after=past + day),
        "not yet valid": authority.issue_cert(
            "localhost", not_before=future, not_after=future + day
        ),
        "unknown authority": other.issue_cert("localhost"),
    }
    servers = {name: serve(secured(each)) for name, each in certificates.items()}
    servers["no TLS at all"] = serve(RESPONSES["with a length"])
    trust = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trust))
    urls = [f"https://localhost:{server.port}/token" for server in servers.values()]
    lines = run_python(TOKENS, *urls, SSL_CERT_FILE=str(trust)).splitlines()

    outcomes = dict(zip(servers, lines, strict=True))
    assert outcomes.pop("trusted") == "t0ken"
    assert len(servers.pop("trusted").received) == 1
    assert {line.split()[0] for line in outcomes.values()} == {"EndpointUnavailable"}
    assert all(server.received == [] for server in servers.values())


@pytest.mark.usefixtures("no_retry")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.255", "[::1]", "localhost"])
def test_closed_port_is_reported(scheme: str, host: str, refused_port: int) -> None:
    """The user would not see that no server listens there."""
    url = f"{scheme}://{host}:{refused_port}/token"
    error = failure(connected(url, 0.2))

    assert isinstance(error, EndpointUnavailable)
    assert str(error).startswith(f"orocommerce: the token endpoint {url} ")
    hints = {
        "http": "Check that a server listens at this address, which keyturn reaches without a "
        "proxy.",
        "https": "Check the network and the address, and whether HTTPS_PROXY must name a proxy.",
    }
    assert hints[scheme] in error.hint


@pytest.mark.usefixtures("no_retry")
def test_unknown_host_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user would not see that the host's name is wrong."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(connected("https://nowhere.invalid/token", 0.2))

    assert isinstance(error, EndpointUnavailable)
    assert "failed: its name can't be resolved (Name or service not known)." in str(error)
    assert "the name servers of this machine" in error.hint


def test_reset_while_sending_does_not_complete_the_response(serve: Serve) -> None:
    """A response that was cut off would count as complete, as a reset is reported only once."""

    def cut(server: RawServer, connection: socket.socket) -> None:
        del server
        connection.recv(1)
        connection.sendall(HEAD + b"\r\n" + BODY)
        reset(connection)

    request = keyturn.plugins.TokenRequest("acme", serve(cut).url, (("a", "x" * 20_000_000),))

    with pytest.raises(EndpointUnavailable, match="reset by peer"):
        Transport().send(request, 20)
