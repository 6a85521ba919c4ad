"""A canary secret and token on every path of a connection: nothing shows them."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import socket
import struct
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.threats.conftest import ENCODINGS

import keyturn
from keyturn import errors
from keyturn._connection import manager_of
from keyturn._tokens import token_request
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer, World
    from tests.threats.conftest import Canary, Watch

    Serve = Callable[..., RawServer]

USUAL_SETTINGS: dict[str, dict[str, Any]] = {
    "orocommerce": {"url": "https://shop.example", "body_format": "form"},
    "norce-commerce": {"client": "acme", "environment": "stage", "application_id": 1042},
    "norce-storm": {"scope": "lab"},
    "commercelayer": {"kind": "integration"},
}


# Unlike the usual secret, this one looks like an error code.
CODE = "c4nary-s3cret-1"


@pytest.fixture
def canary(request: pytest.FixtureRequest, canary: Canary) -> Canary:
    """Return the canaries; a test can replace the usual secret."""
    secret = getattr(request, "param", canary.secret)
    plain: type[Canary] = type("PlainCanary", (type(canary),), {"secret": secret})
    return plain()


@pytest.fixture
def connect(canary: Canary) -> Callable[..., keyturn.Connection]:
    """Return a function that returns a connection with the canary secret."""

    def connect_to(provider: str, address: str, **settings: Any) -> keyturn.Connection:
        return keyturn.connect(
            provider,
            store=MemoryStore(),
            token_url=address,
            client_id=canary.client_id,
            client_secret=canary.secret,
            **(USUAL_SETTINGS[provider] | settings),
        )

    return connect_to


def http(
    body: object, status: int = 200, headers: str = "", kind: str = "application/json"
) -> bytes:
    """Return the bytes of an HTTP response."""
    text = body if isinstance(body, str) else json.dumps(body)
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n{headers}"
    )
    return f"{head}\r\n{text}".encode()


def usual(canary: Canary, **fields: object) -> dict[str, object]:
    """Return the fields of a response with the canary token, with some replaced."""
    token = {"access_token": canary.token, "token_type": "Bearer", "expires_in": 3600}
    return token | fields


FAILURES: dict[str, Callable[[Canary], bytes]] = {
    "invalid_client": lambda c: http(
        {"error": "invalid_client", "error_description": c.quoted}, 401
    ),
    "hint": lambda c: http({"error": "invalid_request", "hint": c.quoted}, 400),
    "errors": lambda c: http({"errors": [{"title": c.quoted, "detail": c.quoted}]}, 400),
    "error code": lambda c: http({"error": c.secret}, 400),
    "error code in 200": lambda c: http({"error": c.secret}),
    "error code in errors": lambda c: http(
        {"errors": [{"title": c.secret, "code": c.secret}]}, 401
    ),
    "error code in an object": lambda c: http({"errors": {"title": c.secret}}, 403),
    "errors in 200": lambda c: http({"errors": {"title": "invalid_client", "detail": c.quoted}}),
    "a page": lambda c: http(f"<html>{c.quoted}</html>", 401, kind="text/html"),
    "a page in 200": lambda c: http(f"<html>{c.quoted}</html>", kind="text/html"),
    "another token type": lambda c: http(usual(c, token_type=c.quoted)),
    "a lifetime that is a string": lambda c: http(usual(c, expires_in=c.quoted)),
    "an odd scope": lambda c: http(usual(c, scope=[c.quoted])),
    "a torn token": lambda c: http(json.dumps(usual(c))[:-1]),
    "a token with a newline": lambda c: http(usual(c, access_token=f"{c.token}\n")),
    "500": lambda c: http(usual(c, error=c.quoted), 500),
    "429": lambda c: http({"error": "slow_down", "error_description": c.quoted}, 429),
    "redirect": lambda c: http(c.quoted, 307, "Location: https://evil.example/\r\n"),
    "garbage": lambda c: c.quoted.encode(),
    "bad gzip": lambda c: http(c.quoted, headers="Content-Encoding: gzip\r\n"),
    "nothing": lambda _: b"",
    # The HTTP library's own logs contain the response's headers.
    "Retry-After": lambda c: http({}, 429, f"Retry-After: {c.secret}\r\n"),
    "Location": lambda c: http(
        "", 307, f"Location: https://evil.example/?{c.quoted.replace(' ', '&')}\r\n"
    ),
    "WWW-Authenticate": lambda c: http({}, 401, f'WWW-Authenticate: Basic x="{c.quoted}"\r\n'),
    "Content-Encoding": lambda c: http(usual(c), headers=f"Content-Encoding: {c.secret}\r\n"),
    "no header": lambda c: b"HTTP/1.1 200 OK\r\n" + c.quoted.encode() + b"\r\n\r\n",
}


# A named function: the tracebacks that are checked contain the tests' own frames.
@pytest.mark.sweep
@pytest.mark.parametrize(
    ("provider", "failure", "canary"),
    [
        *(
            pytest.param(provider, failure, "c4nary+s3cret/1", id=f"{provider} {failure}")
            for provider in USUAL_SETTINGS
            for failure in FAILURES
        ),
        *(
            pytest.param(provider, failure, CODE, id=f"{provider} {failure}, in a code's form")
            for provider in ("orocommerce", "commercelayer")
            for failure in FAILURES
            if "error" in failure
        ),
    ],
    indirect=["canary"],
)
def test_failure_shows_no_canary(
    watch: Watch,
    canary: Canary,
    connect: Callable[..., keyturn.Connection],
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
    failure: str,
) -> None:
    """A server that quotes the request would put the secret into logs and reports."""

    def response(server: RawServer, opened: socket.socket) -> None:
        server.read_request(opened)
        is_first = len(server.received) == 1
        opened.sendall(http(usual(canary)) if is_first else FAILURES[failure](canary))

    server = serve(response)
    connection = connect(provider, server.url, timeout=5)
    connection.token()  # a server may quote it later
    connection.forget()
    for _ in range(2):
        with pytest.raises(errors.KeyturnError) as caught:
            connection.token()
        watch.look_at_error(caught.value)
        monkeypatch.setattr(token_request, "_BACKOFF", 60)  # only the first one is sent again
    with pytest.raises(errors.KeyturnError) as caught:
        asyncio.run(connection.atoken(), debug=True)
    watch.look_at_error(caught.value)
    watch.look_at(connection, connection.token_request(), connection.explain())
    manager = manager_of(connection)
    watch.look_at(
        manager,
        manager.snapshot,
        manager.acquisition.refused(connection.token_request()),
        *watch.events,
    )
    watch.look_into(connection.settings)

    assert server.received


@pytest.mark.parametrize("provider", USUAL_SETTINGS)
def test_success_shows_no_canary(
    watch: Watch,
    canary: Canary,
    connect: Callable[..., keyturn.Connection],
    serve: Serve,
    provider: str,
) -> None:
    """A log at DEBUG level would contain a valid token."""
    response = http(usual(canary, refresh_token=canary.token, id_token=canary.token))
    connection = connect(provider, serve(response).url)
    del response
    token = connection.token()

    assert token.access_token == canary.token
    assert connection.headers()["Authorization"] == f"Bearer {canary.token}"
    connection.token(stale=token)
    asyncio.run(connection.atoken(), debug=True)
    watch.look_at(token, connection, connection.provider, token.extra)
    manager = manager_of(connection)
    watch.look_at(connection.token_request(), manager, manager.snapshot, manager.peek())
    watch.look_at(*watch.events, connection.explain())
    watch.look_at_copies(token, connection, connection.token_request(), token.extra)
    watch.look_into(connection.settings)
    connection.invalidate(token)
    connection.forget()
    connection.close()
    with pytest.raises(errors.ConfigurationError) as closed:
        connection.token()
    watch.look_at_error(closed.value)


def by_fields(value: object) -> object:
    """Return what a tool shows that calls `repr` on each attrs field, as rich does."""
    if attrs.has(type(value)):
        cls: type[Any] = type(value)
        shown = [field.name for field in attrs.fields(cls) if field.repr]
        return {name: by_fields(getattr(value, name)) for name in shown}
    if isinstance(value, Mapping):
        return {repr(name): by_fields(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [by_fields(each) for each in value]
    return repr(value)


@pytest.mark.parametrize("provider", USUAL_SETTINGS)
def test_fields_one_by_one_show_no_canary(
    watch: Watch,
    canary: Canary,
    connect: Callable[..., keyturn.Connection],
    serve: Serve,
    provider: str,
) -> None:
    """A traceback with locals by rich or structlog would print a token or a secret."""
    odd = http(usual(canary, note=canary.token[::-1]))
    connection = connect(provider, serve(odd).url)
    del odd
    token = connection.token()
    manager = manager_of(connection)
    held = [token, manager, manager.snapshot, connection.token_request(), *watch.events]
    shown = by_fields([*held, connection.settings, vars(connection)])

    assert f"'expires_at': '{token.expires_at!r}'" in repr(shown)
    assert canary.token[::-1] not in repr(shown)
    watch.look_at(shown)


def test_object_with_a_secret_cannot_be_pickled(
    watch: Watch,
    canary: Canary,
    connect: Callable[..., keyturn.Connection],
    serve: Serve,
) -> None:
    """A pickle in a queue, a cache or a crash report would contain the secret."""
    connection = connect("orocommerce", serve(http(usual(canary))).url)
    secret = keyturn.Secret(canary.secret)
    held = [secret, connection.token(), connection.settings, connection.token_request(), connection]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for value in held:
            with pytest.raises(TypeError) as caught:
                pickle.dumps(value, protocol)
            watch.look_at_error(caught.value)


def test_early_renewal_that_fails_shows_no_canary(
    watch: Watch, canary: Canary, world: World
) -> None:
    """No caller waits for that renewal: its error is logged, and could show the secret."""
    error = {"error": "invalid_client", "error_description": canary.quoted}
    world.endpoint.responses += [
        world.endpoint.token(canary.token),
        world.endpoint.response(401, error),
    ]
    del error
    connection = world.connect(client_secret=canary.secret)
    token = connection.token()
    world.clock.advance(3590)
    assert connection.token() is token
    world.land()
    watch.look_at(token, connection)

    assert "the renewal before expiry failed" in watch.log.getvalue()


def reset(server: RawServer, connection: socket.socket) -> None:
    """Reset the connection after the request."""
    server.read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(server: RawServer, connection: socket.socket) -> None:
    """Send nothing after the request."""
    server.read_request(connection)
    server.ended.wait(30)


@pytest.mark.parametrize("behaviour", [reset, hang])
def test_network_failure_shows_no_canary(
    watch: Watch,
    connect: Callable[..., keyturn.Connection],
    serve: Serve,
    behaviour: object,
) -> None:
    """The HTTP library's error, which contains the whole request, would show the secret."""
    connection = connect("orocommerce", serve(behaviour).url, timeout=0.3)
    with pytest.raises(errors.EndpointUnavailable) as caught:
        connection.token()

    watch.look_at_error(caught.value)


