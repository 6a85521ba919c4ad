"""Measures the rows asked for, and prints one JSON object of their figures."""

from __future__ import annotations

import http.client
import json
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.peers._peer import Endpoint
from bench.rows import cold, load, many, micro

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.peers._peer import Peer

    Figures = dict[str, float]
    Row = Callable[[Peer, "Context"], Figures | None]

ROWS: dict[str, Row] = {
    "hit": micro.hit,
    "async_hit": micro.async_hit,
    "threads": micro.threads,
    "request": micro.request,
    "async_request": micro.async_request,
    "cold_threads": cold.threads,
    "async_cold": cold.tasks,
    "cold_processes": cold.processes,
    "burst": cold.burst,
    "load": load.load,
    "async_load": load.async_load,
    "minute": load.minute,
    "async_minute": load.async_minute,
    "many": many.many,
}


class Context(NamedTuple):
    """What rows are measured with.

    Args:
        address: The server's host and port.
        quick: Whether to be quick rather than exact.
    """

    address: str
    quick: bool = False

    def scenario(self, **behaviour: float) -> Endpoint:
        """Return a new endpoint of that behaviour; see `bench.server.Scenario`."""
        path = self._ask("PUT", "/", json.dumps(behaviour))["path"]
        return Endpoint(self.address, path, rationed="per_minute" in behaviour)

    def counts(self, endpoint: Endpoint) -> dict[str, int]:
        """Return what an endpoint was asked; see `bench.server.Counts`."""
        return self._ask("GET", f"/{endpoint.path}/counts")

    def _ask(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, path, body)
            return dict(json.loads(connection.getresponse().read()))
        finally:
            connection.close()


def measure(peer: Peer, rows: list[str], address: str, *, quick: bool) -> None:
    """Measure rows of a peer; one that fails says so, and the others are measured all the same."""
    figures: dict[str, Figures | dict[str, str] | None] = {}
    for row in rows:
        try:
            figures[row] = ROWS[row](peer, Context(address, quick))
        except Exception as error:  # noqa: BLE001 - the table tells what failed
            traceback.print_exc()
            figures[row] = {"error": type(error).__name__}
    print(json.dumps(figures))
