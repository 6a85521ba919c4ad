"""Spans and metrics of token requests, as the OpenTelemetry SDK receives them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import keyturn
from keyturn._connection import Connection, make_connection, manager_of
from keyturn._tokens.options import Specification
from keyturn.integrations.opentelemetry import Instrumentation, instrument, uninstrument
from keyturn.stores._memory import MemoryStore
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan
    from tests.conftest import World

SECRET = "s3cret-for-tests"


class Recorded:
    """The spans and metrics that an application's SDK would export."""

    def __init__(self) -> None:
        self._spans, self._metrics = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider(metric_readers=[self._metrics])
        self.providers: dict[str, Any] = {
            "tracer_provider": self.tracers,
            "meter_provider": self.meters,
        }
        self.tracer = self.tracers.get_tracer("tests")

    def spans(self) -> list[ReadableSpan]:
        """Return keyturn's spans, in the order in which they ended."""
        return [
            span
            for span in self._spans.get_finished_spans()
            if span.instrumentation_scope is not None
            and span.instrumentation_scope.name == "keyturn"
        ]

    def points(self, metric: str) -> list[Any]:
        """Return a metric's data points."""
        data = self._metrics.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        ]


@pytest.fixture
def recorded() -> Recorded:
    """Return providers that keep spans and metrics in memory."""
    return Recorded()


@pytest.fixture
def instrumented(recorded: Recorded) -> Iterator[Recorded]:
    """Report the events of every connection."""
    instrument(**recorded.providers)
    yield recorded
    uninstrument()


def connect(world: World, listener: Any, **given: Any) -> Connection:
    """Return a connection with a listener."""
    return make_connection(
        Specification(
            world.plain(),
            world.connect().settings,
            name=given.pop("name", "tenant-17"),
            on_event=listener,
        ),
        given.pop("store", world.store),
        clock=world.clock.clock,
        transport=world.endpoint,  # type: ignore[arg-type]  # it needs only `send`
    )


def test_span_follows_the_conventions_of_http_clients(world: World, recorded: Recorded) -> None:
    """A tool that knows HTTP spans could not show a token request, its server or its status."""

    def slow() -> keyturn.plugins.Response:
        world.clock.advance(1.5)
        return world.endpoint.token("slow")

    world.endpoint.responses.append(slow)
    began = world.clock.now
    connect(world, Instrumentation(**recorded.providers)).token()
    world.land()

    (span,) = recorded.spans()
    assert (span.name, span.kind) == ("POST", trace.SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "shop.acme.example",
        "server.port": 443,
        "url.full": "https://shop.acme.example/oauth/token",
        "keyturn.connection": "tenant-17",
        "keyturn.provider": "acme",
        "keyturn.reason": "cold",
        "keyturn.token.lifetime": 3600.0,
    }
    assert span.status.status_code is trace.StatusCode.UNSET
    assert span.start_time == pytest.approx(began * 1e9, abs=1e3)
    assert span.end_time == pytest.approx((began + 1.5) * 1e9, abs=1e3)


