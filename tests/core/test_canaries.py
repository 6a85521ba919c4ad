"""A canary secret and a canary token, on every path: they come out where they belong, only."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import pickle
import socket
import struct
import traceback
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import errors
from keyturn.plugins import plugin_manager
from keyturn.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import RawServer, World

    Serve = Callable[..., RawServer]

SECRET = "c4nary+s3cret/1"
TOKEN = "c4nary.t0ken.0123456789abcdef"
BASIC = base64.b64encode(f"cid:{urllib.parse.quote_plus(SECRET)}".encode()).decode()
CANARIES = [
    SECRET,
    TOKEN,
    BASIC,
    urllib.parse.quote_plus(SECRET),
    base64.b64encode(SECRET.encode()).decode(),
]
# What an answer quotes of what it was sent.
QUOTED = f"{SECRET} {TOKEN} {urllib.parse.quote_plus(SECRET)} {BASIC}"


class Watch:
    """Gathers whatever can be seen from outside."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.log = io.StringIO()

    @keyturn.hookimpl
    def keyturn_event(self, event: dict[str, Any]) -> None:
        """Take note of an event."""
        self.seen.append(repr(dict(event)))

    def look_at(self, *values: object) -> None:
        """Take note of all that a value shows without being asked by name."""
        for value in values:
            self.seen += [repr(value), str(value), f"{value}", repr(getattr(value, "__dict__", ""))]

    def look_at_error(self, error: BaseException) -> None:
        """Take note of an error, of what is behind it, and of its tracebacks with locals."""
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.seen += ["".join(told.format()), repr(pickle.dumps(error))]
        behind: BaseException | None = error
        while behind is not None:
            self.look_at(behind, behind.args)
            behind = behind.__cause__ or behind.__context__

    def check(self) -> None:
        """Nothing that was seen may hold a canary."""
        lines = [*self.seen, self.log.getvalue()]
        lines = [line for text in lines for line in text.splitlines()]
        assert [line for line in lines if any(canary in line for canary in CANARIES)] == []


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Give a watch over all logs at DEBUG level, and over events."""
    watch = Watch()
    handler = logging.StreamHandler(watch.log)
    # The record's own dict has the arguments too, which structured loggers send.
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)r"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    plugin_manager().register(watch)
    yield watch
    plugin_manager().unregister(watch)
    root.setLevel(level)
    root.removeHandler(handler)
    watch.check()


def connect(provider: str, address: str, **settings: object) -> keyturn.Connection:
    """Return a connection with the canary secret."""
    usual: dict[str, dict[str, Any]] = {
        "orocommerce": {"url": "https://shop.example", "body_format": "form"},
        "norce-commerce": {"client": "acme", "environment": "stage"},
        "commercelayer": {"kind": "integration"},
    }
    return keyturn.connect(
        provider,
        store=MemoryStore(),
        token_url=address,
        client_id="cid",
        client_secret=SECRET,
        **(usual[provider] | settings),
    )


def http(
    body: object, status: int = 200, headers: str = "", kind: str = "application/json"
) -> bytes:
    """Return the bytes of an HTTP answer."""
    text = body if isinstance(body, str) else json.dumps(body)
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n{headers}"
    )
    return f"{head}\r\n{text}".encode()


USUAL = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
FAILURES: dict[str, bytes] = {
    "invalid_client": http({"error": "invalid_client", "error_description": QUOTED}, 401),
    "hint": http({"error": "invalid_request", "hint": QUOTED}, 400),
    "errors": http({"errors": [{"title": QUOTED, "detail": QUOTED}]}, 400),
    "error code": http({"error": SECRET}, 400),
    "errors in 200": http({"errors": {"title": "invalid_client", "detail": QUOTED}}),
    "a page": http(f"<html>{QUOTED}</html>", 401, kind="text/html"),
    "a page in 200": http(f"<html>{QUOTED}</html>", kind="text/html"),
    "another token type": http(USUAL | {"token_type": QUOTED}),
    "a lifetime of text": http(USUAL | {"expires_in": QUOTED}),
    "an odd scope": http(USUAL | {"scope": [QUOTED]}),
    "a torn token": http(json.dumps(USUAL)[:-1]),
    "a token with a newline": http(USUAL | {"access_token": f"{TOKEN}\n"}),
    "500": http(USUAL | {"error": QUOTED}, 500),
    "429": http({"error": "slow_down", "error_description": QUOTED}, 429),
    "redirect": http(QUOTED, 307, "Location: https://evil.example/\r\n"),
    "garbage": QUOTED.encode(),
    "bad gzip": http(QUOTED, headers="Content-Encoding: gzip\r\n"),
    "nothing": b"",
}


# The HTTP library's own logs hold the answer's headers.
HEADERS: dict[str, bytes] = {
    "Retry-After": http({}, 429, f"Retry-After: {SECRET}\r\n"),
    "Location": http("", 307, f"Location: https://evil.example/?{QUOTED.replace(' ', '&')}\r\n"),
    "Content-Encoding": http(USUAL, headers=f"Content-Encoding: {SECRET}\r\n"),
    "no header": b"HTTP/1.1 200 OK\r\n" + QUOTED.encode() + b"\r\n\r\n",
}


@pytest.mark.parametrize("failure", HEADERS)
def test_header_that_quotes_the_secret_shows_no_canary(
    watch: Watch, serve: Serve, failure: str
) -> None:
    """A server that quotes what it was sent in a header would put the secret into DEBUG logs."""
    connection = connect("orocommerce", serve(HEADERS[failure]).url, timeout=0.3)
    with pytest.raises(errors.KeyturnError) as caught:
        connection.token()

    watch.look_at_error(caught.value)


# Named, since the tests' own frames are part of the tracebacks that they look at.
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("provider", ["orocommerce", "commercelayer"])
def test_failure_shows_no_canary(
    watch: Watch, serve: Serve, provider: str, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that quotes what it was sent would put the secret into logs and reports."""
    monkeypatch.setattr("keyturn.renewal._BACKOFF", 0.001)
    server = serve(FAILURES[failure])
    connection = connect(provider, server.url)
    for _ in range(2):
        with pytest.raises(errors.KeyturnError) as caught:
            connection.token()
        watch.look_at_error(caught.value)
    with pytest.raises(errors.KeyturnError) as caught:
        asyncio.run(connection.atoken(), debug=True)
    watch.look_at_error(caught.value)
    watch.look_at(connection, connection.settings, connection.token_request())

    assert server.received


