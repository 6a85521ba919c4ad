"""HTTP/1.1 on loopback, by the standard library."""

from __future__ import annotations

import contextlib
import functools
import selectors
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from keyturn.errors import ConfigurationError
from keyturn.testing._messages import ReceivedRequest
from keyturn.testing.emulator._bodies import UnreadableBody, read_body

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyturn.testing.emulator._service import Service


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "keyturn-emulator"
    sys_version = ""
    # One packet for head and body: with two, the client would wait 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, service: Service, *connection: Any) -> None:
        self._service = service
        # It handles the connection's requests.
        super().__init__(*connection)

    def _respond(self) -> None:
        try:
            body = read_body(self.headers, self.rfile)
        except UnreadableBody as error:
            self.send_error(error.status)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = ReceivedRequest(self.command, self.path, headers, body, self.client_address[0])
        response = self._service.respond(request)
        if response is None:
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _respond  # noqa: N815 - the base's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Log nothing."""


class Listener(ThreadingHTTPServer):
    """One provider's port.

    Args:
        host: The name or IPv4 address to listen on.
        port: The port, or 0 for a free one.
        service: The service that handles the port's requests.
    """

    # A hundred clients may connect at once.
    request_queue_size = 256
    # Two emulators on one port would share its clients.
    allow_reuse_port = False
    timeout = 0

    def __init__(self, host: str, port: int, service: Service) -> None:
        self._connections: dict[threading.Thread, socket.socket] = {}
        try:
            super().__init__((host, port), functools.partial(_Handler, service))
        except (OSError, OverflowError, ValueError) as error:
            raise ConfigurationError(
                f"the emulator can't listen on port {port} of {host!r}: {error}.",
                hint="Choose another port, or 0 for free ones, and a host of this machine.",
            ) from error

    @property
    def port(self) -> int:
        """The number of the port."""
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Bind the port, without a DNS query for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        # A client may close its connection before it is accepted: waiting would block all ports.
        self.socket.setblocking(False)  # noqa: FBT003 - its only argument

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; on some systems it inherits the port's non-blocking mode."""
        connection, address = super().get_request()
        connection.setblocking(True)  # noqa: FBT003 - its only argument
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection's requests on a thread that `server_close` can end."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        for ended in [thread for thread in self._connections if not thread.is_alive()]:
            del self._connections[ended]
        thread.start()
        self._connections[thread] = request

    def server_close(self) -> None:
        """Close the port and all connections, and wait for their threads."""
        super().server_close()
        for thread, connection in self._connections.items():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a broken connection; print any other error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Acceptor:
    """One thread that accepts the connections of all listeners.

    Args:
        listeners: The listeners; they are closed when the acceptor stops.
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._waker, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="keyturn-emulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Accept no more, and close the listeners and their connections."""
        self._waker.close()
        self._thread.join()
        self._woken.close()
        for listener in self._listeners:
            listener.server_close()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ, listener)
            while True:
                ready = [key.data for key, _ in selector.select()]
                if None in ready:
                    return
                for listener in ready:
                    listener.handle_request()
