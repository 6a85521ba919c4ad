"""The bench's server, for the rows."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple

from bench.peers._peer import Endpoint


class Context(NamedTuple):
    """The server and the mode of a measurement.

    Args:
        address: The server's host and port.
        quick: Whether to measure fewer and shorter runs.
    """

    address: str
    quick: bool = False

    def scenario(self, **behaviour: float) -> Endpoint:
        """Return a new endpoint with that behaviour; see `bench.server.Scenario`."""
        path = self._request("PUT", "/", json.dumps(behaviour))["path"]
        return Endpoint(self.address, path, rate_limited="per_minute" in behaviour)

    def counts(self, endpoint: Endpoint) -> dict[str, int]:
        """Return the requests that an endpoint got; see `bench.server.Counts`."""
        return self._request("GET", f"/{endpoint.path}/counts")

    def _request(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, path, body)
            return dict(json.loads(connection.getresponse().read()))
        finally:
            connection.close()
