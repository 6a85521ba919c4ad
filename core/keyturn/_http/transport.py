"""One token request over the wire: capped, timed, never redirected."""

from __future__ import annotations

import importlib
import logging
import threading
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keyturn import errors
from keyturn._http.body import read_capped
from keyturn._http.certificates import client_context, trusted_context
from keyturn._http.response import Response
from keyturn._http.urls import url_problem
from keyturn._once import importing

if TYPE_CHECKING:
    import ssl

    import httpcore

    from keyturn._clock import Clock
    from keyturn._http.network import Network
    from keyturn._http.proxy import EnvironmentProxy
    from keyturn._http.request import EncodedRequest, TokenRequest

# What the first request imports; ssl would import the codec of host names in its midst.
_MODULES = ("encodings.idna", "certifi", "httpx", "keyturn._http.network", "keyturn._http.proxy")
_REDIRECT = 300
_HTTPS_PORT = 443
_PATIENCE = 1.0
_HEADERS = {"User-Agent": "keyturn", "Connection": "keep-alive"}


class Transport:
    """Sends token requests, each over a connection of its own.

    A token request is rare, and a connection that idles for an hour is closed by then. So nothing
    is shared between requests but the trusted certificates and the proxy, which are read once.

    Args:
        tls: How TLS is done; by default with the certificate authorities of `SSL_CERT_FILE` or
            `SSL_CERT_DIR`, or else those of certifi.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._proxy: EnvironmentProxy | None = None
        self._is_imported = False
        self._reading = threading.Lock()

    def send(self, request: TokenRequest, seconds: float, clock: Clock) -> Response:
        """Send a token request and return the whole response, whatever its status.

        Args:
            request: What to send.
            seconds: The time in which the last byte must have come. It is measured by the
                system's clock; see `keyturn._http.network.Deadline`.
            clock: Says when the request was sent, and which times a signed assertion has.

        Raises:
            keyturn.errors.EndpointUnavailable: No response came, or not in time.
            keyturn.errors.ConfigurationError: The request can't be sent as it is.
            keyturn.errors.InvalidTokenResponse: The response is larger than `MAX_BODY` bytes, or
                compressed in a way that was not asked for.
        """
        problem = url_problem(request.url)
        if problem:
            message = f"the token endpoint's address {problem}."
            raise errors.ConfigurationError(message)
        if not self._is_imported:
            self._import()
        from keyturn._http.network import Deadline, Network

        network = Network(Deadline(seconds))
        # Providers' code and key files: they take this request's time, and hold no lock.
        encoded = request.encode(clock.time())
        pool = self._pool(request, network)
        thread = threading.get_ident()
        try:
            _quiet.threads.add(thread)
            return _exchange(pool, request.method, encoded, clock)
        except errors.KeyturnError:
            raise
        except Exception as error:  # noqa: BLE001 - httpcore, h11, socksio and ssl raise their own
            failure = _failure(error, request, seconds)
        finally:
            _quiet.threads.discard(thread)
            network.close()
        # Raised here, not in the handler: those errors may hold the request, secret included.
        raise failure

    def _import(self) -> None:
        with importing:
            for name in _MODULES:
                importlib.import_module(name)
        self._is_imported = True

    def _pool(self, request: TokenRequest, network: Network) -> httpcore.ConnectionPool:
        """Return what connects to the token endpoint; it is used for one request."""
        import httpcore

        from keyturn._http.proxy import proxy_pool

        # Plain http is for loopback only: it must not pass through a proxy elsewhere.
        if request.url[:5].lower() == "http:":
            return httpcore.ConnectionPool(network_backend=network)
        trusted, proxy = self._read_environment()
        certificate = request.certificate
        # Read anew each time, since it is renewed in place; it is asked for once an hour.
        context = trusted if certificate is None else client_context(certificate)
        address = urlsplit(request.url)
        proxy_url = proxy.for_host(address.hostname or "", address.port or _HTTPS_PORT)
        if proxy_url is None:
            return httpcore.ConnectionPool(ssl_context=context, network_backend=network)
        return proxy_pool(proxy_url, context, trusted, network)

    def _read_environment(self) -> tuple[ssl.SSLContext, EnvironmentProxy]:
        """Return the trusted certificates and the proxy, read at the first https request.

        The lock saves a hundred threads from reading the certificates a hundred times, and no more
        than that: a process forked amid it, whose lock no thread will release, reads them itself.
        """
        if self._tls is not None and self._proxy is not None:
            return self._tls, self._proxy
        from keyturn._http.proxy import environment_proxy

        is_locked = self._reading.acquire(timeout=_PATIENCE)
        try:
            self._tls = self._tls or trusted_context()
            self._proxy = self._proxy or environment_proxy()
        finally:
            if is_locked:
                self._reading.release()
        return self._tls, self._proxy


def _exchange(
    pool: httpcore.ConnectionPool, method: str, encoded: EncodedRequest, clock: Clock
) -> Response:
    """Send a request and return the response; the deadline is the pool's."""
    import httpcore
    import httpx

    headers = httpx.Headers(_HEADERS)
    headers.update(encoded.headers)
    sending = httpx.Request(method, encoded.url, headers=headers, content=encoded.body)
    url = httpcore.URL(
        scheme=sending.url.raw_scheme,
        host=sending.url.raw_host,
        port=sending.url.port,
        target=sending.url.raw_path,
    )
    sent_at = clock.time()
    response = pool.handle_request(
        httpcore.Request(method, url, headers=sending.headers.raw, content=encoded.body)
    )
    received: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        received[name] = f"{received[name]}, {value}" if name in received else value
    body = _body(response, received.get("content-encoding", ""))
    return Response(response.status, received, body, sent_at)