def test_each_attempt_is_a_span(world: World, recorded: Recorded) -> None:
    """A retry, and its reason, would not be visible."""
    world.endpoint.responses += [
        world.endpoint.response(503, {}),
        keyturn.errors.EndpointUnavailable("the token endpoint failed: No route to host."),
    ]
    connect(world, Instrumentation(**recorded.providers)).token()
    world.land()

    names = ("http.response.status_code", "error.type", "http.request.resend_count")
    shown = [[(span.attributes or {}).get(name) for name in names] for span in recorded.spans()]
    assert shown == [
        [503, "EndpointUnavailable", None],
        [None, "EndpointUnavailable", 1],
        [200, None, 2],
    ]
    error, unset = trace.StatusCode.ERROR, trace.StatusCode.UNSET
    assert [span.status.status_code for span in recorded.spans()] == [error, error, unset]
    times = [(span.start_time or 0, span.end_time or 0) for span in recorded.spans()]
    assert times == sorted(times)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Yield a running emulator."""
    with Emulator() as running:
        yield running


def ask_directly(connection: Connection) -> None:
    """Get a token."""
    connection.token()


def ask_in_a_task(connection: Connection) -> None:
    """Get a token in a task of asyncio."""

    async def ask() -> None:
        await asyncio.create_task(connection.atoken())

    asyncio.run(ask())


@pytest.mark.parametrize("ask", [ask_directly, ask_in_a_task])
def test_parent_of_a_span_is_the_span_of_the_caller(
    emulator: Emulator, instrumented: Recorded, world: World, ask: Callable[[Connection], None]
) -> None:
    """A trace would not show that a slow page waited for a token."""
    emulator.fault("orocommerce", "server-error", times=1)
    settings = emulator.settings("orocommerce")
    connection = keyturn.connect("orocommerce", settings, store="memory://")
    with instrumented.tracer.start_as_current_span("page") as page:
        ask(connection)
    world.land()

    spans = instrumented.spans()
    assert len(spans) == 2
    context = page.get_span_context()
    assert {span.parent.span_id for span in spans if span.parent} == {context.span_id}
    assert {span.context.trace_id for span in spans} == {context.trace_id}


def test_span_belongs_to_the_caller_that_caused_it(world: World, recorded: Recorded) -> None:
    """A trace would show another caller's token request, if a connection has two in progress."""
    second_is_done = threading.Event()
    connection = connect(world, Instrumentation(**recorded.providers))
    held = connection.token()
    world.land()

    def failing() -> keyturn.plugins.Response:
        return world.endpoint.response(503, {})

    def waits() -> keyturn.plugins.Response:
        assert second_is_done.wait(10)
        return world.endpoint.token("first")

    def first() -> None:
        with recorded.tracer.start_as_current_span("first"):
            connection.token(stale=held)

    world.endpoint.responses += [failing, waits]
    thread = threading.Thread(target=first)
    thread.start()
    while len(world.endpoint.requests) < 3:
        assert thread.is_alive()
    with recorded.tracer.start_as_current_span("second"):
        manager_of(connection).acquisition.store.on_outage(
            "OSError"
        )  # as a failing store of another call does
        connection._manager.acquisition.emit_events()  # noqa: SLF001 - as another worker does when it ends
    second_is_done.set()
    thread.join(10)
    world.land()

    parents = {span.parent.span_id if span.parent else None for span in recorded.spans()[1:]}
    assert len(parents) == 1
    assert None not in parents


def test_metrics_count_and_time_token_requests(world: World, recorded: Recorded) -> None:
    """A platform could not see how many token requests fail, or how long they take."""

    def slow() -> keyturn.plugins.Response:
        world.clock.advance(0.3)
        return world.endpoint.token("slow")

    world.endpoint.responses += [world.endpoint.response(503, {}), slow]
    connect(world, Instrumentation(**recorded.providers)).token()
    world.land()

    points: list[HistogramDataPoint] = recorded.points("keyturn.token_request.duration")
    by_status = {(each.attributes or {})["http.response.status_code"]: each for each in points}
    assert {status: dict(each.attributes or {}) for status, each in by_status.items()} == {
        503: {
            "keyturn.provider": "acme",
            "keyturn.reason": "cold",
            "http.response.status_code": 503,
            "error.type": "EndpointUnavailable",
        },
        200: {
            "keyturn.provider": "acme",
            "keyturn.reason": "cold",
            "http.response.status_code": 200,
        },
    }
    assert (by_status[200].count, by_status[200].sum) == (1, pytest.approx(0.3))
    assert 0.25 in by_status[200].explicit_bounds


