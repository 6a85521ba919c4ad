"""A token endpoint on loopback that sends any given response, also malformed bytes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from keyturn.testing._messages import ReceivedRequest, Response
from keyturn.testing.provider_kit._audit import unwatched

if TYPE_CHECKING:
    from collections.abc import Callable

    Reply = Response | bytes | Callable[[ReceivedRequest], Response]

_HOST = "127.0.0.1"
_SECONDS = 10.0
# Closing sends a reset (RST) instead of an orderly end.
_RESET = struct.pack("ii", 1, 0)

RESET = b""
"""The reply that is a reset of the connection."""


class Endpoint:
    """A token endpoint on loopback; it handles one request after the other.

    Attributes:
        reply: What it sends: a response, raw bytes, or a function of the request.
        steps: What it sends at other paths, for the steps before a token request.
        received: The requests so far, without those of such steps.
        url: Its URL.
        address: Its host and port.
    """

    def __init__(self) -> None:
        self.reply: Reply = Response(HTTPStatus.NOT_FOUND)
        self.steps: dict[str, Response] = {}
        self.received: list[ReceivedRequest] = []
        self._listener = socket.create_server((_HOST, 0))
        self._port: int = self._listener.getsockname()[1]
        self.address = (_HOST, self._port)
        self.url = f"http://{_HOST}:{self._port}/made-up-endpoint"
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, name="keyturn-endpoint", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and close the port."""
        self._is_open = False
        with contextlib.suppress(OSError), unwatched():
            # Not every system wakes a thread that accepts when the socket is closed.
            socket.create_connection((_HOST, self._port), _SECONDS).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if not self._is_open:
                connection.close()
                return
            connection.settimeout(_SECONDS)
            # The client may be gone, or may never have sent a request.
            with connection, contextlib.suppress(OSError, ValueError):
                self._respond(connection)

    def _respond(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as file:
            method, target, _ = file.readline().decode("latin-1").split(" ", 2)
            lines = iter(lambda: file.readline().decode("latin-1").strip(), "")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = file.read(int(headers.get("content-length", "0")))
        request = ReceivedRequest(method, target, headers, body, _HOST)
        reply: Reply = self.reply
        if request.path in self.steps:
            reply = self.steps[request.path]
        else:
            self.received.append(request)
        reply = reply(request) if callable(reply) else reply
        raw = reply if isinstance(reply, bytes) else to_bytes(reply)
        if raw == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.sendall(raw)


def to_bytes(response: Response) -> bytes:
    """Return a response as bytes to send."""
    headers = {"Content-Length": str(len(response.body)), "Connection": "close"} | dict(
        response.headers
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {response.status} Status\r\n{lines}\r\n".encode("latin-1") + response.body
