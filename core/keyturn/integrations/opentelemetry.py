"""Spans and metrics of token requests for OpenTelemetry.

`instrument()` reports those of every connection of the process, `Instrumentation()` as `on_event`
those of one connection. Only OpenTelemetry's API is imported: without its SDK, nothing is recorded.

The span of a token request follows the semantic conventions for HTTP client spans, and its parent
is the caller's span. The metrics have separate names, because the conventions' metric
`http.client.request.duration` requires the server's address, which may have thousands of values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry.metrics import get_meter
from opentelemetry.trace import SpanKind, Status, StatusCode, get_tracer

from keyturn._plugins.hooks import hookimpl
from keyturn._plugins.loading import plugin_manager

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from keyturn._plugins.events import Event

    Attributes = dict[str, str | int | float]

_SCOPE = "keyturn"
_SCHEMA = "https://opentelemetry.io/schemas/1.30.0"
# In seconds; recommended by the semantic conventions for the duration of HTTP requests.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_NANOSECONDS = 1_000_000_000
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Instrumentation:
    """Reports events as spans and metrics: the `on_event` of `keyturn.connect`.

    Args:
        tracer_provider: The provider for the spans; by default OpenTelemetry's global one.
        meter_provider: The provider for the metrics; by default OpenTelemetry's global one.
        per_connection: Whether metrics name the connection and the server. Each connection then has
            separate time series.

    Example:
        >>> import keyturn
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ...     on_event=keyturn.integrations.opentelemetry.Instrumentation(),
        ... )
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        per_connection: bool = False,
    ) -> None:
        self._per_connection = per_connection
        self._tracer = get_tracer(_SCOPE, None, tracer_provider, _SCHEMA)
        meter = get_meter(_SCOPE, "", meter_provider, _SCHEMA)
        self._duration = meter.create_histogram(
            "keyturn.token_request.duration",
            "s",
            "Duration of the attempts of token requests.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._failures = meter.create_counter(
            "keyturn.renewal.failures",
            "{failure}",
            "Failed renewals before a token's expiry.",
        )
        self._outages = meter.create_counter(
            "keyturn.store.outages", "{outage}", "Outages of token stores."
        )

    def __call__(self, event: Event) -> None:
        """Report one event, in the context of the caller that needed the token."""
        attributes = _common(event)
        address = _address(event)
        labels = attributes.copy()
        if self._per_connection:
            labels |= address | {"keyturn.connection": event.connection}
        if event.kind == "token_request":
            self._duration.record(event.duration, labels)
            self._span(event, attributes | address)
        elif event.kind == "renewal_failure":
            self._failures.add(1, labels)
        else:
            self._outages.add(1, labels)

    def _span(self, event: Event, attributes: Attributes) -> None:
        """Record a token request as an HTTP client span, which has ended already."""
        attributes |= {
            "keyturn.connection": event.connection,
            "http.request.method": event.method or "",
            "url.full": event.url or "",
        }
        if event.attempt > 1:
            attributes["http.request.resend_count"] = event.attempt - 1
        if event.lifetime is not None:
            attributes["keyturn.token.lifetime"] = event.lifetime
        span = self._tracer.start_span(
            event.method or "HTTP",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=int((event.at - event.duration) * _NANOSECONDS),
        )
        if event.error is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(int(event.at * _NANOSECONDS))


class _Plugin:
    """Receives the events of every connection."""

    def __init__(self, listener: Instrumentation) -> None:
        self._listener = listener

    @hookimpl
    def keyturn_event(self, event: Event) -> None:
        self._listener(event)


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    per_connection: bool = False,
) -> None:
    """Report the events of every connection of this process, also of configured ones.

    A second call replaces the first.

    Args:
        tracer_provider: The provider for the spans; by default OpenTelemetry's global one.
        meter_provider: The provider for the metrics; by default OpenTelemetry's global one.
        per_connection: Whether metrics name the connection and the server; see `Instrumentation`.
    """
    uninstrument()
    listener = Instrumentation(
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        per_connection=per_connection,
    )
    plugin_manager().register(_Plugin(listener), __name__)


def uninstrument() -> None:
    """Stop reporting the events of every connection."""
    manager = plugin_manager()
    if manager.has_plugin(__name__):
        manager.unregister(name=__name__)


def _common(event: Event) -> Attributes:
    """Return the attributes of spans and metrics; each has few values."""
    attributes: Attributes = {"keyturn.provider": event.provider, "keyturn.reason": event.reason}
    if event.kind == "store_outage":
        del attributes["keyturn.reason"]
    if event.status is not None:
        attributes["http.response.status_code"] = event.status
    if event.error is not None:
        attributes["error.type"] = event.error
    return attributes


def _address(event: Event) -> Attributes:
    """Return the attributes that name the server; there may be one for each connection."""
    url = urlsplit(event.url or "")
    if url.hostname is None:
        return {}
    port = url.port or _DEFAULT_PORTS[url.scheme]
    return {"server.address": url.hostname, "server.port": port}