@pytest.mark.parametrize(("per_connection", "series"), [(False, 1), (True, 50)])
def test_number_of_metric_series_is_bounded(
    world: World, recorded: Recorded, *, per_connection: bool, series: int
) -> None:
    """Thousands of tenants would create as many time series."""
    listener = Instrumentation(**recorded.providers, per_connection=per_connection)
    for number in range(50):
        connect(world, listener, name=f"tenant-{number}", store=MemoryStore()).token()
    world.land()

    points = recorded.points("keyturn.token_request.duration")
    assert len(points) == series
    assert sum(point.count for point in points) == 50
    named = {"keyturn.connection", "server.address", "server.port"}
    assert all(
        named & set(point.attributes) == (named if per_connection else set()) for point in points
    )


def test_outages_and_failed_renewals_are_counted(world: World, recorded: Recorded) -> None:
    """An operator would get no alert before the last token expires."""

    class Down(MemoryStore):
        def write(self, key: str, entry: str, expires_at: float) -> None:
            raise OSError(28, "No space left on device")

    listener = Instrumentation(**recorded.providers, per_connection=True)
    connection = connect(world, listener, store=Down(lambda: world.clock.now))
    connection.token()
    world.clock.advance(3400)
    world.endpoint.refuse()
    connection.token()
    world.land()

    (outage,) = recorded.points("keyturn.store.outages")
    assert (outage.value, dict(outage.attributes)) == (
        1,
        {"keyturn.provider": "acme", "keyturn.connection": "tenant-17", "error.type": "OSError"},
    )
    (failure,) = recorded.points("keyturn.renewal.failures")
    assert failure.value == 1
    assert failure.attributes["error.type"] == "InvalidClient"
    assert failure.attributes["server.address"] == "shop.acme.example"


def test_plain_http_has_its_own_port(world: World, recorded: Recorded) -> None:
    """A span would name the wrong port."""
    listener = Instrumentation(**recorded.providers)
    for url in ("http://127.0.0.1/token", "http://127.0.0.1:8080/token"):
        settings = world.connect(token_url=url).settings
        make_connection(
            Specification(world.plain(), settings, on_event=listener),
            world.store,
            clock=world.clock.clock,
            transport=world.endpoint,  # type: ignore[arg-type]  # it needs only `send`
        ).token()
    world.land()

    ports = [(span.attributes or {})["server.port"] for span in recorded.spans()]
    assert ports == [80, 8080]


def test_no_secret_is_reported(world: World, recorded: Recorded) -> None:
    """Secrets would be in traces, which are stored for weeks and read by many."""
    provider = world.changed(body_format="query", method="GET")
    connection = make_connection(
        Specification(
            provider,
            world.connect().settings,
            on_event=Instrumentation(**recorded.providers, per_connection=True),
        ),
        world.store,
        clock=world.clock.clock,
        transport=world.endpoint,  # type: ignore[arg-type]  # it needs only `send`
    )
    world.endpoint.refuse(400, SECRET)
    with pytest.raises(keyturn.errors.TokenRequestRefused):
        connection.token()
    connection.forget()
    token = connection.token()
    world.land()

    (refused, sent) = recorded.spans()
    assert refused.name == "GET"
    shown = refused.to_json() + sent.to_json()
    shown += "".join(map(str, recorded.points("keyturn.token_request.duration")))
    assert SECRET not in shown
    assert token.access_token not in shown


def test_every_connection_is_reported_once(
    emulator: Emulator, recorded: Recorded, world: World
) -> None:
    """A second call, as in a reloaded application, would count each token request twice."""
    instrument()
    instrument(**recorded.providers)
    try:
        settings = emulator.settings("orocommerce")
        keyturn.connect("orocommerce", settings, store="memory://").token()
        world.land()
    finally:
        uninstrument()
        uninstrument()
    keyturn.connect("orocommerce", settings, store="memory://").token()
    world.land()

    assert len(recorded.spans()) == 1


def test_only_the_opentelemetry_api_is_imported() -> None:
    """The OpenTelemetry SDK would have to be installed with keyturn."""
    program = """
import sys
import keyturn
keyturn.integrations.opentelemetry.instrument()
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"
