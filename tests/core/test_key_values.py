"""Keys and certificates as values, without a file: as JWK and as PEM."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk, jwt
from tests.core.test_client_authentication import RSA, pem
from tests.core.test_mutual_tls import PROVIDER, SecureServer, authority, connect, server

import keyturn
from keyturn import errors
from keyturn._http.pem_files import pem_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme
    from tests.conftest import World

__all__ = ["authority", "server"]  # fixtures

RSA_JWK = jwk.RSAKey.import_key(pem(RSA))
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def as_jwk(key: Any, kind: Any) -> str:
    """Return a private key as JWK."""
    return json.dumps(kind.import_key(pem(key)).as_dict(private=True), indent=1)


SIGNING = keyturn.plugins.provider_from_data(
    {"token_url": "https://login.acme.example/token", "client_authentication": "private_key_jwt"},
    name="acme",
)


def problems_of(private_key: str) -> list[str]:
    """Return the problems of a private key."""
    row = {"client_id": "cid", "private_key": private_key}
    return [each.message for each in keyturn.problems(SIGNING, row)]


@pytest.mark.parametrize(
    ("key", "kind", "algorithm"), [(RSA, jwk.RSAKey, "RS256"), (EC_KEY, jwk.ECKey, "ES256")]
)
def test_assertion_is_signed_with_a_jwk(world: World, key: Any, kind: Any, algorithm: str) -> None:
    """A JWK from a vault would have to be converted manually."""
    data = {
        "token_url": "https://login.acme.example/token",
        "client_authentication": "private_key_jwt",
        "assertion_algorithm": algorithm,
    }
    provider = keyturn.plugins.provider_from_data(data, name="acme")
    private_key = as_jwk(key, kind)
    with keyturn.connect(
        provider, {"client_id": "cid", "private_key": private_key}, store=world.store
    ) as connection:
        request = connection.token_request()
        shown = f"{connection.settings!r} {request.redacted().body!r}"
    (assertion,) = [value for name, value in request.parameters if name == "client_assertion"]
    signed = assertion.value(1e9)  # type: ignore[union-attr]

    assert jwt.decode(signed, kind.import_key(pem(key)), algorithms=[algorithm]).claims["sub"]
    assert json.loads(private_key)["d"] not in shown


@pytest.mark.parametrize(
    ("data", "given", "wanted"),
    [
        ({}, {}, "jwk-1"),
        ({}, {"key_id": "key-2"}, "key-2"),
        ({"assertion_headers": {"kid": "key-3"}}, {}, "key-3"),
        ({"assertion_key_header": "x5t"}, {}, None),
    ],
)
def test_key_is_named_as_in_the_jwk(
    data: dict[str, Any], given: dict[str, str], wanted: str | None
) -> None:
    """A server that knows several keys would reject the assertion."""
    described = {"token_url": "https://login.acme.example/token", **data}
    provider = keyturn.plugins.provider_from_data(
        described | {"client_authentication": "private_key_jwt"}, name="acme"
    )
    key = json.loads(as_jwk(RSA, jwk.RSAKey)) | {"kid": "jwk-1"}
    settings = {"client_id": "cid", "private_key": json.dumps(key), **given}
    sent = parse_qs(keyturn.connect(provider, settings).token_request().body.decode())
    header = jwt.decode(sent["client_assertion"][0], RSA_JWK, algorithms=["RS256"]).header

    assert header.get("kid") == wanted


@pytest.mark.parametrize(
    "changed",
    [{"d": None}, {"kty": "oct"}, {"n": "A" * 1000}, {"oth": []}],
    ids=["public", "symmetric", "large", "many primes"],
)
def test_unusable_jwk_is_reported_at_once(changed: dict[str, Any]) -> None:
    """A key that blocks all threads, or can't sign, would be noticed only at the first request."""
    key = json.loads(as_jwk(RSA, jwk.RSAKey)) | changed

    assert len(problems_of(json.dumps(key))) == 1
    assert problems_of(as_jwk(RSA, jwk.RSAKey)) == []


@pytest.mark.parametrize("text", ["{not json}", "[]", '"x"', "{" * 20_000 + "}"])
def test_invalid_jwk_is_reported(text: str, world: World) -> None:
    """The setting would be accepted, and a raw error of a library would be raised later."""
    if problems_of(text):
        return
    connection = keyturn.connect(
        SIGNING, {"client_id": "cid", "private_key": text}, store=world.store
    )
    with connection, pytest.raises(errors.ConfigurationError, match="private_key: can't sign"):
        connection.token()


