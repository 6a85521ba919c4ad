"""The agent of `keyturn serve`, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import httpx

from keyturn._http.tls import trusted_context
from keyturn._server.access import Access
from keyturn._server.api_response import set_location_aside
from keyturn._server.app import App
from keyturn._server.connections import ServedConnections
from keyturn._server.http_server import HttpServer
from keyturn._server.metrics import Metrics
from keyturn._server.reverse_proxy import TIMEOUT, ReverseProxy, no_cookies
from keyturn._server.status_page import StatusPage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from keyturn._config.configuration import Configuration
    from keyturn._secret import Secret
    from keyturn._server.sockets import Listener
    from keyturn._server.token_file import TokenFile

# The limits for connections to the APIs, and for idle ones. Many servers close a connection after 5
# idle seconds, some at the moment of a request.
_LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=4.0)


class Agent:
    """Serves the connections of a configuration on one socket.

    Args:
        configuration: The configuration.
        listener: The socket.
        secret: The session secret; None if the socket's mode controls access.
        token_files: The token files to update.

    Raises:
        keyturn.errors.ConfigurationError: The configuration has problems.
    """

    def __init__(
        self,
        configuration: Configuration,
        listener: Listener,
        secret: Secret | None,
        token_files: Sequence[TokenFile] = (),
    ) -> None:
        self._listener, self._token_files = listener, token_files
        metrics = Metrics()
        self._connections = ServedConnections(configuration, metrics.report)
        metrics.serve(self._connections)
        self._client = _client()
        proxy = ReverseProxy(self._connections, self._client, metrics.observe)
        app = App(self._connections, proxy, StatusPage(self._connections), metrics)
        self._server = HttpServer(Access(app, secret, listener.hosts))

    async def run(self, ready: Callable[[], object]) -> None:
        """Serve until the process is interrupted or terminated.

        Args:
            ready: Called when the agent accepts connections.
        """
        self._server.ready = ready
        self._connections.start()
        try:
            async with self._client, self._files_kept():
                await self._server.serve([self._listener.socket])
        finally:
            self._connections.stop()

    def stop(self) -> None:
        """Stop, as after a signal; requests in progress finish. Any thread may call it."""
        self._server.should_exit = True

    @contextlib.asynccontextmanager
    async def _files_kept(self) -> AsyncGenerator[None]:
        tasks = [asyncio.create_task(each.keep(self._connections)) for each in self._token_files]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _client() -> httpx.AsyncClient:
    """Return the HTTP client for the APIs, which adds nothing and stores no cookies."""
    return httpx.AsyncClient(
        verify=trusted_context(),
        timeout=TIMEOUT,
        limits=_LIMITS,
        cookies=no_cookies(),
        event_hooks={"response": [set_location_aside]},
        # Plain http is for loopback only: do not send the token through a proxy.
        mounts={"http://": None},
    )
