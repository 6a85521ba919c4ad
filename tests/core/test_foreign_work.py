"""A slow provider, key or certificate of one connection blocks no other connection."""

from __future__ import annotations

import base64
import os
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import keyturn
from keyturn import errors
from keyturn._connection import make_connection
from keyturn._http.tls import Trust
from keyturn._tokens.options import Options, Specification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.conftest import RawServer

    Serve = Callable[..., RawServer]

USUAL: dict[str, Any] = {
    "token_url": "https://replaced.example",
    "client_id": "cid",
    "client_secret": "s3cret-for-tests",
}
# Two Mersenne primes: their product has 8,676 bits.
PRIMES = (2**4423 - 1, 2**4253 - 1)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Give the event that a slow provider waits for; it is set when the test ends."""
    event = threading.Event()
    yield event
    event.set()


class Waiting(keyturn.plugins.DynamicValue):
    """A value that calls a function before it is returned."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call

    def value(self, now: float) -> str:
        """Return a string after the call."""
        self.call()
        return f"x{now:.0f}"

    def inputs(self) -> Iterable[str]:
        """Return nothing."""
        return ()


class Slow(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
    """A provider that calls a function in one of its methods."""

    name = "slow"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://replaced.example"

    def __init__(self, method: str, call: Callable[[], object]) -> None:
        self._slow, self._call = method, call

    def token_request(
        self, settings: keyturn.plugins.ConfidentialSettings
    ) -> keyturn.plugins.TokenRequest:
        """Return a request, with a value that is slow when it is sent."""
        request = super().token_request(settings)
        slow = Waiting(self._call if self._slow == "value" else str)
        return attrs.evolve(request, parameters=(*request.parameters, ("slow", slow)))

    def read_token(
        self,
        settings: keyturn.plugins.ConfidentialSettings,
        response: keyturn.plugins.Response,
        request: keyturn.plugins.TokenRequest,
    ) -> keyturn.Token:
        """Return the token after the call."""
        if self._slow == "read_token":
            self._call()
        return super().read_token(settings, response, request)

    def authorization(
        self, settings: keyturn.plugins.ConfidentialSettings, token: keyturn.Token
    ) -> tuple[str, str]:
        """Return the header after the call."""
        if self._slow == "authorization":
            self._call()
        return super().authorization(settings, token)

    def read_error(
        self, settings: keyturn.plugins.ConfidentialSettings, response: keyturn.plugins.Response
    ) -> keyturn.plugins.OAuthError | None:
        """Return the error after the call."""
        if self._slow == "read_error":
            self._call()
        return super().read_error(settings, response)


def connect(provider: Any, token_url: str, **options: Any) -> keyturn.Connection:
    """Return a connection to a server of the test's own."""
    return keyturn.connect(provider, **USUAL | {"token_url": token_url}, **options)


@pytest.mark.parametrize(
    ("method", "cause"),
    [
        ("value", "has not responded"),
        ("read_error", "a secret reference or the provider's code takes longer"),
        ("read_token", "a secret reference or the provider's code takes longer"),
        ("authorization", "a secret reference or the provider's code takes longer"),
    ],
)
def test_slow_provider_times_out_and_delays_no_other(
    serve: Serve, token_response: bytes, released: threading.Event, method: str, cause: str
) -> None:
    """One connection's signature on a slow key store would block all token requests."""
    slow = Slow(method, lambda: released.wait(30))
    server = serve(token_response)
    ailing = connect(slow, server.url, timeout=0.3)
    with pytest.raises(errors.EndpointUnavailable, match=r"no token came within 0\.3 s") as caught:
        ailing.token()
    assert cause in caught.value.message

    others = connect("orocommerce", server.url, timeout=3, url="https://shop.example")
    assert others.token().access_token == "t0ken"


def test_value_may_use_the_token_of_another_connection(serve: Serve, token_response: bytes) -> None:
    """A platform whose secret comes from a vault, read with another token, would deadlock."""
    server = serve(token_response)
    vault = connect("orocommerce", server.url, url="https://shop.example")
    seen: list[str] = []
    provider = Slow("value", lambda: seen.append(vault.token().access_token))

    assert connect(provider, server.url, timeout=3).token().access_token == "t0ken"
    assert seen == ["t0ken"]


def test_two_connections_that_need_each_other_get_an_error(
    serve: Serve, token_response: bytes
) -> None:
    """Both connections and their workers would wait forever."""
    server, connections = serve(token_response), dict[str, keyturn.Connection]()
    both = threading.Barrier(2)

    def other(name: str) -> Callable[[], object]:
        def call() -> object:
            both.wait(5)
            return connections[name].token()

        return call

    for name, needed in (("a", "b"), ("b", "a")):
        url = f"{server.url}/{name}"
        connections[name] = connect(Slow("value", other(needed)), url, timeout=0.5, name=name)
    failures: list[errors.KeyturnError] = []

    def ask(name: str) -> None:
        with pytest.raises(errors.KeyturnError) as caught:
            connections[name].token()
        failures.append(caught.value)

    threads = [threading.Thread(target=ask, args=(name,)) for name in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(failures) == 2
    assert connect("orocommerce", server.url, url="https://shop.example").token()


def test_slow_secret_reference_times_out(
    serve: Serve, token_response: bytes, released: threading.Event
) -> None:
    """A caller would wait for a hanging vault beyond the timeout of a token request."""
    plain = connect("orocommerce", serve(token_response).url, url="https://shop.example")

    def resolve() -> keyturn.plugins.Settings:
        released.wait(30)
        return plain.settings

    specification = Specification(plain.provider, resolve, options=Options(timeout=0.3))
    connection = make_connection(specification, keyturn.stores.from_url("memory://"))
    with pytest.raises(errors.EndpointUnavailable, match="a secret reference or the provider's"):
        connection.token()
    assert plain.token().access_token == "t0ken"


@pytest.mark.parametrize("part", ["certificate", "certificate_key"])
def test_certificate_that_is_a_pipe_is_refused_at_once(tmp_path: Path, part: str) -> None:
    """A thread would wait forever for data from the pipe."""
    pipe, file = tmp_path / "pipe.pem", tmp_path / "file.pem"
    os.mkfifo(pipe)
    file.touch()
    files: dict[str, Any] = {"certificate": str(file), "certificate_key": str(file)} | {
        part: str(pipe)
    }
    provider = keyturn.plugins.provider_from_data(
        {"token_url": USUAL["token_url"], "client_authentication": "tls_client_auth"}, name="acme"
    )
    connection = keyturn.connect(provider, client_id="cid", **files)

    with pytest.raises(errors.ConfigurationError, match=r"pipe\.pem .*is not a regular file"):
        connection.token()


def test_authorities_in_a_device_or_a_huge_file_are_refused(tmp_path: Path) -> None:
    """An endless device would fill the memory and block the caller."""
    with pytest.raises(
        errors.ConfigurationError, match=r"/dev/zero can't be used \(it is not a reg"
    ):
        connect("orocommerce", "https://127.0.0.1:9", url="https://shop.example", tls="/dev/zero")
    large = tmp_path / "large.pem"
    large.touch()
    os.truncate(large, 2**40)
    with pytest.raises(errors.ConfigurationError, match="is larger than 16777216 bytes"):
        Trust(str(large)).context()


def pem(label: str, der: bytes, head: str = "") -> str:
    """Return DER as PEM."""
    return (
        f"-----BEGIN {label}-----\n{head}{base64.encodebytes(der).decode()}-----END {label}-----\n"
    )


def encoded(tag: int, content: bytes) -> bytes:
    """Return one element of DER."""
    size = len(content)
    length = size.to_bytes(-(-size.bit_length() // 8), "big")
    return (
        bytes([tag, size] if size < 128 else [tag, 128 + len(length)])
        + length * (size > 127)
        + content
    )


def rsa_key(primes: tuple[int, int]) -> bytes:
    """Return an RSA private key (RFC 8017 appendix A.1.2)."""
    p, q = primes
    exponent = 65537
    private = pow(exponent, -1, (p - 1) * (q - 1))
    parts = (0, p * q, exponent, private, p, q, private % (p - 1), private % (q - 1), pow(q, -1, p))
    numbers = [encoded(2, each.to_bytes(each.bit_length() // 8 + 1, "big")) for each in parts]
    return encoded(0x30, b"".join(numbers))


def large_keys() -> Mapping[str, str]:
    """Return an RSA key of 8,676 bits in the forms that libraries read."""
    key = rsa_key(PRIMES)
    rsa = encoded(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    traditional = pem("RSA PRIVATE KEY", key)
    return {
        "traditional": traditional,
        "PKCS#8": pem("PRIVATE KEY", encoded(0x30, b"\2\1\0" + rsa + encoded(4, key))),
        "after a small key": pem("PRIVATE KEY", encoded(0x30, b"\2\1\0")) + traditional,
        "with headers": pem("RSA PRIVATE KEY", key, "a: b-c\n\n"),
        "in the midst": f"-----BEGIN PRIVATE KEY-----\nA{traditional}",
        "OpenSSH": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
        "with much around it": f"-----BEGIN {'x' * 40_000}\n{traditional}",
    }


LARGE_KEYS = large_keys()
JWT = keyturn.plugins.provider_from_data(
    {"token_url": USUAL["token_url"], "client_authentication": "private_key_jwt"}, name="jwt"
)


@pytest.mark.parametrize("form", LARGE_KEYS)
def test_large_key_is_refused_before_it_is_loaded(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every thread would be blocked for 20 seconds while OpenSSL checks the primes."""

    def load(*_: object, **__: object) -> None:
        pytest.fail("it is loaded")

    for name in ("load_pem_private_key", "load_ssh_private_key", "load_der_private_key"):
        monkeypatch.setattr(f"joserfc._rfc7517.pem.{name}", load)
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect(JWT, client_id="cid", private_key=LARGE_KEYS[form]).token()

    assert "private_key: " in str(caught.value)
    assert "A" * 10 not in str(caught.value)
