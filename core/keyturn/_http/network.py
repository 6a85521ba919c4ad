"""The network of a request: connections, TLS, and one deadline for all of it.

httpx limits each single read by a timeout, so a server that slowly sends single bytes can block a
caller forever. httpcore, httpx's transport, takes a network back end
(https://www.encode.io/httpcore/network-backends/): this one gives every operation the time that
is left until the deadline, proxies and TLS handshakes included, and needs no thread for that.
httpcore's own timeouts, an argument of each method, are ignored.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import httpcore

from keyturn._clock import SYSTEM
from keyturn._http.tcp import connect
from keyturn._http.tunnel import open_tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyturn._http.proxy import Proxy

Step = Literal["name", "connection", "tunnel", "TLS", "response"]
T = TypeVar("T")

# Seconds for opening a connection, with any timeout of the response.
_CONNECT_SECONDS = 10.0
# Seconds; a timeout of 0 would not wait at all.
_AT_LEAST = 0.001


class Network(httpcore.NetworkBackend):
    """The network of one connection, with a deadline for the complete response.

    The time is measured on the system's monotonic clock, never on a connection's own: the kernel
    counts a socket's timeout on the system's clock too, so a clock that a test sets or stops
    neither shortens nor lengthens what a real server may take.

    Args:
        check: Called with the host and each of its addresses before a connection to any of them.
        proxy: The proxy, or None.
        trusted: The trusted authorities for a proxy's certificate.

    Attributes:
        end: The deadline of the request, on the system's monotonic clock.
        received: The number of received bytes of the response.
        proxy: The proxy, or None.
        is_at_proxy: Whether the tunnel through the proxy is not open yet.
        step: The current step, for the message of a failure.
    """

    def __init__(
        self,
        check: Callable[[str, str], None] | None = None,
        proxy: Proxy | None = None,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self.end = self.received = 0.0
        self.proxy, self.is_at_proxy = proxy, proxy is not None
        self.step: Step = "response"
        self._check, self._trusted = check, trusted
        self._sockets = contextlib.ExitStack()

    def left(self) -> float:
        """Return the seconds that are left, more than 0.

        Raises:
            TimeoutError: The deadline has passed.
        """
        left = self.end - SYSTEM.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to the token endpoint's host, through the proxy if there is one.

        Raises:
            keyturn.errors.ConfigurationError: One of its addresses must not be connected to.
            keyturn._http.tunnel.TunnelError: The proxy does not connect to it.
            OSError: A name can't be resolved, or no address be connected to.
        """
        proxy = self.proxy
        if proxy is None:
            return self._connected(host, port)
        stream: _Stream | _TLSStream = self._connected(proxy.host, proxy.port)
        if proxy.scheme == "https":
            stream = _TLSStream(stream, self._trusted or ssl.create_default_context(), proxy.host)
        self.step = "tunnel"
        open_tunnel(stream, proxy, host, port)
        self.is_at_proxy, self.step = False, "response"
        return stream

    def close(self) -> None:
        """Close every connection; httpcore leaves one open when setting up TLS fails."""
        self._sockets.close()

    def _connected(self, host: str, port: int) -> _Stream:
        """Return a connection to a host.

        `getaddrinfo` has no timeout, so a name server that does not respond can exceed the
        deadline. No caller waits for it; see `keyturn._tokens.single_flight`.
        """
        self.step = "name"
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not addresses:
            raise OSError(errno.EADDRNOTAVAIL, "its name has no address")
        for *_, address in addresses:
            if self._check is not None:
                self._check(host, str(address[0]))
        self.step = "connection"
        left = self.left()
        try:
            connection = connect(addresses, SYSTEM.monotonic() + min(left, _CONNECT_SECONDS))
        except TimeoutError:
            self.left()
            # With a number, it is not the deadline of the request.
            late = f"no connection within {_CONNECT_SECONDS:g} s"
            raise TimeoutError(errno.ETIMEDOUT, late) from None
        self._sockets.enter_context(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.step = "response"
        return _Stream(connection, self)


class _Stream(httpcore.NetworkStream):
    """A TCP connection on which no operation takes longer than the time that is left."""

    def __init__(self, connection: socket.socket, network: Network) -> None:
        self._connection = connection
        self.network = network
        self._unsent = b""
        self._broken: ConnectionError | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        end = self.network.end
        if self._unsent:
            # The timeout of the whole sendall.
            self._connection.settimeout(max(_AT_LEAST, end - SYSTEM.monotonic()))
            try:
                self._connection.sendall(self._unsent)
            except ConnectionError as error:
                self._broken = error  # a server may respond and close before it has read everything
            self._unsent = b""
        self._connection.settimeout(max(_AT_LEAST, end - SYSTEM.monotonic()))
        received = self._connection.recv(max_bytes)
        if not received and self._broken:
            raise self._broken  # the system reports a reset only once
        self.network.received += len(received)
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._unsent += buffer  # sent before the next read: headers and body in one packet

    def get_extra_info(self, info: str) -> Any:
        """Return whether there is something to read, such as the end, if `is_readable` is asked."""
        if info != "is_readable":
            return None
        self._connection.settimeout(0)
        try:
            self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass  # it is broken
        return True

    def close(self) -> None:
        self._connection.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> _TLSStream:
        return _TLSStream(self, ssl_context, server_hostname)


class _TLSStream(httpcore.NetworkStream):
    """TLS over any other stream: a connection, or the tunnel through a proxy with TLS of its own.

    Args:
        stream: Carries the encrypted bytes, and keeps the deadline.
        context: How TLS is done, and which certificates are trusted.
        server_hostname: The name that the server's certificate must have.
    """

    start_tls = _Stream.start_tls

    def __init__(
        self, stream: _Stream | _TLSStream, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        self._stream = stream
        self.network: Network = stream.network
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        self.network.step = "TLS"
        self._run(self._tls.do_handshake)
        self.network.step = "response"

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        before, received = self.network.received, b""
        # Many servers close without TLS's own end.
        with contextlib.suppress(ssl.SSLEOFError):
            received = self._run(self._tls.read, max_bytes)
        # Only the content within TLS counts.
        self.network.received = before + len(received)
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        while buffer:
            buffer = buffer[self._run(self._tls.write, buffer) :]

    def get_extra_info(self, info: str) -> Any:
        """Return the result of the connection; see `_Stream`."""
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()

    def _run(self, step: Callable[..., T], *arguments: Any) -> T:
        """Return the result of a TLS step; send and receive the bytes that it needs."""
        while True:
            try:
                return step(*arguments)
            except ssl.SSLWantReadError:
                pass
            finally:
                self._stream.write(self._outgoing.read())
            received = self._stream.read(65_536)
            if received:
                self._incoming.write(received)
            else:
                self._incoming.write_eof()
