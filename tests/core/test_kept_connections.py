"""Network connections are kept for the next request to the same token endpoint only."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from typing import TYPE_CHECKING

import attrs
import pytest

import keyturn
from keyturn import errors
from keyturn._clock import Clock
from keyturn._http import kept
from keyturn._http.credentials import ClientCertificate
from keyturn._http.exchange import exchange
from keyturn._http.kept import kept_connections
from keyturn._http.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme
    from tests.conftest import RawServer

    Behaviour = Callable[[RawServer, socket.socket], None]
    RequestTo = Callable[[str], keyturn.plugins.TokenRequest]
    Serve = Callable[..., RawServer]

assert exchange  # imported before a worker is counted


@pytest.fixture(autouse=True)
def _worker(
    monkeypatch: pytest.MonkeyPatch,
    serve: Serve,  # noqa: ARG001 - connections end before servers
) -> Iterator[None]:
    """Count this thread as the only worker, because no connection is kept without a worker."""
    # Idle workers of earlier tests, which end after some seconds, are not counted here.
    monkeypatch.setattr(kept_connections, "_values", {})
    kept_connections.get().enter()
    yield
    kept_connections.get().leave()


@pytest.fixture
def keeps(token_response: bytes) -> Behaviour:
    """Give the behaviour of a server that responds to any number of requests."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        while not server.ended.is_set():
            server.read_request(connection)
            connection.sendall(token_response)

    return handle


def counting(connections: list[int], behaviour: Behaviour) -> Behaviour:
    """Count the connections to a server."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        connections.append(1)
        behaviour(server, connection)

    return handle


def test_next_request_uses_the_same_connection(
    transport: Transport, serve: Serve, token_request: RequestTo, keeps: Behaviour
) -> None:
    """Each of thousands of tenants of one host would make its own connection."""
    connections: list[int] = []
    server = serve(counting(connections, keeps))
    for _ in range(3):
        assert transport.send(token_request(server.url), 10).status == 200

    assert (len(server.received), len(connections)) == (3, 1)


def test_other_policy_or_trust_uses_another_connection(
    authority: trustme.CA,
    serve: Serve,
    token_request: RequestTo,
    keeps: Behaviour,
    secured: Callable[..., Behaviour],
) -> None:
    """A tenant's request would bypass the checks of its policy or of its authorities."""
    connections: list[int] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = serve(counting(connections, secured(context, keeps)))
    request = token_request(server.url.replace("http:", "https:"))
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2)]
    for each in contexts:
        authority.configure_trust(each)
    one, other = (Transport(tls=each) for each in contexts)
    for _ in range(2):
        one.send(request, 10)
    assert len(connections) == 1
    other.send(request, 10)
    assert len(connections) == 2
    policy = keyturn.NetworkPolicy(loopback=True, private_addresses=True)
    one.send(request, 10, policy=policy)
    assert len(connections) == 3
    with pytest.raises(errors.ConfigurationError, match=r"NetworkPolicy\.loopback"):
        one.send(request, 10, policy=keyturn.NetworkPolicy())
    with pytest.raises(errors.EndpointUnavailable, match="certificate"):
        Transport().send(request, 10)


