"""One token request over HTTP: the certificates and the proxy, the exchange, and what failed."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import os
import re
import ssl
import threading
import zlib
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpcore
import httpx

from keyturn import errors
from keyturn._http.network import Network
from keyturn._http.policy import PERMISSIVE, check_address
from keyturn._http.response import MAX_BODY, Response
from keyturn._http.values import usable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyturn._clock import Clock
    from keyturn._http.policy import NetworkPolicy
    from keyturn._http.request import ClientCertificate, TokenRequest

_WINDOW_BITS = {"": 0, "identity": 0, "gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_REASONS: dict[type, str] = {
    httpcore.RemoteProtocolError: "its response is not HTTP",
    zlib.error: "its response can't be decompressed",
}
_HEADERS = {"User-Agent": "keyturn", "Connection": "keep-alive"}
# The threads that send a token request: httpcore logs nothing there, a response may echo a secret.
_sending: set[int] = set()

for _name in ("httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks"):
    logging.getLogger(_name).addFilter(lambda _: threading.get_ident() not in _sending)
# ssl and httpx would import these in the midst of a request.
for _name in ("encodings.idna", "certifi"):
    importlib.import_module(_name)


def exchange(
    request: TokenRequest,
    seconds: float,
    clock: Clock,
    trusted: Callable[[], ssl.SSLContext],
    policy: NetworkPolicy,
) -> Response:
    """Send a token request and return the response, as `Transport.send` says.

    Args:
        request: What to send.
        seconds: The time in which the last byte must have come.
        clock: The connection's clock.
        trusted: Returns the TLS context that trusts the right authorities.
        policy: Which addresses may be connected to.
    """
    network = Network(seconds)
    # Provider code and key files take the time of this request; no lock is held.
    encoded = request.encode(clock.time())
    url = httpcore.URL(encoded.url)
    connection = _connection(request, url.origin, network, trusted)
    # A proxy resolves the name by itself.
    if policy is not PERMISSIVE and isinstance(connection, httpcore.HTTPConnection):
        network.check = lambda host, each: check_address(policy, each, host, "token endpoint")
    named = {"Host": urlsplit(request.url).netloc, **_HEADERS, **encoded.headers}
    # A header's name is the same in any case: the last one counts.
    headers = dict(zip(map(str.lower, named), named.items(), strict=True))
    sent_at, thread = clock.time(), threading.get_ident()
    try:
        _sending.add(thread)
        with connection.stream(
            request.method,
            url,
            headers=[*headers.values()],
            content=encoded.body or (None if request.method == "GET" else b""),
        ) as response:
            return _response(response, sent_at)
    except errors.KeyturnError:
        raise
    except Exception as error:  # noqa: BLE001 - httpcore, h11, socksio and ssl raise their own
        late = f"did not respond within {seconds:.2g} s"
        problem = late if _is_timeout(error) else f"failed: {_reason(error)}"
    finally:
        _sending.discard(thread)
        network.close()
    # Raised here, not in the handler: those errors may hold the request, secret included.
    raise errors.EndpointUnavailable(
        f"the token endpoint {request.url} {problem}.",
        hint="Check the network, the address, and proxies and certificates.",
    )


def _response(response: httpcore.Response, sent_at: float) -> Response:
    received = dict(httpx.Headers(response.headers))
    try:
        body = read_capped(response.iter_stream(), received.get("content-encoding", ""))
    except (errors.InvalidTokenResponse, zlib.error, OSError, httpcore.ProtocolError) as error:
        # The status and headers of an error response, such as Retry-After, count without it.
        if response.status < 300 or _is_timeout(error):
            raise
        body = b""
    return Response(response.status, received, body, sent_at)


def read_capped(chunks: Iterable[bytes], encoding: str) -> bytes:
    """Return a body of at most `MAX_BODY` bytes, decompressed step by step.

    Args:
        chunks: The body as it came.
        encoding: Its `Content-Encoding`.

    Raises:
        keyturn.errors.InvalidTokenResponse: It is larger, or encoded in another way than gzip or
            deflate.
        zlib.error: It can't be decompressed, or was cut off.
    """
    window_bits = _WINDOW_BITS.get(encoding.strip().lower())
    if window_bits is None:
        raise errors.InvalidTokenResponse(
            "the token endpoint's response has a Content-Encoding that was not asked for.",
            hint="The token endpoint must send it uncompressed, or with gzip or deflate.",
        )
    unpacker = zlib.decompressobj(window_bits) if window_bits else None
    body = bytearray()
    for chunk in chunks:
        body += chunk if unpacker is None else unpacker.decompress(chunk, MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise errors.InvalidTokenResponse(
                f"the token endpoint's response is larger than {MAX_BODY} bytes."
            )
    if body and unpacker is not None and not unpacker.eof:
        raise zlib.error("it ends before its checksum")
    return bytes(body)


def _is_timeout(error: BaseException) -> bool:
    """Return whether the deadline has passed; what the kernel itself reports has a number."""
    return isinstance(error, TimeoutError) and error.errno is None


def _reason(error: Exception) -> str:
    """Return what went wrong, as the system reports it, in words that hold no secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    # The messages themselves may quote the request or the response.
    report = str(error).rstrip(".")
    if isinstance(error, httpcore.ProxyError):
        # What follows a status is the proxy's own text.
        status = report[:3]
        return f"the proxy responded with {f'HTTP {status}' if status.isdigit() else report}"
    if report.startswith("Server disconnected"):
        return "it closed the connection without a response"
    return _REASONS.get(type(error), type(error).__name__)


