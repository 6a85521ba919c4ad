"""Mutual TLS (RFC 8705 section 2): the certificate that the client presents."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

import keyturn
from keyturn import errors
from keyturn._clock import Clock
from keyturn._connection import make_connection
from keyturn._http.transport import Transport
from keyturn._tokens.options import Specification

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

PASSWORD = "s3cret-for-tests"
PROVIDER = keyturn.plugins.provider_from_data(
    {"token_url": "https://login.acme.example/token", "client_authentication": "tls_client_auth"},
    name="acme",
)
PUBLIC = keyturn.plugins.provider_from_data(
    {"token_url": "https://login.acme.example/token", "credentials": "public"}, name="acme"
)


class SecureServer:
    """A token endpoint on loopback that requires a client certificate and records its name.

    Args:
        serve: Starts a server.
        authority: The authority of the server's and the client's certificate.
        response: The bytes of its response.
    """

    def __init__(
        self, serve: Callable[..., RawServer], authority: trustme.CA, response: bytes
    ) -> None:
        self.seen: list[str] = []
        self._response = response
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(self._context)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self.url = serve(self._handle).url.replace("http:", "https:")

    def _handle(self, server: RawServer, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as secure:
            shown: Any = secure.getpeercert()
            self.seen.append(shown["subjectAltName"][0][1])
            server.read_request(secure)
            secure.sendall(self._response)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give a certificate authority of the tests' own."""
    return trustme.CA()


@pytest.fixture
def server(
    serve: Callable[..., RawServer],
    authority: trustme.CA,
    token_response: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> SecureServer:
    """Give a server that asks for a certificate; this process trusts its authority."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return SecureServer(serve, authority, token_response)


def write(path: Path, certificate: trustme.LeafCert, password: str = "") -> None:
    """Write a certificate with its private key, which may be encrypted."""
    key = certificate.private_key_pem.bytes()
    if password:
        key = serialization.load_pem_private_key(key, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
    path.write_bytes(key + certificate.cert_chain_pems[0].bytes())


def connect(
    server: SecureServer, provider: keyturn.plugins.Provider[Any] = PROVIDER, **settings: Any
) -> keyturn.Connection:
    """Return a connection to the server, with its own transport and store."""
    values = provider.settings(client_id="cid", token_url=server.url, **settings)
    store = keyturn.stores.from_url("memory://")
    clock = Clock(sleep=lambda _: None)  # between attempts
    return make_connection(
        Specification(provider, values),
        store,
        clock=clock,
        transport=Transport(),
    )


def test_client_presents_its_certificate(
    server: SecureServer, authority: trustme.CA, tmp_path: Path
) -> None:
    """The server would not identify the client."""
    write(tmp_path / "client.pem", authority.issue_cert("client.example"))
    connection = connect(server, certificate=str(tmp_path / "client.pem"))

    assert connection.token().access_token == "t0ken"
    assert server.seen == ["client.example"]


def test_key_may_be_in_a_separate_file(
    server: SecureServer, authority: trustme.CA, tmp_path: Path
) -> None:
    """The two files of a tool that renews certificates would have to be joined."""
    certificate = authority.issue_cert("client.example")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "client.key")
    paths = {"certificate": "client.pem", "certificate_key": "client.key"}
    connection = connect(server, **{name: str(tmp_path / file) for name, file in paths.items()})

    assert connection.token().access_token == "t0ken"


def test_key_may_be_encrypted(server: SecureServer, authority: trustme.CA, tmp_path: Path) -> None:
    """A private key could only be kept unencrypted."""
    write(tmp_path / "client.pem", authority.issue_cert("client.example"), PASSWORD)
    connection = connect(
        server,
        certificate=str(tmp_path / "client.pem"),
        certificate_password=keyturn.Secret(PASSWORD),
    )

    assert connection.token().access_token == "t0ken"
    assert PASSWORD not in connection.explain() + repr(connection.token_request().certificate)


def test_certificate_that_was_renewed_in_place_is_used_next_time(
    server: SecureServer, authority: trustme.CA, tmp_path: Path
) -> None:
    """A long-running process would present the old certificate until it is refused."""
    connection = connect(server, certificate=str(tmp_path / "client.pem"))
    for name in ("first.example", "second.example"):
        write(tmp_path / "client.pem", authority.issue_cert(name))
        connection.invalidate(connection.token())

    assert server.seen == ["first.example", "second.example"]


def test_without_certificate_there_is_no_token(server: SecureServer) -> None:
    """The caller would get a raw `ssl` error when the server refuses the handshake."""
    connection = connect(server, PUBLIC)
    refused = pytest.raises(errors.EndpointUnavailable)

    with refused:
        connection.token()
    assert server.seen == []


BAD_FILES: dict[str, Callable[[Path, trustme.LeafCert], object]] = {
    "missing": lambda *_: None,
    "a directory": lambda path, _: path.mkdir(),
    "empty": lambda path, _: path.touch(),
    "garbage": lambda path, _: path.write_bytes(b"\0garbage"),
    "without key": lambda path, certificate: certificate.cert_chain_pems[0].write_to_path(path),
    "without certificate": lambda path, certificate: certificate.private_key_pem.write_to_path(
        path
    ),
    "encrypted": lambda path, certificate: write(path, certificate, "another-one"),
}


@pytest.mark.parametrize("password", [None, PASSWORD, "x" * 2000], ids=["none", "wrong", "long"])
@pytest.mark.parametrize("make", BAD_FILES.values(), ids=BAD_FILES)
def test_unusable_certificate_is_reported(
    server: SecureServer,
    authority: trustme.CA,
    tmp_path: Path,
    make: Callable[[Path, trustme.LeafCert], object],
    password: str | None,
) -> None:
    """OpenSSL would ask for a password at the terminal, or the caller get a raw `ssl` error."""
    path = tmp_path / "client.pem"
    make(path, authority.issue_cert("client.example"))
    secret = None if password is None else keyturn.Secret(password)
    connection = connect(server, certificate=str(path), certificate_password=secret)

    with pytest.raises(errors.ConfigurationError, match=r"^acme: certificate: /") as caught:
        connection.token()

    assert f"{path} can't be used" in str(caught.value)
    assert not password or password not in str(caught.value)
    assert caught.value.__context__ is None
    assert server.seen == []


def test_key_of_another_certificate_is_reported(
    server: SecureServer, authority: trustme.CA, tmp_path: Path
) -> None:
    """The error would not say that the key and the certificate don't match."""
    for name in ("one", "other"):
        write(tmp_path / f"{name}.pem", authority.issue_cert(f"{name}.example"))
    one, other = str(tmp_path / "one.pem"), str(tmp_path / "other.pem")

    with pytest.raises(errors.ConfigurationError, match="can't be used"):
        connect(server, certificate=one, certificate_key=other).token()


def test_fingerprint_depends_on_the_certificates_path(server: SecureServer) -> None:
    """Two clients without an ID, distinguished by certificates alone, would share tokens."""
    prints = {
        connect(server, **settings).token_request().fingerprint
        for settings in (
            {"certificate": "/a.pem"},
            {"certificate": "/b.pem"},
            {"certificate": "/a.pem", "certificate_key": "/b.pem"},
            {"certificate": "/a.pem", "certificate_password": keyturn.Secret(PASSWORD)},
        )
    }
    assert len(prints) == 4
