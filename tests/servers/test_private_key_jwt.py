"""Clients with a private key or a certificate, verified by oidc-provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from joserfc import jwk

import keyturn
from keyturn import errors

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.conftest import OidcFiles, OidcProvider


@pytest.fixture
def files(oidc_provider: OidcProvider) -> OidcFiles:
    """Return the keys and certificates of the server's clients."""
    return oidc_provider.files


def with_key(server: OidcProvider, key: Path, **settings: Any) -> keyturn.Connection:
    """Return a connection of the client with a key, with its own store."""
    return keyturn.connect(
        "generic",
        client_authentication="private_key_jwt",
        client_id=f"{server.client_id}-key",
        private_key=key.read_text(),
        token_url=server.token_url,
        revocation_url=server.token_url.replace("/token", "/revocation"),
        store="memory://",
        **settings,
    )


def with_certificate(
    server: OidcProvider, files: OidcFiles, name: str, monkeypatch: pytest.MonkeyPatch
) -> keyturn.Connection:
    """Return a connection of the client with a certificate, with its own store."""
    monkeypatch.setenv("SSL_CERT_FILE", str(files.directory / "authority.pem"))
    return keyturn.connect(
        "generic",
        client_authentication="tls_client_auth",
        client_id=f"{server.client_id}-certificate",
        certificate=str(files.directory / f"{name}.pem"),
        token_url=server.token_url.replace(server.url, files.tls_url),
        store="memory://",
    )


def test_assertion_gives_tokens(oidc_provider: OidcProvider, files: OidcFiles) -> None:
    """The server accepts each `jti` once: a second token request would be rejected."""
    with with_key(oidc_provider, files.directory / "RSA.pem", scope="stage") as connection:
        first = connection.token()
        second = connection.token(stale=first)

    assert first.access_token != second.access_token
    assert first.scope == "stage"


def test_used_assertion_is_rejected(oidc_provider: OidcProvider, files: OidcFiles) -> None:
    """The test above would prove nothing if the server accepted it again."""
    request = with_key(oidc_provider, files.directory / "RSA.pem").token_request()
    body = request.body

    def send(body: bytes) -> httpx.Response:
        return httpx.post(request.url, content=body, headers=request.headers, trust_env=False)

    assert send(body).status_code == 200
    replayed = send(body)
    assert (replayed.status_code, replayed.json()["error"]) == (401, "invalid_client")
    assert send(request.body).status_code == 200


def test_revocation_is_sent_with_an_assertion(
    oidc_provider: OidcProvider, files: OidcFiles
) -> None:
    """A token could be requested, but not revoked."""
    with with_key(oidc_provider, files.directory / "RSA.pem") as connection:
        token = connection.token()
        connection.revoke()
        assert connection.token().access_token != token.access_token


# joserfc advises against the general name EdDSA, which is the one that servers know.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(
    ("algorithm", "kind"), [("PS256", "RSA"), ("ES256", "EC"), ("EdDSA", "OKP")]
)
def test_other_algorithms_are_verified(
    oidc_provider: OidcProvider, files: OidcFiles, algorithm: str, kind: str
) -> None:
    """A server could not verify the signature."""
    key = files.directory / f"{kind}.pem"
    with with_key(oidc_provider, key, assertion_algorithm=algorithm) as connection:
        assert connection.token().access_token


def test_key_of_another_client_is_rejected(oidc_provider: OidcProvider, tmp_path: Path) -> None:
    """The tests above would prove nothing if the server accepted any assertion."""
    key = tmp_path / "key.pem"
    key.write_bytes(jwk.RSAKey.generate_key(2048).as_pem(private=True))

    with with_key(oidc_provider, key) as connection, pytest.raises(errors.InvalidClient):
        connection.token()


def test_certificate_gives_a_token(
    oidc_provider: OidcProvider, files: OidcFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8705 section 2.1: a client that authenticates by its TLS certificate would fail."""
    with with_certificate(oidc_provider, files, "client", monkeypatch) as connection:
        assert connection.token().access_token


def test_certificate_of_another_client_is_rejected(
    oidc_provider: OidcProvider, files: OidcFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above would prove nothing if the server accepted any certificate."""
    with (
        with_certificate(oidc_provider, files, "unregistered", monkeypatch) as connection,
        pytest.raises(errors.InvalidClient),
    ):
        connection.token()
