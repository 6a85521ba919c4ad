"""TLS to the token endpoint: the trusted certificates, and the end of a connection."""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509

from keyturn import errors

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

    import keyturn
    from keyturn._http.transport import Transport

    Behaviour = Callable[[RawServer, socket.socket], None]
    Serve = Callable[..., RawServer]
    RequestTo = Callable[[str], keyturn.plugins.TokenRequest]
    FailedRequest = Callable[..., errors.KeyturnError]


def secured(certificate: trustme.LeafCert, response: bytes, *, unwrap: bool = False) -> Behaviour:
    """Return a behaviour: TLS with a certificate, a response, and optionally close_notify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def handle(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            server.read_request(secure)
            secure.sendall(response)
            if unwrap:
                secure.unwrap()

    return handle


def over_tls(server: RawServer) -> str:
    """Return the https address of a server."""
    return server.url.replace("http:", "https:")


def test_trusted_certificate_is_accepted(
    trusting: Transport,
    serve: Serve,
    authority: trustme.CA,
    token_request: RequestTo,
    token_response: bytes,
) -> None:
    """No token request would succeed over TLS."""
    server = serve(secured(authority.issue_cert("127.0.0.1"), token_response))

    assert trusting.send(token_request(over_tls(server)), 10).status == 200


@pytest.mark.parametrize("unwrap", [True, False])
def test_body_may_end_with_the_connection(
    trusting: Transport, serve: Serve, authority: trustme.CA, token_request: RequestTo, unwrap: bool
) -> None:
    """Many servers close without TLS's close_notify; a token from them would be refused."""
    response = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000
    server = serve(secured(authority.issue_cert("127.0.0.1"), response, unwrap=unwrap))

    assert trusting.send(token_request(over_tls(server)), 10).body == b"x" * 100_000


def test_large_request_is_sent_whole(
    trusting: Transport, serve: Serve, authority: trustme.CA, token_response: bytes
) -> None:
    """The end of a long assertion would be cut off: one TLS record holds 16 KB."""
    from keyturn.plugins import TokenRequest

    server = serve(secured(authority.issue_cert("127.0.0.1"), token_response))
    value = "x" * 100_000

    assert trusting.send(TokenRequest("acme", over_tls(server), (("a", value),)), 10).status == 200
    assert server.received[0].endswith(b"a=" + value.encode())


@pytest.mark.parametrize("flaw", ["name", "authority", "expiry"])
def test_bad_certificate_is_rejected(
    trusting: Transport,
    serve: Serve,
    authority: trustme.CA,
    failed_request: FailedRequest,
    flaw: str,
    token_response: bytes,
) -> None:
    """The secret would be sent to an attacker in the network."""
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = {
        "name": lambda: authority.issue_cert("other.example"),
        "authority": lambda: trustme.CA().issue_cert("127.0.0.1"),
        "expiry": lambda: authority.issue_cert(
            "127.0.0.1", not_before=past, not_after=past + dt.timedelta(1)
        ),
    }[flaw]()
    server = serve(secured(certificate, token_response))
    error = failed_request(trusting, over_tls(server))

    assert isinstance(error, errors.EndpointUnavailable)
    assert "certificate" in str(error).lower()
    assert server.received == []


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["end", "HTTP"])
def test_failed_handshake_is_a_failure_of_the_endpoint(
    trusting: Transport, serve: Serve, failed_request: FailedRequest, sent: bytes
) -> None:
    """The caller would get a raw `ssl` error."""

    def no_tls(server: RawServer, connection: socket.socket) -> None:
        del server
        connection.recv(65_536)
        connection.sendall(sent)

    error = failed_request(trusting, over_tls(serve(no_tls)))

    assert isinstance(error, errors.EndpointUnavailable)
    assert "failed: " in str(error)


def subject_hash(authority: trustme.CA) -> str:
    """Return the name of a certificate's file in a directory, as `openssl rehash` gives it."""
    canonical = b""
    for attribute in x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject:
        # Like the certificate's own DER, but in lower case and without the outer sequence.
        value = str(attribute.value)
        single = x509.Name([x509.NameAttribute(attribute.oid, " ".join(value.lower().split()))])
        canonical += single.public_bytes()[2:]
    digest = hashlib.sha1(canonical).digest()  # noqa: S324 - OpenSSL's choice
    return f"{int.from_bytes(digest[:4], 'little'):08x}.0"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_authorities_of_the_environment_are_trusted(
    transport: Transport,
    serve: Serve,
    authority: trustme.CA,
    token_request: RequestTo,
    token_response: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """No token request would succeed in a company with its own authority."""
    # OpenSSL looks in a directory for a file that is named after the authority.
    file = tmp_path / subject_hash(authority)
    authority.cert_pem.write_to_path(file)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, str(file if variable == "SSL_CERT_FILE" else tmp_path))
    server = serve(secured(authority.issue_cert("127.0.0.1"), token_response))

    assert transport.send(token_request(over_tls(server)), 10).status == 200


def test_unknown_authority_is_rejected_by_default(
    transport: Transport,
    serve: Serve,
    authority: trustme.CA,
    failed_request: FailedRequest,
    token_response: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Any certificate would be trusted if the environment names no authority."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    server = serve(secured(authority.issue_cert("127.0.0.1"), token_response))
    error = failed_request(transport, over_tls(server))

    assert isinstance(error, errors.EndpointUnavailable)
    assert "certificate" in str(error).lower()
    assert server.received == []