def test_basic_authentication_shows_no_canary(
    watch: Watch, canary: Canary, serve: Serve, world: World
) -> None:
    """The encoded ID and secret would be visible; they are easily decoded."""
    provider = type("Basic", (world.plain,), {"client_authentication": "client_secret_basic"})()
    error = {"error": "invalid_client", "error_description": canary.quoted_secret}
    server = serve(http(error, 401))
    del error
    shaped = world.connect(provider, client_secret=canary.secret, token_url=server.url)
    connection = keyturn.Connection(provider, shaped.settings, store=MemoryStore())
    with pytest.raises(errors.InvalidClient) as caught:
        connection.token()

    assert f"Authorization: Basic {canary.basic}".encode() in server.received[0]
    watch.look_at_error(caught.value)
    watch.look_at(connection.token_request(), connection.explain())


def test_revocation_shows_no_canary(
    watch: Watch, canary: Canary, connect: Callable[..., keyturn.Connection], serve: Serve
) -> None:
    """An error response to a revocation could quote the token into a log."""

    def refuse(server: RawServer, connection: socket.socket) -> None:
        body = {"errors": [{"title": "unauthorized_client", "detail": canary.quoted}]}
        request = server.read_request(connection)
        connection.sendall(http(body, 403) if b"/revoke" in request else http(usual(canary)))

    server = serve(refuse)
    connection = connect("commercelayer", f"http://127.0.0.1:{server.port}/oauth/token")
    connection.token()
    with pytest.raises(errors.TokenRequestRefused) as caught:
        connection.revoke()

    assert canary.token.encode() in server.received[1]
    watch.look_at_error(caught.value)


