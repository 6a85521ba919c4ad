"""Fixtures of the core tests: platforms described by data, token requests, TLS and a proxy."""

from __future__ import annotations

import json
import select
import socket
import ssl
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trustme

import keyturn
from keyturn import errors
from keyturn._connection import make_connection
from keyturn._http.transport import Transport
from keyturn._providers.settings import read as read_settings
from keyturn._tokens.options import Specification

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer, World

    Behaviour = Callable[[RawServer, socket.socket], None]

SECRET = "s3cret-for-tests"
CREDENTIALS = {"client_id": "cid", "client_secret": SECRET}


_described: dict[str, keyturn.plugins.Provider[Any]] = {}


def described(data: dict[str, Any]) -> keyturn.plugins.Provider[Any]:
    """Return the provider `acme` that data describe; many rows of a table have the same."""
    key = repr(data)  # also of what JSON does not have, such as classes
    if key not in _described:
        _described[key] = keyturn.plugins.provider_from_data(data, name="acme")
    return _described[key]


@pytest.fixture
def platform(world: World) -> Callable[..., keyturn.Connection]:
    """Give a function that connects to a platform described by data, without network.

    It is given the data that differ from the usual ones, and the settings besides the credentials.
    `real` connects to the network.
    """

    def connect(
        data: dict[str, Any] | None = None, /, *, real: bool = False, **settings: Any
    ) -> keyturn.Connection:
        provider = described({"token_url": "https://login.acme.example/token"} | (data or {}))
        names = {field.name for field in attrs.fields(provider.settings)}
        credentials = {name: text for name, text in CREDENTIALS.items() if name in names}
        values, mistakes = read_settings(provider.settings, credentials | settings)
        assert values is not None, mistakes
        return make_connection(
            Specification(provider, values),
            world.store,
            clock=world.clock.clock,
            transport=None if real else world.endpoint,  # type: ignore[arg-type]  # only `send` is used
        )

    return connect


@pytest.fixture
def read(world: World, platform: Callable[..., keyturn.Connection]) -> Callable[..., keyturn.Token]:
    """Give a function that returns the token which a platform's response gives."""

    def read_response(
        data: dict[str, Any], body: object, *, status: int = 200, **headers: str
    ) -> keyturn.Token:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = keyturn.plugins.Response(
            status, {"content-type": "application/json"} | named, content, world.clock.now
        )
        world.endpoint.responses = [response] * 3
        connection = platform(data)
        connection.forget()
        return connection.token()

    return read_response


@pytest.fixture
def transport() -> Transport:
    """Give a transport of the test's own."""
    return Transport()


@pytest.fixture
def token_request() -> Callable[[str], keyturn.plugins.TokenRequest]:
    """Give a function that returns a token request to a URL, with a secret in its body."""

    def request_to(url: str) -> keyturn.plugins.TokenRequest:
        parameters = (("client_secret", keyturn.Secret(SECRET)),)
        return keyturn.plugins.TokenRequest("acme", url, parameters, body_format="json")

    return request_to


@pytest.fixture
def failed_request(
    token_request: Callable[[str], keyturn.plugins.TokenRequest],
) -> Callable[..., errors.KeyturnError]:
    """Give a function that returns the error of a token request that must fail.

    Neither the error nor its causes may show the request's secret.
    """

    def fail(transport: Transport, url: str, seconds: float = 10.0) -> errors.KeyturnError:
        with pytest.raises(errors.KeyturnError) as caught:
            transport.send(token_request(url), seconds)
        error: BaseException | None = caught.value
        while error is not None:
            assert isinstance(error, errors.KeyturnError)
            assert SECRET not in repr(vars(error)) + str(error)
            error = error.__cause__ or error.__context__
        return caught.value

    return fail


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give a certificate authority of the tests' own."""
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> Transport:
    """Give a transport that trusts the tests' authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return Transport(tls=context)


@pytest.fixture
def secured() -> Callable[[ssl.SSLContext, Behaviour], Behaviour]:
    """Give a function that returns a server's behaviour: TLS, and another behaviour within it."""

    def within(context: ssl.SSLContext, behaviour: Behaviour) -> Behaviour:
        def handle(server: RawServer, connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                behaviour(server, secure)

        return handle

    return within


@pytest.fixture
def tunnel() -> Behaviour:
    """Give the behaviour of a proxy: it connects to the host of `CONNECT`, and passes bytes on."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        host, _, port = server.read_request(connection).split()[1].decode().partition(":")
        with socket.create_connection((host, int(port))) as target:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ways = {connection: target, target: connection}
            while not server.ended.is_set():
                for ready in select.select([*ways], [], [], 0.05)[0]:
                    data = ready.recv(65_536)
                    if not data:
                        return
                    ways[ready].sendall(data)

    return handle