@pytest.mark.parametrize("provider", ["orocommerce", "norce-commerce", "commercelayer"])
def test_success_shows_no_canary(watch: Watch, serve: Serve, provider: str) -> None:
    """A log at DEBUG level would hold a token for an hour."""
    connection = connect(provider, serve(http(USUAL | {"refresh_token": TOKEN})).url)
    token = connection.token()

    assert token.access_token == TOKEN
    assert connection.headers()["Authorization"] == f"Bearer {TOKEN}"
    connection.token(stale=token)
    asyncio.run(connection.atoken(), debug=True)
    watch.look_at(token, connection, connection.settings, connection.provider)
    watch.look_at(connection.token_request(), connection.renewal, connection.current())
    with pytest.raises(TypeError) as caught:
        pickle.dumps(token)
    watch.look_at_error(caught.value)
    with pytest.raises(TypeError) as caught:
        pickle.dumps(connection.settings)
    watch.look_at_error(caught.value)
    connection.invalidate(token)
    connection.forget()
    connection.close()
    with pytest.raises(errors.ConfigurationError) as closed:
        connection.token()
    watch.look_at_error(closed.value)


def reset(server: RawServer, connection: socket.socket) -> None:
    """Reset the connection once the request is there."""
    server.read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(server: RawServer, connection: socket.socket) -> None:
    """Say nothing once the request is there."""
    server.read_request(connection)
    server.ended.wait(30)


