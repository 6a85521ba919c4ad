"""One token request over HTTP: the choice of the connection, and the exchange."""

from __future__ import annotations

import importlib
import logging
import threading
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpcore

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._http.failures import is_timeout, unavailable
from keyturn._http.kept import Kept, kept_connections
from keyturn._http.network import Network
from keyturn._http.policy import PERMISSIVE, check_address
from keyturn._http.proxies import proxy_for
from keyturn._http.request import encode
from keyturn._http.response import MAX_BODY, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyturn._clock import Clock
    from keyturn._http.credentials import ClientCertificate
    from keyturn._http.policy import NetworkPolicy
    from keyturn._http.request import TokenRequest
    from keyturn._http.tls import Trust

_WINDOW_BITS = {"": 0, "identity": 0, "gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_HEADERS = {"User-Agent": "keyturn", "Connection": "keep-alive"}
# The threads that send a token request: httpcore must not log there, because a response may echo a
# secret.
_thread = threading.local()

for _name in ("httpcore.connection", "httpcore.http11"):
    logging.getLogger(_name).addFilter(lambda _: not getattr(_thread, "sends", False))
# Otherwise ssl would import it during a request.
importlib.import_module("encodings.idna")


def exchange(
    request: TokenRequest, seconds: float, clock: Clock, policy: NetworkPolicy, trust: Trust
) -> Response:
    """Send a token request and return the response, as `Transport.send` says.

    Args:
        request: What to send.
        seconds: The time limit for the complete response.
        clock: The connection's clock.
        policy: The network policy.
        trust: The trusted authorities.
    """
    end = SYSTEM.monotonic() + seconds
    # Provider code and key files use the time of this request; no lock is held.
    target, values, body = encode(request, clock.time())
    url = httpcore.URL(target)
    key, connect = _route(request, url.origin, policy, trust)
    named = {"Host": urlsplit(request.url).netloc, **_HEADERS, **values}
    # Header names are case-insensitive: the last one counts.
    headers = dict(zip(map(str.lower, named), named.items(), strict=True))
    content = body or (None if request.method == "GET" else b"")
    sent_at, idle = clock.time(), kept_connections.get()

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

    found = idle.take(key)
    kept = found or connect()
    try:
        _thread.sends = True
        if found is not None:
            try:
                return send(found)
            except (OSError, httpcore.RemoteProtocolError) as error:
                # The server closed it while it was idle, and has not seen the request.
                if found.network.received or is_timeout(error):
                    raise
            kept = connect()
        return send(kept)
    except errors.KeyturnError:
        raise
    except Exception as error:  # noqa: BLE001 - httpcore, h11 and ssl raise their own
        failure = unavailable(error, request.url, seconds, kept.network, trust.source)
    finally:
        _thread.sends = False
    # Raised here, not in the handler: those errors may contain the request with its secret.
    raise failure


def _response(response: httpcore.Response, sent_at: float) -> Response:
    received: dict[str, str] = {}
    for header, raw in response.headers:
        try:
            value = raw.decode()
        except UnicodeDecodeError:
            value = raw.decode("latin-1")
        name = header.decode().lower()  # h11 lets no other than ASCII pass
        received[name] = f"{received[name]}, {value}" if name in received else value
    try:
        body = read_capped(response.iter_stream(), received.get("content-encoding", ""))
    except (errors.InvalidTokenResponse, zlib.error, OSError, httpcore.ProtocolError) as error:
        # The status and headers of an error response, such as Retry-After, count without the body.
        if response.status < 300 or is_timeout(error):
            raise
        body = b""
    return Response(response.status, received, body, sent_at)


def read_capped(chunks: Iterable[bytes], encoding: str) -> bytes:
    """Return a body of at most `MAX_BODY` bytes, decompressed step by step.

    Args:
        chunks: The received body.
        encoding: Its `Content-Encoding`.

    Raises:
        keyturn.errors.InvalidTokenResponse: It is larger, or has an encoding other than gzip or
            deflate.
        zlib.error: It can't be decompressed, or was cut off.
    """
    window_bits = _WINDOW_BITS.get(encoding.strip().lower())
    if window_bits is None:
        raise errors.InvalidTokenResponse(
            "the token endpoint's response has a Content-Encoding that keyturn did not accept.",
            hint="The token endpoint must send it uncompressed, or with gzip or deflate.",
        )
    unpacker = zlib.decompressobj(window_bits) if window_bits else None
    body = bytearray()
    for chunk in chunks:
        body += chunk if unpacker is None else unpacker.decompress(chunk, MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise errors.InvalidTokenResponse(
                f"the token endpoint's response is larger than {MAX_BODY} bytes.",
                hint="No setting allows this: check token_url.",
            )
    if body and unpacker is not None and not unpacker.eof:
        raise zlib.error("it ends before its checksum")
    return bytes(body)


def _route(
    request: TokenRequest, origin: httpcore.Origin, policy: NetworkPolicy, trust: Trust
) -> tuple[object, Callable[[], Kept]]:
    """Return the key of a connection to the token endpoint, and a function that opens one."""
    is_secure = origin.scheme == b"https"
    # Plain http is for loopback only: do not use a proxy.
    proxy = proxy_for(request.url) if is_secure else None
    trusted = trust.context() if is_secure else None
    certificate = request.certificate if is_secure else None
    shown = _version(certificate) if certificate else None
    key = origin.scheme, origin.host, origin.port, trusted, proxy, shown, policy

    def connect() -> Kept:
        # A proxy resolves the name itself.
        is_checked = policy is not PERMISSIVE and proxy is None
        check = partial(_check_address, policy) if is_checked else None
        network = Network(check, proxy, trusted)
        context = trust.client_context(certificate) if certificate else trusted
        connection = httpcore.HTTPConnection(origin, context, network_backend=network)
        return Kept(key, connection, network)

    return key, connect


def _version(certificate: ClientCertificate) -> object:
    """Return a value that changes if a certificate file is renewed."""
    files = (certificate.certificate, certificate.key or certificate.certificate)
    try:
        paths = [each for each in files if isinstance(each, str)]
        return certificate, *(Path(each).stat().st_mtime_ns for each in paths)
    except (OSError, ValueError):
        return object()  # it can't be read, which the connection attempt reports


def _check_address(policy: NetworkPolicy, host: str, address: str) -> None:
    check_address(policy, address, host, "token endpoint")
