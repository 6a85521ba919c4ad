"""The emulator as a server: addresses, threads, malformed requests, records."""

from __future__ import annotations

import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyturn.errors import ConfigurationError
from keyturn.testing import Emulator, ReceivedRequest
from keyturn.testing.emulator._server import Listener

if TYPE_CHECKING:
    from collections.abc import Iterator


CHUNKED = b"POST /1.0/connect/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n%b\r\n"


def address(emulator: Emulator, provider: str) -> tuple[str, int]:
    """Return host and port of a provider."""
    chosen = emulator.settings(provider)
    url = httpx.URL(chosen.get("token_url") or chosen["url"])
    return url.host, url.port or 0


def exchange(where: tuple[str, int], request: bytes) -> bytes:
    """Send raw bytes, and return the response."""
    with socket.create_connection(where, timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_no_thread_remains_after_stop(http: httpx.Client) -> None:
    """A test suite would accumulate threads."""
    before = set(threading.enumerate())
    emulator = Emulator()
    with emulator:
        where = address(emulator, "norce-storm")
        assert http.get(emulator.settings("norce-storm")["api_url"]).status_code == 404
        with socket.create_connection(where):
            assert set(threading.enumerate()) - before

    emulator.stop()
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where)


def test_emulator_restarts_on_the_same_ports() -> None:
    """An outage, and its end, could not be tested."""
    with Emulator() as emulator:
        where = [address(emulator, name) for name in emulator.providers]
        assert emulator.start() is emulator
        emulator.stop()
        emulator.start()

        assert [address(emulator, name) for name in emulator.providers] == where
        assert exchange(where[0], b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404")


def test_ports_are_consecutive() -> None:
    """`keyturn emulate --port N` would not listen on the documented ports."""
    for port in range(21_000, 22_000, 10):
        try:
            with Emulator(port=port) as emulator:
                ports = [address(emulator, name)[1] for name in emulator.providers]
        except ConfigurationError:
            continue  # used by another program
        break

    assert ports == [port, port + 1, port + 2, port + 3]


def test_port_in_use_is_reported_and_nothing_stays_open() -> None:
    """The error would not name the port, or some servers would continue to listen."""
    with Emulator() as emulator:
        _, port = address(emulator, "norce-storm")
        with pytest.raises(ConfigurationError, match=f"can't listen on port {port}"):
            Emulator(port=port).start()
    with pytest.raises(ConfigurationError, match="can't listen on port 65536"):
        Emulator(port=65_533).start()


@pytest.mark.parametrize("provider", Emulator.providers)
def test_emulator_listens_on_loopback_only(provider: str, emulator: Emulator) -> None:
    """Other hosts on the network could use it."""
    host, port = address(emulator, provider)

    assert host == "127.0.0.1"
    # A server bound to all addresses would respond at the next address too.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=10)


def test_hundred_clients_at_once_are_served() -> None:
    """The emulator itself, not an emulated rate limit, would reject many clients."""
    with Emulator(rate_limits=False) as emulator:
        chosen = emulator.settings("norce-storm")
        host, port = address(emulator, "norce-storm")
        body = httpx.QueryParams(
            grant_type="client_credentials",
            scope="lab",
            client_id=chosen["client_id"],
            client_secret=chosen["client_secret"],
        )
        content = str(body).encode()
        request = (
            b"POST /1.0/connect/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded"
            b"\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
        )
        barrier = threading.Barrier(100)

        def send(_: int) -> bytes:
            barrier.wait()
            return exchange((host, port), request)[:12]

        with ThreadPoolExecutor(100) as pool:
            assert set(pool.map(send, range(100))) == {b"HTTP/1.1 200"}
        assert emulator.token_requests("norce-storm") == 100


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /1.0/connect/token HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /1.0/connect/token HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /1.0/connect/token HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (
            b"POST /1.0/connect/token HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n",
            400,
        ),
        (b"POST /1.0/connect/token HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n", 413),
        (b"POST /1.0/connect/token HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % (b"9" * 99), 413),
        (b"POST /1.0/connect/token HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (CHUNKED % b"Content-Length: 5\r\n" + b"0\r\n\r\n", 400),
        (CHUNKED % b"" + b"x\r\n\r\n", 400),
        (CHUNKED % b"" + b"-1\r\n\r\n", 400),
        (CHUNKED % b"" + b"2\r\nabc\r\n0\r\n\r\n", 400),
        (CHUNKED % b"" + b"2\r\na", 400),
        (CHUNKED % b"" + b"fffffff\r\n", 413),
        (CHUNKED % b"" + b"0\r\n" + b"a: b\r\n" * 101, 400),
        (b"POST /1.0/connect/token HTTP/1.1\r\n\r\n", 400),
        (b"GET /1.0/connect/token HTTP/1.1\r\n\r\n", 405),
        (b"DELETE /1.1/ApplicationService.svc/rest/GetApplication HTTP/1.1\r\n\r\n", 405),
        (b"GET http://[/ HTTP/1.1\r\n\r\n", 404),
        (b"GET /moon?a=b HTTP/1.1\r\n\r\n", 404),
        (b"FETCH / HTTP/1.1\r\n\r\n", 501),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_malformed_request_gets_a_response_and_no_traceback(
    request_bytes: bytes,
    status: int,
    emulator: Emulator,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A client's defect would look like one of the emulator."""
    response = exchange(address(emulator, "norce-storm"), request_bytes)
    emulator.stop()

    assert str(status).encode() in response.partition(b"\r\n")[0]
    assert capfd.readouterr() == ("", "")


def test_chunked_body_is_read(emulator: Emulator) -> None:
    """Clients that send bodies of unknown length could not be tested."""
    chunks = b"4 ;name=value\r\ngran\r\nA\r\nt_type=abc\r\n0\r\nTrailer: x\r\n\r\n"
    following = b"GET /moon HTTP/1.1\r\n\r\n"

    responses = exchange(address(emulator, "norce-storm"), CHUNKED % b"" + chunks + following)

    assert [request.body for request in emulator.requests("norce-storm")] == [
        b"grant_type=abc",
        b"",
    ]
    assert responses.count(b"HTTP/1.1") == 2


def test_client_that_disconnects_is_not_an_error(
    emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every timeout of a client would print a traceback."""
    where = address(emulator, "norce-storm")
    with socket.create_connection(where) as connection:
        connection.sendall(b"POST /1.0/connect/token HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        # Closed with a reset, in the middle of the body.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert exchange(where, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404")
    emulator.stop()

    assert capfd.readouterr() == ("", "")


def test_client_that_disconnects_before_it_is_accepted_does_not_block_a_port() -> None:
    """The thread that accepts for all ports would wait for the next client of this one."""
    listener = Listener("127.0.0.1", 0, cast("Any", None))
    with closing(listener.socket):
        with pytest.raises(BlockingIOError):
            listener.get_request()
        with socket.create_connection(("127.0.0.1", listener.port)):
            connection, _ = listener.get_request()
            assert connection.getblocking()
            connection.close()


def test_defect_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """A defect of the emulator, or of a test's clock, would look like a network failure."""

    def broken() -> float:
        raise LookupError("a clock made to fail")

    with Emulator(now=broken) as emulator:
        response = exchange(
            address(emulator, "norce-storm"), b"POST /1.0/connect/token HTTP/1.1\r\n\r\n"
        )

    assert response == b""
    assert "a clock made to fail" in capfd.readouterr().err


@pytest.fixture
def unlimited() -> Iterator[Emulator]:
    """Yield an emulator without rate limits, with the real clock."""
    with Emulator(rate_limits=False) as running:
        yield running


BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: st.dictionaries(
            st.sampled_from(["grant_type", "client_id", "client_secret", "scope"]) | st.text(),
            inner,
        ),
        max_leaves=8,
    ).map(lambda value: httpx.Request("POST", "http://localhost", json=value).content),
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=BODIES, form=st.booleans(), provider=st.sampled_from(Emulator.providers))
def test_malformed_body_gets_an_error_response(
    unlimited: Emulator, http: httpx.Client, body: bytes, form: bool, provider: str
) -> None:
    """An unexpected body would cause a traceback, or be accepted."""
    chosen = unlimited.settings(provider)
    media_type = "application/x-www-form-urlencoded" if form else "application/json"

    response = http.post(
        chosen.get("token_url") or f"{chosen['url']}/oauth2-token",
        content=body,
        headers={"Content-Type": media_type},
    )

    assert response.status_code in {400, 401}


def test_requests_are_recorded_as_received(emulator: Emulator, http: httpx.Client) -> None:
    """A test could not check what a client sends."""
    url = emulator.settings("norce-storm")["api_url"]
    http.post(f"{url}/moon?full=1", content=b"body", headers={"X-Tenant": "Acme"})

    [request] = emulator.requests("norce-storm")
    assert isinstance(request, ReceivedRequest)
    assert (request.method, request.target, request.path) == ("POST", "/moon?full=1", "/moon")
    assert (request.body, request.headers["x-tenant"]) == (b"body", "Acme")
    assert request.address == "127.0.0.1"
    assert emulator.requests("norce-commerce") == ()


def test_two_emulators_share_no_credentials() -> None:
    """A token stored for one emulator would be used at another."""
    with Emulator() as one, Emulator() as other:
        for name in Emulator.providers:
            assert one.settings(name)["client_id"] != other.settings(name)["client_id"]
            assert one.settings(name)["client_secret"] != other.settings(name)["client_secret"]


def test_settings_are_merged(emulator: Emulator) -> None:
    """A wrong secret could not be tried."""
    wrong = "wrong-for-tests"
    for name in Emulator.providers:
        assert emulator.settings(name, client_secret=wrong)["client_secret"] == wrong


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda emulator: emulator.settings("norce"), "norce-commerce, norce-storm, orocommerce"),
        (lambda emulator: emulator.token_requests("norce"), "has no provider 'norce'"),
        (lambda emulator: emulator.settings("orocommerce", side="in"), "backoffice, storefront"),
        (lambda emulator: emulator.resource("orocommerce", side="in"), "backoffice, storefront"),
        (lambda emulator: emulator.settings("commercelayer", kind="user"), "sales_channel"),
        (lambda emulator: emulator.set_lifetime("norce-storm", 0), "integer number of seconds"),
        (lambda _: Emulator(lifetime=0), "integer number of seconds"),
        (lambda _: Emulator(lifetime=1.5), "integer number of seconds"),  # type: ignore[arg-type]
        (lambda _: Emulator().settings("norce-storm"), "Call start"),
    ],
)
def test_wrong_arguments_are_rejected(call: Any, message: str, emulator: Emulator) -> None:
    """A misspelt name would end in an unrelated error."""
    with pytest.raises(ConfigurationError, match=message):
        call(emulator)


def test_lifetime_applies_to_all_providers(http: httpx.Client) -> None:
    """A test of a renewal would take an hour."""
    with Emulator(lifetime=1) as emulator:
        for name in Emulator.providers:
            chosen = emulator.settings(name)
            body = {"grant_type": "client_credentials", "scope": chosen.get("scope", "lab")}
            body |= {key: chosen[key] for key in ("client_id", "client_secret")}
            if name == "commercelayer":
                del body["scope"]
            url = chosen.get("token_url") or f"{chosen['url']}/oauth2-token"
            assert http.post(url, data=body).json()["expires_in"] == 1
