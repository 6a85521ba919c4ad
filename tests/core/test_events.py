"""Events and log lines about token requests, outages and failed renewals."""

from __future__ import annotations

import contextvars
import logging
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import keyturn
from keyturn import errors
from keyturn._connection import Connection, make_connection
from keyturn._plugins.loading import plugin_manager
from keyturn._tokens.options import Options, Specification
from keyturn.stores._memory import MemoryStore

SECRET = "s3cret-for-tests"

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import World

    from keyturn._plugins.events import Event


def connect(world: World, on_event: Callable[[Event], object], **options: Any) -> Connection:
    """Return a connection with a listener."""
    store = options.pop("store", world.store)
    return make_connection(
        Specification(
            options.pop("provider", None) or world.plain(),
            world.connect().settings,
            name="shop",
            on_event=on_event,
            **options,
        ),
        store,
        clock=world.clock.clock,
        transport=world.endpoint,  # type: ignore[arg-type]  # only `send` is used
    )


@pytest.fixture
def plugin() -> Iterator[list[Event]]:
    """Give the events that a plugin gets."""
    got: list[Event] = []

    class Listens:
        @keyturn.plugins.hookimpl
        def keyturn_event(self, event: Event) -> None:
            got.append(event)

    manager = plugin_manager()
    listens = Listens()
    manager.register(listens)
    yield got
    manager.unregister(listens)


def test_each_token_request_is_an_event(world: World, plugin: list[Event]) -> None:
    """A platform could not count its token requests, nor see which fail."""
    got: list[Event] = []
    connection = connect(world, got.append)
    world.endpoint.responses += [
        world.endpoint.response(503, {}),
        errors.EndpointUnavailable("the token endpoint failed: No route to host."),
    ]
    first = connection.token()
    connection.invalidate(first)
    world.land()
    second = connection.token()
    world.land()  # listeners are called after the caller has its token
    connection.token(stale=second)
    world.land()
    world.clock.advance(3400)
    connection.token()
    world.land()

    assert [
        (each.kind, each.reason, each.attempt, each.status, each.error, each.lifetime)
        for each in got
    ] == [
        ("token_request", "cold", 1, 503, "EndpointUnavailable", None),
        ("token_request", "cold", 2, None, "EndpointUnavailable", None),
        ("token_request", "cold", 3, 200, None, 3600.0),
        ("token_request", "invalidated", 1, 200, None, 3600.0),
        ("token_request", "refused", 1, 200, None, 3600.0),
        ("token_request", "expiring", 1, 200, None, 3600.0),
    ]
    named = {(each.connection, each.provider, each.host) for each in got}
    assert named == {("shop", "acme", "shop.acme.example")}
    assert plugin == got


def test_token_read_from_the_store_causes_no_event(world: World) -> None:
    """A count of events would not be a count of token requests."""
    world.connect().token()
    got: list[Event] = []
    connect(world, got.append).token()
    world.land()

    assert got == []


def test_event_says_how_long_a_request_took(world: World) -> None:
    """An operator would not notice a slow token endpoint."""
    got: list[Event] = []

    def slow() -> keyturn.plugins.Response:
        world.clock.advance(1.5)
        return world.endpoint.token("slow")

    world.endpoint.responses.append(slow)
    connect(world, got.append).token()
    world.land()

    assert got[0].duration == pytest.approx(1.5)


def test_failed_renewal_is_an_event(world: World) -> None:
    """A platform would notice a wrong secret only when the last token expires."""
    got: list[Event] = []
    connection = connect(world, got.append)
    connection.token()
    world.clock.advance(3400)
    world.endpoint.refuse()
    connection.token()
    world.land()

    assert [(each.kind, each.error) for each in got[1:]] == [
        ("token_request", "InvalidClient"),
        ("renewal_failure", "InvalidClient"),
    ]
    assert got[-1].host == "shop.acme.example"


