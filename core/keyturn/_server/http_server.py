"""uvicorn, with limits for clients, and without its own log."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from keyturn._server.access import MAX_HEAD
from keyturn._server.sockets import notify

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Generator

    from starlette.types import ASGIApp

# The most connections and requests; each may use `keyturn._server.request_body.MAX_KEPT` bytes.
_MAX_CONNECTIONS = 256
# Seconds for the request line and headers and for a body after the response; for an idle
# connection; for requests in progress when the agent stops.
_HEAD_SECONDS = 15.0
_IDLE_SECONDS = 60
GRACE = 20
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Protocol(H11Protocol):
    """Closes connections whose request does not arrive in time, and surplus connections."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Up to twice as many get the response 503.
        if len(self.connections) > 2 * _MAX_CONNECTIONS:
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._watch()

    def _watch(self) -> None:
        """Limit the time for the request line and headers, and for a body after the response."""
        states = (self.conn.our_state, self.conn.their_state)
        if h11.IDLE not in states and states != (h11.DONE, h11.SEND_BODY):
            self._stop_watch()
        elif self._timer is None:
            self._timer = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _stop_watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class HttpServer(uvicorn.Server):
    """Serves an application on one socket until it is interrupted or terminated.

    Args:
        app: The application.

    Attributes:
        ready: Called when the server accepts connections.
    """

    ready: Callable[[], object]

    def __init__(self, app: ASGIApp) -> None:
        # Its messages could quote a request. keyturn logs what is necessary.
        logging.getLogger("uvicorn.error").disabled = True
        config: dict[str, Any] = {
            "http": _Protocol,
            "ws": "none",
            "lifespan": "off",
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "date_header": False,
            "proxy_headers": False,
            "h11_max_incomplete_event_size": MAX_HEAD,
            "limit_concurrency": _MAX_CONNECTIONS,
            "timeout_keep_alive": _IDLE_SECONDS,
            "timeout_graceful_shutdown": GRACE,
        }
        super().__init__(uvicorn.Config(app, **config))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, and call `ready`."""
        await super().startup(sockets=sockets)
        self.ready()
        notify("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, and let requests in progress finish."""
        notify("STOPPING=1")
        await super().shutdown(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop at a signal, without raising it again afterwards: this is a normal end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in _SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