MISTAKES: dict[str, Callable[[Canary], dict[str, Any]]] = {
    "a line's end": lambda c: {"client_secret": f"{c.secret}\n"},
    "a list": lambda c: {"client_secret": [c.secret]},
    "a table": lambda c: {"client_secret": {"value": c.secret}},
    "bytes": lambda c: {"client_secret": c.secret.encode()},
    "a Secret with a space": lambda c: {"client_secret": keyturn.Secret(f" {c.secret}")},
    "host": lambda c: {"client_secret": c.secret, "url": f"https://{c.secret}"},
    "user": lambda c: {"client_secret": c.secret, "url": f"https://u:{c.secret}@shop.example"},
    "side": lambda c: {"client_secret": c.secret, "side": c.secret},
    "body_format": lambda c: {"client_secret": c.secret, "body_format": c.secret},
    "scope": lambda c: {"client_secret": c.secret, "scope": f"a\n{c.secret}\u00e9"},
    "name": lambda c: {"client_secret": c.secret, "clientsecret": c.secret},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_settings_shows_no_canary(watch: Watch, canary: Canary, mistake: str) -> None:
    """A secret in the wrong field, or with a line end, would get into a log."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", client_id=canary.client_id, **MISTAKES[mistake](canary))

    watch.look_at_error(caught.value)


def test_unknown_provider_shows_no_canary(watch: Watch, canary: Canary) -> None:
    """A typo in the provider's name would show the settings in a traceback with locals."""
    with pytest.raises(errors.ProviderNotFound) as caught:
        keyturn.connect("orocomerce", client_secret=canary.secret)

    watch.look_at_error(caught.value)


@pytest.mark.parametrize("store", ["nonsense://", "memory://x"])
def test_unusable_store_shows_no_canary(watch: Watch, canary: Canary, store: str) -> None:
    """A store's URL contains a password, which a traceback with locals would show."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect(
            "orocommerce",
            store=f"{store}{canary.secret}",
            url="https://shop.example",
            client_id=canary.client_id,
            client_secret=canary.secret,
        )

    watch.look_at(str(caught.value), vars(caught.value))


def test_watch_detects_a_canary(watch: Watch, canary: Canary) -> None:
    """The tests above would prove nothing if a canary were not detected."""
    for encode in ENCODINGS.values():
        for hidden in (canary.secret, canary.token):
            assert canary.in_text(f"...{encode(hidden)}...") != []
    looks: list[Callable[[], None]] = [
        lambda: watch.look_at([canary.secret]),
        lambda: watch.look_at([canary.basic]),
        lambda: watch.look_at_error(ValueError(canary.token)),
        lambda: logging.getLogger("anything").debug("%s", canary.secret),
        lambda: sys.stderr.write(f"{canary.token}\n"),
    ]
    for look in looks:
        look()
        with pytest.raises(AssertionError):
            watch.check()
        watch.seen.clear()
        watch.log.truncate(0)