def test_outage_of_the_store_is_one_event(world: World) -> None:
    """A platform would not learn that its tokens are not shared, or get an event for each call."""

    class Down(MemoryStore):
        location = "redis.example:6379"

        def write(self, key: str, entry: str, expires_at: float) -> None:
            raise OSError(28, "No space left on device")

    got: list[Event] = []
    connection = connect(world, got.append, store=Down(lambda: world.clock.now))
    first = connection.token()
    connection.token(stale=first)
    world.land()

    outages = [each for each in got if each.kind == "store_outage"]
    assert [(each.host, each.error) for each in outages] == [("Down redis.example:6379", "OSError")]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_exception_in_a_listener_does_not_affect_the_caller(
    world: World, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    """A defect in a metrics library would fail the call, or suppress the next event."""

    def listen(event: Event) -> None:
        raise error(event)

    connection = connect(world, listen)
    first = connection.token()
    assert connection.token(stale=first).access_token == "token-2"
    world.land()

    assert ("shop: on_event failed with" in caplog.text) is (error is not KeyboardInterrupt)


def test_exception_in_a_log_handler_ends_no_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each failing listener would end one worker thread, until none is left."""

    class Exits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit(record.getMessage())

    def listen(event: Event) -> None:
        raise ValueError(event.kind)

    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    logger, handler = logging.getLogger("keyturn"), Exits(logging.WARNING)
    logger.addHandler(handler)
    try:
        connection = connect(world, listen)
        first = connection.token()
        assert connection.token(stale=first).access_token == "token-2"
        world.land()
    finally:
        logger.removeHandler(handler)

    assert [each.exc_type for each in reported] == [SystemExit] * 2


def test_hanging_listener_does_not_affect_the_caller(world: World) -> None:
    """A listener that waits for a metrics server would block every call."""
    release = threading.Event()
    started = threading.Event()
    before = threading.active_count()

    def listen(_: Event) -> None:
        started.set()
        release.wait(20)

    connection = connect(world, listen)
    first = connection.token()
    assert started.wait(10)
    assert threading.active_count() <= before + 1  # the worker's thread, and no other
    assert connection.token(stale=first).access_token == "token-2"
    release.set()
    world.land()


def test_listener_may_ask_for_the_token(world: World) -> None:
    """A listener that makes an API call would get an error, or a deadlock."""
    got: list[str] = []
    connection = connect(world, lambda _: got.append(connection.token().access_token))
    connection.token()
    world.land()

    assert got == ["token-1"]


def test_log_has_a_line_for_each_token_request(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator could not see what keyturn does."""
    world.endpoint.responses.append(world.endpoint.response(503, {}))
    with caplog.at_level(logging.INFO, "keyturn"):
        connect(world, lambda _: None).token()
        world.land()

    retrying = "the token endpoint reports a server failure (HTTP 503)."
    assert caplog.messages == [
        "shop: token request 1 to shop.acme.example (cold): EndpointUnavailable in 0.000 s",
        f"shop: retrying in {world.clock.slept[0]:.1f} s: {retrying}",
        "shop: token request 2 to shop.acme.example (cold): a token for 3600 s in 0.000 s",
    ]


def messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return the messages that were logged at a level, and clear the log."""
    found = [record.getMessage() for record in caplog.records if record.levelno == level]
    caplog.clear()
    return found


def test_log_says_that_the_server_asks_for_a_pause(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator would not see why a call takes a minute."""
    caplog.set_level(logging.INFO, "keyturn")
    world.endpoint.responses.append(world.endpoint.response(429, {}, retry_after="50"))
    connect(world, lambda _: None, options=Options(wait=60.0)).token()
    world.land()

    _, asks, retries, waits, _ = messages(caplog, logging.INFO)
    assert asks == "shop: the token endpoint asks for 50 s without request"
    assert retries.startswith("shop: retrying in 0.0 s: the token endpoint's rate limit is reached")
    assert waits == "waiting 50.0 s for the rate limit of https://shop.acme.example"


def test_log_says_where_a_token_comes_from_and_when_it_is_renewed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A developer could not see why nothing was sent, or why something was."""
    caplog.set_level(logging.DEBUG, "keyturn")
    world.connect().token()
    world.land()
    messages(caplog, logging.DEBUG)
    connection = connect(world, lambda _: None)
    connection.token()
    assert messages(caplog, logging.DEBUG) == [
        "shop: using the token from the token store MemoryStore"
    ]

    world.clock.advance(3400)
    world.endpoint.refuse()
    connection.token()
    world.land()
    renewing, failed = messages(caplog, logging.DEBUG)
    assert renewing == "shop: renewing the token, which expires in 195 s"
    assert failed == "shop: renewal_failure (InvalidClient)"

    connection.invalidate(connection.token())
    with pytest.raises(errors.InvalidClient):
        connection.token()
    assert messages(caplog, logging.DEBUG) == ["shop: using a cached error response"]


def test_log_escapes_control_characters(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A connection's name, which a customer chose, would forge a line or clear a terminal."""
    caplog.set_level(logging.DEBUG, "keyturn")
    connection = world.connect(name="a\nkeyturn: WARNING: forged\x1b[2J\x9b\u202e é")
    world.endpoint.responses.append(world.endpoint.response(503, {}))
    connection.token()
    world.land()

    assert len(caplog.records) == 3
    for message in caplog.messages:
        assert message.startswith("a\\nkeyturn: WARNING: forged\\x1b[2J\\x9b\\u202e é: ")
        assert message.isprintable()


def test_log_holds_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A secret would be in logs, which are kept for years and read by many people."""
    caplog.set_level(logging.DEBUG, "keyturn")
    connection = world.connect()
    world.endpoint.refuse(500, SECRET)
    token = connection.token()
    world.connect().token()
    connection.invalidate(token)
    world.endpoint.refuse(400, SECRET)
    with pytest.raises(errors.TokenRequestRefused):
        connection.token()
    world.land()

    assert len(caplog.records) > 4
    assert SECRET not in caplog.text
    assert token.access_token not in caplog.text


def test_event_says_when_and_where(world: World) -> None:
    """A tracing tool could not place a token request in time, nor name its server."""
    got: list[Event] = []
    began = world.clock.now
    world.endpoint.responses.append(world.endpoint.response(503, {}))
    connect(world, got.append).token()
    world.land()

    assert [each.at - began for each in got] == pytest.approx([0, world.clock.slept[0]])
    assert {(each.method, each.url) for each in got} == {
        ("POST", "https://shop.acme.example/oauth/token")
    }


def test_listener_runs_in_the_callers_context(world: World) -> None:
    """A trace would not show which page waited for a token."""
    page: contextvars.ContextVar[str] = contextvars.ContextVar("page", default="none")
    got: list[tuple[str, str]] = []
    connection = connect(world, lambda event: got.append((event.reason, page.get())))
    page.set("first")
    held = connection.token()
    world.land()
    page.set("second")
    connection.token(stale=held)
    page.set("third")
    world.land()

    assert got == [("cold", "first"), ("refused", "second")]


def test_event_is_frozen(world: World) -> None:
    """One listener could change what the next one gets."""
    got: list[Event] = []
    connect(world, got.append).token()
    world.land()

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        got[0].kind = "x"  # type: ignore[misc, assignment]
