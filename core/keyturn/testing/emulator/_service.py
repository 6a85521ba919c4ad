"""One provider's service: faults, rate limits and counters before its endpoints."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import attrs

from keyturn.errors import ConfigurationError
from keyturn.testing._messages import (
    MalformedBody,
    ReceivedRequest,
    Response,
    json_object,
    json_response,
)
from keyturn.testing.emulator._faults import Fault, make_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn.testing.emulator._limits import RateLimit
    from keyturn.testing.emulator._origin import Origin

# An emulator that runs for days must not fill the memory.
_KEPT_REQUESTS = 1000
_MAX_TIMES = 1000
_CONTROL = "/-/"
_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
_PREFLIGHT = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Max-Age": "600"}


class Service:
    """Counts and records requests, applies faults and rate limits, and calls the provider.

    Args:
        origin: The provider.
        rate_limits: Whether the provider's rate limit is applied.
    """

    def __init__(self, origin: Origin, *, rate_limits: bool) -> None:
        self.origin = origin
        self._requests = deque[ReceivedRequest](maxlen=_KEPT_REQUESTS)
        self.token_requests = 0
        self.api_requests = 0
        self._rate_limits = rate_limits
        self._limits: dict[str, RateLimit | None] = {}
        self._faults = deque[Fault]()
        # Guards all of the above, and the origin.
        self._lock = threading.RLock()
        self._stopping = threading.Event()

    def start(self, url: str) -> None:
        """Start to serve at a URL."""
        self.origin.url = url
        self._stopping.clear()

    def stop(self) -> None:
        """End all waiting."""
        self._stopping.set()

    def respond(self, request: ReceivedRequest) -> Response | None:
        """Return the response to a request, or None to close the connection."""
        if not self.origin.allows_browsers or "origin" not in request.headers:
            return self._respond(request)
        asked = request.headers.get("access-control-request-headers")
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            allowed = {"Access-Control-Allow-Headers": asked} if asked else {}
            return Response(204, headers={**_ANY_ORIGIN, **_PREFLIGHT, **allowed})
        response = self._respond(request)
        return response and attrs.evolve(response, headers={**response.headers, **_ANY_ORIGIN})

    def _respond(self, request: ReceivedRequest) -> Response | None:
        with self._lock:
            if request.path.startswith(_CONTROL):
                return self._control(request)
            self._requests.append(request)
            if request.path != self.origin.token_path:
                return self._other_request(request)
            self.token_requests += 1
            fault = self._faults.popleft() if self._faults else Fault()
        self._stopping.wait(fault.seconds)
        if fault.hangs_up:
            return None
        if fault.response is not None:
            return fault.response
        with self._lock:
            if not self._admits(request.address):
                return self.origin.rate_limited()
            return _only("POST", request, self.origin.endpoints()[request.path])

    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Return the last requests that arrived, the oldest first."""
        with self._lock:
            return tuple(self._requests)

    def _admits(self, address: str) -> bool:
        if address not in self._limits:
            self._limits[address] = self.origin.rate_limit() if self._rate_limits else None
        limit = self._limits[address]
        return limit is None or limit.admits(self.origin.now())

    def _other_request(self, request: ReceivedRequest) -> Response:
        """Return the response to a request that is not a token request."""
        endpoint = self.origin.endpoints().get(request.path)
        if endpoint is not None:
            return _only("POST", request, endpoint)
        document = self.origin.documents().get(request.path)
        if document is not None:
            return _only("GET", request, lambda _: json_response(200, document()))
        self.api_requests += 1
        response = self.origin.api(request)
        if response is None:
            return Response(404)
        return _only("GET", request, lambda _: response)

    def add_fault(self, kind: str, times: object, options: Mapping[str, Any]) -> None:
        """Apply a fault to the next token requests.

        Raises:
            ConfigurationError: The fault is unknown, or its options are wrong.
        """
        if not isinstance(times, int) or not 1 <= times <= _MAX_TIMES:
            raise ConfigurationError(f"times must be an integer from 1 to {_MAX_TIMES}.")
        with self._lock:
            self._faults.extend([make_fault(self.origin, kind, options)] * times)

    def revoke_tokens(self) -> None:
        """Reject every token issued so far."""
        with self._lock:
            self.origin.issued.clear()

    def set_lifetime(self, seconds: int | None) -> None:
        """Set the lifetime of new tokens in seconds; None for the documented one."""
        with self._lock:
            self.origin.lifetime = seconds

    def _control(self, request: ReceivedRequest) -> Response:
        match request.method, request.path.removeprefix(_CONTROL):
            case "GET", "counts":
                counts = {"token_requests": self.token_requests, "api_requests": self.api_requests}
                return json_response(200, counts)
            case "POST", "revoke-tokens":
                self.revoke_tokens()
                return Response(204)
            case "POST", "fault":
                return self._control_fault(request)
            case _, "counts" | "revoke-tokens" | "fault":
                return Response(405)
            case _:
                return Response(404)

    def _control_fault(self, request: ReceivedRequest) -> Response:
        try:
            options = json_object(request.body)
            kind, times = str(options.pop("kind", "")), options.pop("times", 1)
            self.add_fault(kind, times, options)
        except (MalformedBody, ConfigurationError) as error:
            return json_response(400, {"error": str(error)})
        return Response(204)


def _only(
    method: str, request: ReceivedRequest, endpoint: Callable[[ReceivedRequest], Response]
) -> Response:
    if request.method != method:
        return Response(405, headers={"Allow": method})
    return endpoint(request)
