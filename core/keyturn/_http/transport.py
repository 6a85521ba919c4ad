"""One token request over the wire: capped, timed, never redirected."""

from __future__ import annotations

import logging
import threading
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._http.body import read_capped
from keyturn._http.response import Response
from keyturn._http.urls import url_problem
from keyturn._once import ForkSafeLock

if TYPE_CHECKING:
    import ssl

    import httpcore

    from keyturn._clock import Clock
    from keyturn._http.network import Network
    from keyturn._http.proxy import EnvironmentProxy
    from keyturn._http.request import ClientCertificate, EncodedRequest, TokenRequest

_importing = ForkSafeLock()
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

    def send(self, request: TokenRequest, seconds: float, clock: Clock = SYSTEM) -> Response:
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
        message = request.encode(clock.time())
        pool = self._pool(request, network)
        thread = threading.get_ident()
        try:
            _quiet.threads.add(thread)
            return _exchange(pool, request.method, message, clock)
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
        with _importing:
            import encodings.idna  # noqa: F401 - which ssl would import during the request

            import httpx  # noqa: F401

            from keyturn._http import network, proxy  # noqa: F401
        self._is_imported = True

    def _pool(self, request: TokenRequest, network: Network) -> httpcore.ConnectionPool:
        """Return what connects to the token endpoint; it is used for one request."""
        import httpcore

        # Plain http is for loopback only: it must not pass through a proxy elsewhere.
        if request.url[:5].lower() == "http:":
            return httpcore.ConnectionPool(network_backend=network)
        trusted, proxy = self._read_environment()
        certificate = request.certificate
        # Read anew each time, since it is renewed in place; it is asked for once an hour.
        context = trusted if certificate is None else _client_context(certificate)
        address = urlsplit(request.url)
        proxy_url = proxy.for_host(address.hostname or "", address.port or _HTTPS_PORT)
        if proxy_url is None:
            return httpcore.ConnectionPool(ssl_context=context, network_backend=network)
        return _proxy_pool(proxy_url, context, trusted, network)

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
            self._tls = self._tls or _trusted()
            self._proxy = self._proxy or environment_proxy()
        finally:
            if is_locked:
                self._reading.release()
        return self._tls, self._proxy


def _trusted() -> ssl.SSLContext:
    import httpx

    problem = ""
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
    raise errors.ConfigurationError(
        f"the trusted certificates can't be read ({problem}).",
        hint="SSL_CERT_FILE must name a PEM file, or SSL_CERT_DIR a directory of certificates.",
    )


def _client_context(certificate: ClientCertificate) -> ssl.SSLContext:
    """Return a TLS context that shows a client's certificate (RFC 8705 section 2)."""
    context = _trusted()
    password = certificate.password
    problem = ""
    try:
        context.load_cert_chain(
            certificate.certificate,
            certificate.key,
            # An empty one keeps OpenSSL from asking at the terminal.
            password=password.reveal() if password else "",
        )
    # ssl.SSLError is an OSError too; a password or a path that OpenSSL can't take, a ValueError.
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
    else:
        return context
    raise errors.ConfigurationError(
        f"certificate: {certificate.certificate} can't be used ({problem}).",
        hint="It must be a PEM file with the certificate, and with its private key unless "
        "certificate_key names that; certificate_password is what that key is encrypted with.",
    )


def _proxy_pool(
    url: str, context: ssl.SSLContext, trusted: ssl.SSLContext, network: Network
) -> httpcore.ConnectionPool:
    """Return what connects to the token endpoint through a proxy.

    Args:
        url: The proxy's URL.
        context: The TLS context of the connection to the token endpoint.
        trusted: The TLS context of the connection to the proxy, which sees no client certificate.
        network: The network back end.
    """
    import httpcore
    import httpx

    problem = ""
    try:
        proxy = httpx.Proxy(url)
        proxy_url = httpcore.URL(
            scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=b"/"
        )
        if proxy.url.scheme.startswith("socks"):
            return httpcore.SOCKSProxy(
                proxy_url, proxy.raw_auth, ssl_context=context, network_backend=network
            )
        return httpcore.HTTPProxy(
            proxy_url,
            proxy.raw_auth,
            ssl_context=context,
            proxy_ssl_context=trusted if proxy.url.scheme == "https" else None,
            network_backend=network,
        )
    except ImportError as error:
        problem = f"it needs the package {error.name}"
    # The message of any other may hold the proxy's password.
    except Exception as error:  # noqa: BLE001 - as said
        problem = type(error).__name__
    raise errors.ConfigurationError(
        f"the proxy that the environment names can't be used ({problem}).",
        hint="HTTPS_PROXY or ALL_PROXY must be a URL such as http://proxy.example:8080; a SOCKS "
        "proxy needs httpx[socks].",
    )


def _exchange(
    pool: httpcore.ConnectionPool, method: str, message: EncodedRequest, clock: Clock
) -> Response:
    """Send a request and return the response; the deadline is the pool's."""
    import httpcore
    import httpx

    headers = httpx.Headers(_HEADERS)
    headers.update(message.headers)
    sending = httpx.Request(method, message.url, headers=headers, content=message.body)
    url = httpcore.URL(
        scheme=sending.url.raw_scheme,
        host=sending.url.raw_host,
        port=sending.url.port,
        target=sending.url.raw_path,
    )
    sent_at = clock.time()
    response = pool.handle_request(
        httpcore.Request(method, url, headers=sending.headers.raw, content=message.body)
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
        status = str(error)[:3]
        return f"the proxy responded with {f'HTTP {status}' if status.isdigit() else error}"
    if isinstance(error, httpcore.RemoteProtocolError):
        is_silent = str(error).startswith("Server disconnected")
        return (
            "it closed the connection without a response"
            if is_silent
            else "its response is not HTTP"
        )
    return type(error).__name__


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