@pytest.mark.parametrize("behaviour", [reset, hang])
def test_network_failure_shows_no_canary(
    watch: Watch, serve: Serve, behaviour: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The HTTP library's errors hold the whole request."""
    monkeypatch.setattr("keyturn.renewal._BACKOFF", 0.001)
    connection = connect("orocommerce", serve(behaviour).url, timeout=0.3)
    with pytest.raises(errors.EndpointUnavailable) as caught:
        connection.token()

    watch.look_at_error(caught.value)


def test_basic_authentication_shows_no_canary(watch: Watch, serve: Serve, world: World) -> None:
    """The encoded pair of id and secret is as good as the secret."""
    provider = type("Basic", (world.plain,), {"client_authentication": "basic"})()
    server = serve(http({"error": "invalid_client", "error_description": QUOTED}, 401))
    shaped = world.connect(provider, client_secret=SECRET, token_url=server.url)
    connection = keyturn.Connection(provider, shaped.settings, store=MemoryStore())
    with pytest.raises(errors.InvalidClient) as caught:
        connection.token()

    assert f"Authorization: Basic {BASIC}".encode() in server.received[0]
    watch.look_at_error(caught.value)
    watch.look_at(connection.token_request())


def refuse_revocation(server: RawServer, connection: socket.socket) -> None:
    """Give a token, and refuse to revoke it."""
    refusal = http({"errors": [{"title": "unauthorized_client", "detail": QUOTED}]}, 403)
    request = server.read_request(connection)
    connection.sendall(refusal if b"/revoke" in request else http(USUAL))


def test_revocation_shows_no_canary(watch: Watch, serve: Serve) -> None:
    """A refused revocation quotes the token."""
    server = serve(refuse_revocation)
    connection = connect("commercelayer", f"http://127.0.0.1:{server.port}/oauth/token")
    connection.token()
    with pytest.raises(errors.TokenRequestRefused) as caught:
        connection.revoke()

    assert TOKEN.encode() in server.received[1]
    watch.look_at_error(caught.value)


MISTAKES: list[dict[str, Any]] = [
    {"client_secret": f"{SECRET}\n"},
    {"client_secret": [SECRET]},
    {"client_secret": keyturn.Secret(f" {SECRET}")},
    {"client_secret": SECRET, "url": f"https://{SECRET}"},
    {"client_secret": SECRET, "url": f"https://user:{SECRET}@shop.example"},
    {"client_secret": SECRET, "side": SECRET},
    {"client_secret": SECRET, "body_format": SECRET},
    {"client_secret": SECRET, "scope": f"a\n{SECRET}\u00e9"},
    {"client_secret": SECRET, "clientsecret": SECRET},
]


@pytest.mark.parametrize("settings", range(len(MISTAKES)))
def test_mistake_in_settings_shows_no_canary(watch: Watch, settings: int) -> None:
    """A secret in the wrong field, or with its line's end, would get into a log."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", client_id="cid", **MISTAKES[settings])

    watch.look_at_error(caught.value)


def test_unknown_provider_shows_no_canary(watch: Watch) -> None:
    """A typo in the provider's name would show the settings in a traceback with locals."""
    with pytest.raises(errors.ProviderNotFound) as caught:
        keyturn.connect("orocomerce", client_secret=SECRET)

    watch.look_at_error(caught.value)


@pytest.mark.parametrize("store", ["nonsense://", "memory://x"])
def test_unusable_store_shows_no_canary(watch: Watch, store: str) -> None:
    """A store's address holds a password, and so does a traceback with locals."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect(
            "orocommerce",
            store=f"{store}{SECRET}",
            url="https://shop.example",
            client_id="cid",
            client_secret=SECRET,
        )

    watch.seen += [str(caught.value), repr(vars(caught.value))]


def test_watch_would_see_a_canary(watch: Watch) -> None:
    """The tests above would prove nothing."""
    looks: list[Callable[[], None]] = [
        lambda: watch.look_at([SECRET]),
        lambda: watch.look_at_error(ValueError(TOKEN)),
        lambda: logging.getLogger("anything").debug("%s", SECRET),
    ]
    for look in looks:
        look()
        with pytest.raises(AssertionError):
            watch.check()
        watch.seen.clear()
        watch.log.truncate(0)
