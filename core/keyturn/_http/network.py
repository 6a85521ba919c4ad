"""How a request reaches a host: name resolution, connections, TLS, and one deadline for all of it.

httpx limits each single read by a timeout, so a server that sends a byte now and then can hold a
caller for ever. httpcore, httpx's transport, takes a network back end
(https://www.encode.io/httpcore/network-backends/): this one gives every operation the time that
is left until the deadline, proxies and TLS handshakes included, and needs no thread for that.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, TypeAlias

import httpcore

from keyturn._clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Address: TypeAlias = "tuple[socket.AddressFamily, Any]"

_CHUNK = 65_536


class Deadline:
    """The moment by which the last byte of a response must have come.

    It is measured on the system's monotonic clock, never on a connection's own: the kernel counts
    a socket's timeout on the system's clock too, so a clock that a test sets or stops neither
    shortens nor lengthens what a real server may take.

    Args:
        seconds: The time from now on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = SYSTEM.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, more than 0.

        Raises:
            TimeoutError: The deadline has passed.
        """
        left = self._end - SYSTEM.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, in the order in which they are tried.

    `getaddrinfo` takes no timeout: a name server that does not respond can exceed the deadline.

    Args:
        host: A host name, or an IP address without brackets.
        port: The TCP port.

    Raises:
        OSError: The name can't be resolved.
    """
    addresses: list[Address] = []
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        addresses.append((family, address))
    return addresses


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Return a TCP connection to a host.

    Each address gets an equal share of the time left, so that one that does not respond leaves
    time for the next.

    Raises:
        OSError: No address could be connected to; it is the last one's error.
    """
    addresses = resolve(host, port)
    failure: OSError = OSError("the name has no address")
    for number, (family, address) in enumerate(addresses):
        try:
            return _connect_to(family, address, deadline.left() / (len(addresses) - number))
        except OSError as error:
            failure = error
    raise failure


def _connect_to(family: socket.AddressFamily, address: Any, seconds: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


class Stream(httpcore.NetworkStream):
    """A TCP connection on which every operation takes no longer than the deadline allows.

    Args:
        connection: The connection.
        deadline: The deadline.
    """

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return up to `max_bytes` bytes, or none when the other side has closed."""
        del timeout
        self._connection.settimeout(self._deadline.left())
        return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all bytes of a buffer."""
        del timeout
        try:
            while buffer:
                self._connection.settimeout(self._deadline.left())
                buffer = buffer[self._connection.send(buffer) :]
        except TimeoutError:
            raise
        except OSError as error:
            # httpcore then reads: a server may respond, and close, before it has read everything.
            raise httpcore.WriteError(error) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Return a stream that encrypts what goes over this one, after the handshake."""
        del timeout
        return TLSStream(self, ssl_context, server_hostname)


class TLSStream(httpcore.NetworkStream):
    """TLS over any other stream: a connection, or the tunnel through a proxy with TLS of its own.

    Args:
        stream: Carries the encrypted bytes, and keeps the deadline.
        context: How TLS is done, and which certificates are trusted.
        server_hostname: The name that the server's certificate must have.
    """

    def __init__(
        self, stream: httpcore.NetworkStream, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        self._run(self._tls.do_handshake)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return up to `max_bytes` bytes, or none when the other side has closed."""
        del timeout
        try:
            data: bytes = self._run(self._tls.read, max_bytes)
        except ssl.SSLEOFError:  # closed without TLS's own end, as many servers do
            return b""
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all bytes of a buffer."""
        del timeout
        while buffer:
            buffer = buffer[self._run(self._tls.write, buffer) :]

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Return a stream that encrypts what goes over this one, after the handshake."""
        del timeout
        return TLSStream(self, ssl_context, server_hostname)

    def get_extra_info(self, info: str) -> Any:
        """Return the TLS object if it is asked for: httpcore reads the protocol agreed on."""
        return self._tls if info == "ssl_object" else None

    def _run(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a step of TLS returns, with the bytes sent and received that it needs."""
        while True:
            try:
                result = step(*arguments)
            except ssl.SSLWantReadError:
                self._stream.write(self._outgoing.read())
                received = self._stream.read(_CHUNK)
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                self._stream.write(self._outgoing.read())
                return result


class Network(httpcore.NetworkBackend):
    """The network as one request sees it: it keeps the request's deadline.

    Args:
        deadline: The deadline of everything that goes over its connections.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._streams: list[Stream] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to a host: the token endpoint's, or a proxy."""
        del timeout, local_address, socket_options
        stream = Stream(connect(host, port, self._deadline), self._deadline)
        self._streams.append(stream)
        return stream

    def close(self) -> None:
        """Close every connection; httpcore leaves one open when setting up a proxy fails."""
        for stream in self._streams:
            stream.close()