def pem_of(authority: trustme.CA) -> tuple[str, str]:
    """Return a certificate and its private key as PEM."""
    issued = authority.issue_cert("client.example")
    certificate = issued.cert_chain_pems[0].bytes().decode()
    return certificate, issued.private_key_pem.bytes().decode()


@pytest.mark.parametrize("in_memory", [True, False])
def test_certificate_is_presented_without_a_file(
    server: SecureServer,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_memory: bool,
) -> None:
    """A key in a vault would have to be written to a disk."""
    certificate, key = pem_of(authority)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    files = set(tmp_path.iterdir())
    for settings in (
        {"certificate": certificate, "certificate_key": key},
        {"certificate": key + certificate},
    ):
        with connect(server, **settings) as connection:
            connection.token()
            shown = f"{connection.settings!r} {connection.explain()}"
        assert key.splitlines()[2] not in shown
        assert certificate.splitlines()[2] not in shown

    assert server.seen == ["client.example"] * 2
    assert set(tmp_path.iterdir()) == files


def _refused(*_: object) -> int:
    raise PermissionError


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
@pytest.mark.parametrize("has_files", [True, False], ids=["sandbox", "no files in memory"])
def test_file_is_readable_by_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_files: bool
) -> None:
    """Another user of the machine could read the key while it is loaded."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr(os, "memfd_create", raising=False)
    if has_files:
        monkeypatch.setattr(os, "memfd_create", _refused, raising=False)
    with pem_file(keyturn.Secret("made-up")) as path:
        assert path is not None
        assert os.stat(path).st_mode & 0o777 == 0o600  # noqa: PTH116 - the path is a string
        assert path.startswith(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_damaged_certificate_is_reported(server: SecureServer) -> None:
    """A raw error of `ssl` would be raised, or the message would show the PEM as a path."""
    damaged = "-----BEGIN CERTIFICATE-----\nmade-up-canary\n-----END CERTIFICATE-----\n"
    with (
        connect(server, certificate=damaged) as connection,
        pytest.raises(errors.ConfigurationError, match="the given PEM can't be used") as caught,
    ):
        connection.token()
    assert "canary" not in str(caught.value)
    row = {"client_id": "cid", "certificate": "-----BEGIN x" + "\n" * 1_000_001}
    assert [each.path for each in keyturn.problems(PROVIDER, row)] == ["certificate"]


def test_strict_policy_allows_pem_and_no_path(authority: trustme.CA) -> None:
    """A tenant could not use a certificate, or could name a file on the platform's machine."""
    certificate, key = pem_of(authority)
    row = {"client_id": "cid", "certificate": certificate, "certificate_key": key}
    with keyturn.Connections(policy=keyturn.NetworkPolicy(), store="memory://") as connections:
        assert connections.problems(PROVIDER, row) == []
        wrong = connections.problems(PROVIDER, row | {"certificate_key": "/etc/passwd"})
        connections.open("tenant", PROVIDER, row)

    assert [each.path for each in wrong] == ["certificate_key"]


@pytest.mark.parametrize("source", ["env", "file", "command"])
def test_certificate_comes_from_a_reference(
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    server: SecureServer,
    configure: Callable[[str], None],
) -> None:
    """A certificate of a vault could not be named in `keyturn.toml`."""
    certificate, key = pem_of(authority)
    both = tmp_path / "both.pem"
    both.write_text(certificate + key)
    monkeypatch.setenv("CLIENT_PEM", certificate + key)
    targets: dict[str, Any] = {
        "env": "CLIENT_PEM",
        "file": str(both),
        "command": [sys.executable, "-c", "import os; print(os.environ['CLIENT_PEM'])"],
    }
    configure(
        f"""
        [connections.bank]
        provider = "generic"
        store = "memory://"
        token_url = "{server.url}"
        api_url = "{server.url}"
        client_id = "cid"
        client_authentication = "tls_client_auth"
        certificate = {{ {source} = {json.dumps(targets[source])} }}
        """
    )
    with keyturn.load_connection("bank") as connection:
        connection.token()

    assert server.seen == ["client.example"]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give a function that writes `keyturn.toml`."""

    def write(text: str) -> None:
        path = tmp_path / "keyturn.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        monkeypatch.setenv("KEYTURN_CONFIG", str(path))

    return write
