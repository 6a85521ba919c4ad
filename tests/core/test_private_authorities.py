"""Private certificate authorities: the variables and options that name them, and the errors."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import keyturn
from keyturn import errors
from keyturn._http.transport import Transport

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

    Behaviour = Callable[[RawServer, socket.socket], None]
    Serve = Callable[[Behaviour], RawServer]

VARIABLES = ("KEYTURN_CA_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the environment's variables for authorities and proxies."""
    for name in (*VARIABLES, "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


class Issued(NamedTuple):
    """A certificate and its key.

    Args:
        certificate: The certificate.
        key: Its private key.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def with_key(self) -> bytes:
        """Return the certificate and its key as PEM."""
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.pem() + self.key.private_bytes(encoding, form, serialization.NoEncryption())


def issue(name: str, issuer: Issued | None = None) -> Issued:
    """Return a CA certificate without the further extensions that RFC 5280 requires."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.issuer_name(issuer.certificate.subject if issuer else subject)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=1))
    builder = builder.not_valid_after(now + dt.timedelta(days=1))
    if issuer and name == "server":
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    else:
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=False)  # noqa: FBT003 - its only form
    return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


@pytest.fixture(scope="module")
def root() -> Issued:
    """Give an authority as many companies have: without key usage and key identifiers."""
    return issue("root")


