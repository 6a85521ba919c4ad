"""The option `tls`: the certificate authorities that one connection trusts."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import keyturn
from keyturn import errors
from keyturn._http.credentials import ClientCertificate
from keyturn._http.transport import Transport

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    import trustme
    from tests.conftest import RawServer


def connect(url: str, **options: Any) -> keyturn.Connection:
    """Return a connection to a server on loopback."""
    return keyturn.connect(
        "orocommerce", url=url, client_id="c", client_secret="x", store="memory://", **options
    )


@pytest.fixture
def server_url(
    serve: Callable[..., RawServer],
    authority: trustme.CA,
    token_response: bytes,
    secured: Callable[..., Any],
) -> str:
    """Give the address of a server with a certificate of the tests' authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def handle(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(token_response)

    url = serve(secured(context, handle)).url
    return url.removesuffix("/token").replace("http:", "https:")


def test_option_sets_the_authority_of_one_connection(
    server_url: str, authority: trustme.CA, tmp_path: Path
) -> None:
    """A private authority would need an environment variable for the whole process."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    with pytest.raises(errors.EndpointUnavailable, match="certificate"):
        connect(server_url).token()
    for tls in (context, str(file), str(file)):
        assert connect(server_url, tls=tls).token().access_token == "t0ken"


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        ("/nowhere/ca.pem", "/nowhere/ca.pem can't be used"),
        ("", "must be an ssl.SSLContext, or the path of a PEM file"),
        (True, "must be an ssl.SSLContext, or the path of a PEM file"),
    ],
)
def test_wrong_value_is_a_mistake(tls: Any, message: str) -> None:
    """A typing error would be reported only at the first token request, or never."""
    with pytest.raises(errors.ConfigurationError) as caught:
        connect("https://shop.example", tls=tls)

    [problem] = caught.value.problems
    assert (problem.path, message in problem.message) == ("tls", True)


def test_file_that_holds_no_certificate_is_a_mistake(tmp_path: Path) -> None:
    """With an empty file, no server would be trusted, and the error would not say why."""
    file = tmp_path / "ca.pem"
    file.touch()
    with pytest.raises(errors.ConfigurationError, match=r"ca\.pem can't be used"):
        connect("https://shop.example", tls=str(file))


def test_context_of_the_user_is_not_changed(
    token_request: Callable[[str], keyturn.plugins.TokenRequest], tmp_path: Path
) -> None:
    """One tenant's client certificate would be presented for another tenant."""
    transport = Transport(tls=ssl.create_default_context())
    request = attrs.evolve(
        token_request("https://127.0.0.1:9/token"),
        certificate=ClientCertificate(str(tmp_path / "client.pem")),
    )
    with pytest.raises(errors.ConfigurationError, match=r"tls is an ssl\.SSLContext"):
        transport.send(request, 10)


def test_client_certificate_and_authorities_of_one_connection(
    serve: Callable[..., RawServer],
    authority: trustme.CA,
    token_request: Callable[[str], keyturn.plugins.TokenRequest],
    token_response: bytes,
    tmp_path: Path,
) -> None:
    """A connection with a client certificate would ignore its authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def handle(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            server.read_request(secure)
            secure.sendall(token_response)

    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pem = tmp_path / "client.pem"
    authority.issue_cert("me.example").private_key_and_cert_chain_pem.write_to_path(pem)
    request = attrs.evolve(
        token_request(serve(handle).url.replace("http:", "https:")),
        certificate=ClientCertificate(str(pem)),
    )
    assert Transport(tls=str(tmp_path / "ca.pem")).send(request, 10).status == 200