def test_renewed_client_certificate_is_presented(
    authority: trustme.CA,
    serve: Serve,
    token_request: RequestTo,
    keeps: Behaviour,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kept connection with the old certificate would be used after a renewal."""
    shown: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def handle(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            names = secure.getpeercert()
            assert names is not None
            shown.append(str(names["subjectAltName"][0][1]))
            keeps(server, secure)

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pem = tmp_path / "client.pem"
    request = attrs.evolve(
        token_request(serve(handle).url.replace("http:", "https:")),
        certificate=ClientCertificate(str(pem), password=keyturn.Secret("")),
    )
    transport = Transport()
    for second, name in enumerate(("old.example", "new.example")):
        authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(pem)
        os.utime(pem, (second, second))
        for _ in range(2):
            transport.send(request, 10)

    assert shown == ["old.example", "new.example"]


def once(token_response: bytes, end: Callable[[socket.socket], None]) -> Behaviour:
    """Return the behaviour of a server that ends the first connection in its own way."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        is_first = not server.received
        server.read_request(connection)
        connection.sendall(token_response)
        if is_first:
            end(connection)
            return
        server.ended.wait(20)

    return handle


def test_connection_that_the_server_has_closed_is_not_used(
    transport: Transport,
    serve: Serve,
    token_request: RequestTo,
    token_response: bytes,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """The next tenant's request would fail, for a reason that is not its own."""
    server = serve(once(token_response, socket.socket.close))
    transport.send(token_request(server.url), 10)
    [idle] = kept_connections.get()._idle  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001
    wait_until(idle.connection.has_expired)

    assert transport.send(token_request(server.url), 10).status == 200
    assert len(server.received) == 2


def test_connection_that_was_reset_is_not_used(
    transport: Transport,
    serve: Serve,
    token_request: RequestTo,
    token_response: bytes,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """The next tenant's request would fail, for a reason that is not its own."""

    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    server = serve(once(token_response, reset))
    transport.send(token_request(server.url), 10)
    [idle] = kept_connections.get()._idle  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001
    wait_until(idle.connection.has_expired)

    assert transport.send(token_request(server.url), 10).status == 200


def test_request_on_a_connection_that_the_server_closes_is_sent_again(
    transport: Transport, serve: Serve, token_request: RequestTo, token_response: bytes
) -> None:
    """A request would fail when the server closes the kept connection at the same moment."""

    def read_and_close(connection: socket.socket) -> None:
        connection.recv(65_536)  # received, but not processed

    server = serve(once(token_response, read_and_close))
    for _ in range(2):
        assert transport.send(token_request(server.url), 10).status == 200

    assert len(server.received) == 2


@pytest.mark.parametrize("start", [b"H", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_request_whose_response_has_begun_is_not_sent_again(
    transport: Transport,
    serve: Serve,
    token_request: RequestTo,
    token_response: bytes,
    start: bytes,
) -> None:
    """A token request could be sent twice, although the server may have issued a token."""

    def begin(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(start)

    connections: list[int] = []
    server = serve(counting(connections, once(token_response, begin)))
    transport.send(token_request(server.url), 10)
    with pytest.raises(errors.EndpointUnavailable, match="closed the connection"):
        transport.send(token_request(server.url), 10)

    assert len(connections) == 1


def test_late_response_on_a_kept_connection_is_a_timeout(
    transport: Transport, serve: Serve, token_request: RequestTo, token_response: bytes
) -> None:
    """A request that timed out would be sent again at once, and miss its deadline."""
    connections: list[int] = []
    server = serve(
        counting(connections, once(token_response, lambda each: [each.recv(9) for _ in range(99)]))
    )
    transport.send(token_request(server.url), 10)
    with pytest.raises(errors.EndpointUnavailable, match=r"did not respond within 0\.2 s"):
        transport.send(token_request(server.url), 0.2)

    assert len(connections) == 1


def test_number_and_age_of_kept_connections_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
    serve: Serve,
    transport: Transport,
    token_request: RequestTo,
    keeps: Behaviour,
) -> None:
    """Each of thousands of hosts would use a file descriptor until the process ends."""
    now = [1_000.0]
    monkeypatch.setattr(kept, "_MOST", 2)
    monkeypatch.setattr(kept, "SYSTEM", Clock(monotonic=lambda: now[0]))
    connections: list[int] = []
    servers = [serve(counting(connections, keeps)) for _ in range(3)]
    for _ in range(2):
        for server in servers:
            transport.send(token_request(server.url), 10)
    assert len(connections) == 6  # the oldest of three is closed each time
    transport.send(token_request(servers[-1].url), 10)
    assert len(connections) == 6
    now[0] += 21.0
    transport.send(token_request(servers[-1].url), 10)
    assert len(connections) == 7


def test_nothing_is_kept_without_a_worker(
    serve: Serve, transport: Transport, token_request: RequestTo, keeps: Behaviour
) -> None:
    """A network connection would stay open until a process that needs one token ends."""
    connections: list[int] = []
    server = serve(counting(connections, keeps))
    transport.send(token_request(server.url), 10)
    kept_connections.get().leave()
    try:
        for _ in range(2):
            transport.send(token_request(server.url), 10)
    finally:
        kept_connections.get().enter()

    assert len(connections) == 3


FORK = """
import os, sys, keyturn
def ask(name):
    connection = keyturn.connect(
        "orocommerce", url=sys.argv[1], client_id=name, client_secret="x", store="memory://"
    )
    return connection.token().access_token
ask("parent")
child = os.fork()
if not child:
    os._exit(0 if ask("child") == "t0ken" else 1)
assert os.waitpid(child, 0)[1] == 0
print(ask("parent again"))
"""


def test_child_uses_no_connection_of_its_parent(
    serve: Serve, run_python: Callable[..., str], keeps: Behaviour
) -> None:
    """Two processes would read each other's tokens from one connection."""
    connections: list[int] = []
    server = serve(counting(connections, keeps))

    assert run_python(FORK, server.url.removesuffix("/token")) == "t0ken"
    assert (len(server.received), len(connections)) == (3, 2)