def _connection(
    request: TokenRequest,
    origin: httpcore.Origin,
    network: Network,
    trusted: Callable[[], ssl.SSLContext],
) -> httpcore.HTTPConnection | httpcore.ConnectionPool:
    """Return what connects to the token endpoint; it is used for one request."""
    # Plain http is for loopback only: it must not pass through a proxy elsewhere.
    if origin.scheme == b"http":
        return httpcore.HTTPConnection(origin, network_backend=network)
    # Read anew each time, since it is renewed in place; a token request is rare.
    context = _client_context(request.certificate) if request.certificate else trusted()
    url = proxy_for(request.url)
    if url is None:
        return httpcore.HTTPConnection(origin, context, network_backend=network)
    proxy = _proxy(url, trusted())
    return httpcore.ConnectionPool(ssl_context=context, proxy=proxy, network_backend=network)


def trusted_context() -> ssl.SSLContext:
    """Return a TLS context that trusts the usual authorities, or those of the environment.

    Raises:
        keyturn.errors.ConfigurationError: `SSL_CERT_FILE` or `SSL_CERT_DIR` can't be read.
    """
    file = os.environ.get("SSL_CERT_FILE") or None
    directory = None if file else os.environ.get("SSL_CERT_DIR")
    # httpx before 0.28 passes over a path at which there is nothing.
    make = partial(ssl.create_default_context, cafile=file, capath=directory)
    return usable(
        make if file or directory else partial(httpx.create_ssl_context, trust_env=False),
        "the trusted certificates can't be read",
        "SSL_CERT_FILE must name a PEM file, or SSL_CERT_DIR a directory of certificates.",
    )


def _client_context(certificate: ClientCertificate) -> ssl.SSLContext:
    """Return a TLS context that shows a client's certificate (RFC 8705 section 2)."""
    context = trusted_context()
    usable(
        partial(
            context.load_cert_chain,
            certificate.certificate,
            certificate.key,
            # An empty one keeps OpenSSL from asking at the terminal.
            certificate.password.reveal() if certificate.password else "",
        ),
        f"certificate: {certificate.certificate} can't be used",
        "It must be a PEM file with the certificate, and with its private key unless "
        "certificate_key names that; certificate_password is what that key is encrypted with.",
    )
    return context


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for an https URL, which may hold a password, or None.

    `HTTPS_PROXY` or `ALL_PROXY`, or the system's settings, name it. `NO_PROXY` names what is
    reached directly, as curl reads it: host names with everything below them, IP addresses,
    networks such as `10.0.0.0/8`, each with an optional port, or `*`.
    """
    found, address = getproxies(), urlsplit(url)
    proxy = found.get("https") or found.get("all")
    host, port = address.hostname or "", address.port or 443
    exceptions = re.split(r"[,\s]+", found.get("no", "").lower())
    if not proxy or any(_matches(each, host, port) for each in exceptions):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _matches(exception: str, host: str, port: int) -> bool:
    names = (exception, exception.removesuffix(f":{port}"))
    return exception == "*" or any(_covers(each.strip("[]").lstrip("."), host) for each in names)


def _covers(name: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return f".{host}".endswith(f".{name}")


def _proxy(url: str, trusted: ssl.SSLContext) -> httpcore.Proxy:
    def make() -> httpcore.Proxy:
        proxy = httpx.Proxy(url)
        if proxy.url.scheme.startswith("socks"):
            importlib.import_module("socksio")
        # This URL is without user and password.
        return httpcore.Proxy(str(proxy.url), proxy.raw_auth, ssl_context=trusted)

    return usable(
        make,
        "the proxy that the environment names can't be used",
        "HTTPS_PROXY or ALL_PROXY must be a URL such as http://proxy.example:8080; a SOCKS "
        "proxy needs httpx[socks].",
    )