@pytest.fixture(scope="module")
def server_context(root: Issued, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Give the TLS context of a server whose certificate that authority has issued."""
    file = tmp_path_factory.mktemp("server") / "server.pem"
    file.write_bytes(issue("server", root).with_key())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture
def secure(serve: Serve, token_response: bytes) -> Callable[[ssl.SSLContext], RawServer]:
    """Give a function that starts a TLS server, which records each connection."""

    def start(context: ssl.SSLContext) -> RawServer:
        def handle(server: RawServer, connection: socket.socket) -> None:
            server.received.append(b"")
            with context.wrap_socket(connection, server_side=True) as within:
                server.read_request(within)
                within.sendall(token_response)

        return serve(handle)

    return start


def failure(server: RawServer, host: str = "127.0.0.1", **options: Any) -> errors.KeyturnError:
    """Return the error of a connection's token request."""
    settings = {"client_id": "cid", "client_secret": "s3cret-for-tests"}
    with (
        keyturn.connect(
            "orocommerce",
            settings | {"url": f"https://{host}:{server.port}"},
            store="memory://",
            **options,
        ) as connection,
        pytest.raises(errors.KeyturnError) as caught,
    ):
        connection.token()
    return caught.value


def over_tls(server: RawServer) -> str:
    """Return the https address of a server."""
    return server.url.replace("http:", "https:")


def name_authority(
    root: Issued, variable: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Set a variable to the path of an authority, and return the path."""
    path = directory
    if variable == "SSL_CERT_DIR":
        (directory / "1234abcd.0").write_bytes(root.pem())
    else:
        path = directory / "authority.pem"
        path.write_bytes(root.pem())
    monkeypatch.setenv(variable, str(path))
    return path


# --- authorities that Python 3.13 would reject ---


@pytest.mark.parametrize("variable", ["KEYTURN_CA_FILE", "SSL_CERT_FILE", "tls"])
def test_authority_that_violates_rfc_5280_is_trusted_if_it_is_named(
    root: Issued,
    secure: Callable[..., RawServer],
    server_context: ssl.SSLContext,
    token_request: Callable[..., keyturn.plugins.TokenRequest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """A company's authority would stop working with Python 3.13, which checks RFC 5280 strictly."""
    path = name_authority(root, variable, tmp_path, monkeypatch)
    transport = Transport(tls=str(path) if variable == "tls" else None)
    server = secure(server_context)

    assert transport.send(token_request(over_tls(server)), 10).status == 200


def test_intermediate_authority_may_be_the_only_trusted_one(
    secure: Callable[..., RawServer],
    token_request: Callable[..., keyturn.plugins.TokenRequest],
    tmp_path: Path,
) -> None:
    """A company's intermediate authority would be trusted only on Python 3.13."""
    middle = issue("middle", issue("root"))
    (tmp_path / "server.pem").write_bytes(issue("server", middle).with_key())
    (tmp_path / "middle.pem").write_bytes(middle.pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    transport = Transport(tls=str(tmp_path / "middle.pem"))

    assert transport.send(token_request(over_tls(secure(context))), 10).status == 200


def test_strict_context_says_what_to_change(
    root: Issued, secure: Callable[..., RawServer], server_context: ssl.SSLContext
) -> None:
    """On Python 3.13, the error would say that verification failed, but not what to change."""
    strict = ssl.create_default_context(cadata=root.pem().decode())
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    server = secure(server_context)
    error = failure(server, tls=strict)

    assert "failed: its certificate does not follow RFC 5280" in str(error)
    assert "ssl.VERIFY_X509_STRICT" in error.hint
    assert "KEYTURN_CA_FILE" in error.hint
    assert len(server.received) == 1


# --- permanent failures are not retried ---


@pytest.mark.parametrize(
    ("flaw", "message", "hint"),
    [
        ("authority", "its certificate is not trusted (", "PEM file in tls or KEYTURN_CA_FILE."),
        ("name", "its certificate is for another host (", "Check the address; if it is right, "),
        ("expired", "its certificate is outside its validity period (", "machine's clock"),
        ("future", "its certificate is outside its validity period (", "machine's clock"),
    ],
)
def test_bad_certificate_is_not_retried(
    secure: Callable[..., RawServer], flaw: str, message: str, hint: str
) -> None:
    """keyturn would send three requests, although a retry cannot help."""
    authority, client = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    day, now = dt.timedelta(1), dt.datetime.now(dt.UTC)
    start = {"expired": now - 9 * day, "future": now + 9 * day}.get(flaw, now - day)
    host = "other.example" if flaw == "name" else "127.0.0.1"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert(host, not_before=start, not_after=start + 2 * day)
    certificate.configure_cert(context)
    if flaw != "authority":
        authority.configure_trust(client)
    server = secure(context)
    error = failure(server, tls=client)

    assert isinstance(error, errors.EndpointUnavailable)
    assert message in str(error)
    assert hint in error.hint
    assert not error.transient
    assert len(server.received) == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_missing_client_certificate_is_not_retried(
    root: Issued, secure: Callable[..., RawServer], tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """A server that requires a client certificate would be reported as unavailable."""
    for name, content in {"ca": root.pem(), "server": issue("server", root).with_key()}.items():
        (tmp_path / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server")
    context.load_verify_locations(tmp_path / "ca")
    context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, version
    server = secure(context)
    error = failure(server, tls=str(tmp_path / "ca"))

    assert isinstance(error, errors.EndpointUnavailable)
    assert "failed: TLS failed (" in str(error)
    assert not error.transient
    assert len(server.received) == 1
    if version == ssl.TLSVersion.TLSv1_3:
        assert "check the setting certificate" in error.hint


@pytest.mark.parametrize(
    ("sent", "message", "attempts"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "failed: TLS failed (wrong version number).", 1),
        (b"\x15\x03\x03\x00\x02\x02\x46", "alert protocol version).", 1),
        (b"\x15\x03\x03\x00\x02\x02\x50", "alert internal error).", 3),
        (b"", "failed: TLS failed (", 3),
    ],
    ids=["no TLS", "another version", "a server in trouble", "the end"],
)
def test_failed_handshake_is_retried_if_a_retry_may_help(
    serve: Serve, sent: bytes, message: str, attempts: int
) -> None:
    """A temporary failure would not be retried, or a wrong address would be tried three times."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        server.received.append(connection.recv(65_536))
        connection.sendall(sent)

    server = serve(handle)
    error = failure(server)

    assert isinstance(error, errors.EndpointUnavailable)
    assert message in str(error)
    assert len(server.received) == attempts


# --- variables and options that name authorities ---


def test_source_of_the_authorities_is_named(
    secure: Callable[..., RawServer],
    server_context: ssl.SSLContext,
    token_request: Callable[..., keyturn.plugins.TokenRequest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The user would change a variable that has no effect."""
    url = over_tls(secure(server_context))
    hints: list[str] = []
    for source in ("", "SSL_CERT_FILE", "KEYTURN_CA_FILE"):
        if source:
            name_authority(issue("other"), source, tmp_path, monkeypatch)
        with pytest.raises(errors.EndpointUnavailable) as caught:
            Transport().send(token_request(url), 10)
        hints.append(caught.value.hint)
    error = failure(secure(server_context), tls=str(tmp_path / "authority.pem"))

    file = tmp_path / "authority.pem"
    named = [hint.partition(" To trust")[0].partition("those of ")[2] for hint in hints]
    assert named == ["certifi.", f"SSL_CERT_FILE ({file}).", f"KEYTURN_CA_FILE ({file})."]
    assert f"those of tls ({file})." in error.hint


FLAWS: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "text": b"s3cret-for-tests\n",
    "DER": b"\x30\x82\x01\x0a",
    "key": b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
    "damaged": b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
}
NO_PEM = "it contains no PEM certificate, or a damaged one"


@pytest.mark.parametrize("variable", VARIABLES[:2])
@pytest.mark.parametrize("flaw", FLAWS)
def test_unusable_file_is_reported_by_its_variable(
    transport: Transport,
    failed_request: Callable[..., errors.KeyturnError],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flaw: str,
    variable: str,
) -> None:
    """A wrong file would be reported as a provider's defect, or every certificate rejected."""
    file, content = tmp_path / "ca.pem", FLAWS[flaw]
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(variable, str(file))
    error = failed_request(transport, "https://127.0.0.1:9/token")

    cause = "No such file or directory" if content is None else NO_PEM
    assert isinstance(error, errors.ConfigurationError)
    assert f"{file}, which {variable} names, can't be used ({cause})." in str(error)
    assert f"{variable} must name a PEM file of certificate authorities." in error.hint


@pytest.mark.parametrize("variable", VARIABLES)
def test_path_of_the_wrong_kind_is_reported(
    transport: Transport,
    failed_request: Callable[..., errors.KeyturnError],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """With a directory without certificates, every server would be untrusted without a reason."""
    monkeypatch.setenv(variable, str(tmp_path))
    error = failed_request(transport, "https://127.0.0.1:9/token")

    is_directory = variable == "SSL_CERT_DIR"
    cause = "none of its files is named by a hash; run openssl rehash on it"
    assert isinstance(error, errors.ConfigurationError)
    assert f"({cause if is_directory else 'it is not a regular file'})" in str(error)
    assert f"{variable} must name a {'directory' if is_directory else 'PEM file'} of" in error.hint


@pytest.mark.parametrize("flaw", FLAWS)
def test_unusable_file_of_the_option_is_a_mistake(tmp_path: Path, flaw: str) -> None:
    """A file without an authority would be noticed only at the first token request."""
    file, content = tmp_path / "ca.pem", FLAWS[flaw]
    if content is not None:
        file.write_bytes(content)
    settings = {"url": "https://shop.example", "client_id": "c", "client_secret": "x"}
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", settings, store="memory://", tls=str(file))

    [problem] = caught.value.problems
    cause = "No such file or directory" if content is None else NO_PEM
    assert str(problem) == f"tls: {file} can't be used ({cause})."
