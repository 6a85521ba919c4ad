"""`/metrics`, in Prometheus's format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

from keyturn._server.responses import PRIVATE
from keyturn._tokens.single_flight import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from keyturn._plugins.events import Event
    from keyturn._server.connections import ServedConnections

# https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one agent."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        own: Any = {"registry": self._registry}
        self._requests = Counter(
            "keyturn_proxy_requests",
            "Requests forwarded to an API, by the status of the response (0: no response).",
            ("connection", "status"),
            **own,
        )
        self._seconds = Histogram(
            "keyturn_proxy_request_seconds",
            "Duration of requests to an API in seconds.",
            ("connection",),
            **own,
        )
        self._repeated = Counter(
            "keyturn_proxy_repeated_requests",
            "Requests that were repeated with another token after a 401.",
            ("connection",),
            **own,
        )
        self._events = Counter(
            "keyturn_events",
            "Token requests, failed renewals and outages of token stores.",
            ("connection", "provider", "kind", "reason", "error"),
            **own,
        )

    def serve(self, connections: ServedConnections) -> None:
        """Add the metrics of the connections' states."""
        self._registry.register(_Tokens(connections))

    def report(self, event: Event) -> None:
        """Count an event."""
        self._events.labels(
            event.connection, event.provider, event.kind, event.reason, event.error or ""
        ).inc()

    def observe(self, name: str, status: int, is_repeated: bool, seconds: float) -> None:  # noqa: FBT001 - see ReverseProxy
        """Count a forwarded request."""
        self._requests.labels(name, str(status)).inc()
        self._seconds.labels(name).observe(seconds)
        if is_repeated:
            self._repeated.labels(name).inc()

    async def show(self, _: Request) -> Response:
        """Return the metrics."""
        content = await run_in_thread(lambda: generate_latest(self._registry))
        return Response(content, headers={**PRIVATE, "content-type": _CONTENT_TYPE})


class _Tokens(Collector):
    """The states of connections, collected with each read of the metrics."""

    def __init__(self, connections: ServedConnections) -> None:
        self._connections = connections

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        labels = ("connection", "provider")
        left = GaugeMetricFamily(
            "keyturn_token_seconds_left", "Seconds until the token expires.", labels=labels
        )
        failing = GaugeMetricFamily(
            "keyturn_connection_failing", "Whether the last token request failed.", labels=labels
        )
        for served in self._connections:
            status = served.status()
            values = (status.id, status.provider)
            if status.seconds_left is not None:
                left.add_metric(values, status.seconds_left)
            failing.add_metric(values, float(status.last_error is not None))
        return left, failing
