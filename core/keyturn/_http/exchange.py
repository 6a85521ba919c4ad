"""One token request over HTTP: the certificates and the proxy, the exchange, and what failed."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import re
import threading
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpcore
import httpx

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._http.kept import Kept, kept_connections
from keyturn._http.network import Network
from keyturn._http.policy import PERMISSIVE, check_address
from keyturn._http.request import encode
from keyturn._http.response import MAX_BODY, Response
from keyturn._http.values import usable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from keyturn._clock import Clock
    from keyturn._http.policy import NetworkPolicy
    from keyturn._http.request import ClientCertificate, TokenRequest
    from keyturn._http.tls import Trust

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
    request: TokenRequest, seconds: float, clock: Clock, policy: NetworkPolicy, trust: Trust
) -> Response:
    """Send a token request and return the response, as `Transport.send` says.

    Args:
        request: What to send.
        seconds: The time in which the last byte must have come.
        clock: The connection's clock.
        policy: Which addresses may be connected to.
        trust: Which authorities are trusted.
    """
    end = SYSTEM.monotonic() + seconds
    # Provider code and key files take the time of this request; no lock is held.
    encoded = encode(request, clock.time())
    url = httpcore.URL(encoded.url)
    key, connect = _route(request, url.origin, policy, trust)
    named = {"Host": urlsplit(request.url).netloc, **_HEADERS, **encoded.headers}
    # A header's name is the same in any case: the last one counts.
    headers = dict(zip(map(str.lower, named), named.items(), strict=True))
    content = encoded.body or (None if request.method == "GET" else b"")
    sent_at, thread = clock.time(), threading.get_ident()
    idle = kept_connections.get()

    def send(kept: Kept) -> Response:
        kept.network.end, kept.network.received = end, 0
        try:
            with kept.connection.stream(
                request.method, url, headers=[*headers.values()], content=content
            ) as received:
                response = _response(received, sent_at)
        except BaseException:
            kept.network.close()
            raise
        if kept.connection.is_available():
            idle.put(kept)
        else:
            kept.network.close()
        return response

    try:
        _sending.add(thread)
        found = idle.take(key)
        if found is not None:
            try:
                return send(found)
            except (OSError, httpcore.RemoteProtocolError) as error:
                # The server closed it while it was idle, and has not seen the request.
                if found.network.received or _is_timeout(error):
                    raise
        return send(connect())
    except errors.KeyturnError:
        raise
    except Exception as error:  # noqa: BLE001 - httpcore, h11, socksio and ssl raise their own
        late = f"did not respond within {seconds:.2g} s"
        problem = late if _is_timeout(error) else f"failed: {_reason(error)}"
    finally:
        _sending.discard(thread)
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


def _route(
    request: TokenRequest, origin: httpcore.Origin, policy: NetworkPolicy, trust: Trust
) -> tuple[object, Callable[[], Kept]]:
    """Return what a connection to the token endpoint must match, and what makes one."""
    is_secure = origin.scheme == b"https"
    # Plain http is for loopback only: it must not pass through a proxy elsewhere.
    proxy = proxy_for(request.url) if is_secure else None
    trusted = trust.context() if is_secure else None
    certificate = request.certificate if is_secure else None
    shown = _version(certificate) if certificate else None
    key = origin.scheme, origin.host, origin.port, trusted, proxy, shown, policy

    def connect() -> Kept:
        # A proxy resolves the name by itself.
        is_checked = policy is not PERMISSIVE and proxy is None
        network = Network(partial(_check_address, policy) if is_checked else None)
        context = trust.client_context(certificate) if certificate else trusted
        # A pool for its public way to make any kind of connection; it keeps none itself.
        pool = httpcore.ConnectionPool(
            ssl_context=context,
            proxy=_proxy(proxy, trust.context()) if proxy else None,
            network_backend=network,
        )
        return Kept(key, pool.create_connection(origin), network)

    return key, connect


def _version(certificate: ClientCertificate) -> object:
    """Return what changes when a certificate is renewed in place."""
    files = (certificate.certificate, certificate.key or certificate.certificate)
    try:
        return certificate, *(Path(each).stat().st_mtime_ns for each in files)
    except (OSError, ValueError):
        return object()  # it can't be read, as connecting reports


def _check_address(policy: NetworkPolicy, host: str, address: str) -> None:
    check_address(policy, address, host, "token endpoint")


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