def _body(response: httpcore.Response, encoding: str) -> bytes:
    """Return a response's body; nothing if it is an error response's that can't be read.

    The status and the headers of an error response, such as `Retry-After`, count without it.
    """
    import httpcore

    try:
        return read_capped(response.iter_stream(), encoding)
    except (errors.InvalidTokenResponse, zlib.error, OSError, httpcore.ProtocolError) as error:
        if response.status < _REDIRECT or _is_timeout(error):
            raise
        return b""


def _is_timeout(error: BaseException) -> bool:
    """Return whether the deadline has passed; what the kernel itself reports has a number."""
    return isinstance(error, TimeoutError) and error.errno is None


def _failure(error: Exception, request: TokenRequest, seconds: float) -> errors.KeyturnError:
    """Return our error for what went wrong in the network."""
    if _is_timeout(error):
        what = f"did not respond within {seconds:.2g} s"
    else:
        what = f"failed: {_reason(error)}"
    return errors.EndpointUnavailable(
        f"the token endpoint {request.url} {what}.",
        hint="Check the network, the address, and proxies and certificates.",
    )


def _reason(error: Exception) -> str:
    """Return what went wrong, as the system reports it, in words that hold no secret."""
    import httpcore

    if isinstance(error, zlib.error):
        return "its response can't be decompressed"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    # The messages themselves may quote the request or the response.
    if isinstance(error, httpcore.ProxyError):
        report = str(error).rstrip(".")
        if report[:3].isdigit():  # a status, and words of the proxy's own
            return f"the proxy responded with HTTP {report[:3]}"
        return f"the SOCKS proxy reports: {report}"
    if not isinstance(error, httpcore.RemoteProtocolError):
        return type(error).__name__
    is_closed = str(error).startswith("Server disconnected")
    return (
        "it closed the connection without a response" if is_closed else "its response is not HTTP"
    )


class _Quiet(logging.Filter):
    """Keeps httpcore from logging a token request, whose response may echo a secret."""

    _LOGGERS = ("httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()
        for name in self._LOGGERS:
            logging.getLogger(name).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record comes from a thread that sends no token request."""
        del record
        return threading.get_ident() not in self.threads


_quiet = _Quiet()
