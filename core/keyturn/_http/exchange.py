"""A token request over a connection: sent once, its response read with a bound on its size."""

from __future__ import annotations

import logging
import threading
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpcore
import httpx

from keyturn import errors
from keyturn._http.response import MAX_BODY, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyturn._clock import Clock
    from keyturn._http.request import EncodedRequest

_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_LOGGERS = ("httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")

sending: set[int] = set()
"""The threads that send a token request. httpcore logs nothing for them: a response may echo a
secret."""


def _is_logged(record: logging.LogRecord) -> bool:
    del record
    return threading.get_ident() not in sending


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_is_logged)


def exchange(
    pool: httpcore.ConnectionPool, method: str, encoded: EncodedRequest, clock: Clock
) -> Response:
    """Send a request and return the response; the deadline is the pool's.

    Raises:
        keyturn.errors.InvalidTokenResponse: The response is larger than `MAX_BODY` bytes, or
            compressed in a way that was not asked for.
        Exception: The errors of the network, of TLS, HTTP and proxies; see `failure`.
    """
    address = urlsplit(encoded.url)
    headers = httpx.Headers({"User-Agent": "keyturn", "Connection": "keep-alive"})
    headers.update(encoded.headers)
    headers.setdefault("Host", address.netloc)
    url = httpcore.URL(
        scheme=address.scheme,
        host=address.hostname or "",
        port=address.port,
        target=(address.path or "/") + (f"?{address.query}" if address.query else ""),
    )
    content = encoded.body or (None if method == "GET" else b"")
    sent_at = clock.time()
    with pool.stream(method, url, headers=headers.raw, content=content) as response:
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
    encoding = encoding.strip().lower()
    if encoding not in {"", "identity", *_WINDOW_BITS}:
        raise errors.InvalidTokenResponse(
            "the token endpoint's response has a Content-Encoding that was not asked for.",
            hint="The token endpoint must send it uncompressed, or with gzip or deflate.",
        )
    window_bits = _WINDOW_BITS.get(encoding)
    unpacker = None if window_bits is None else zlib.decompressobj(window_bits)
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


def failure(error: Exception, url: str, seconds: float) -> errors.KeyturnError:
    """Return our error for what went wrong in the network.

    Args:
        error: What the network raised.
        url: The token endpoint.
        seconds: The time that the request had.
    """
    late = f"did not respond within {seconds:.2g} s"
    return errors.EndpointUnavailable(
        f"the token endpoint {url} {late if _is_timeout(error) else f'failed: {_reason(error)}'}.",
        hint="Check the network, the address, and proxies and certificates.",
    )


def _is_timeout(error: BaseException) -> bool:
    """Return whether the deadline has passed; what the kernel itself reports has a number."""
    return isinstance(error, TimeoutError) and error.errno is None


def _reason(error: Exception) -> str:
    """Return what went wrong, as the system reports it, in words that hold no secret."""
    if isinstance(error, zlib.error):
        return "its response can't be decompressed"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    # The messages themselves may quote the request or the response.
    report = str(error).rstrip(".")
    if isinstance(error, httpcore.ProxyError):
        # What follows a status is text of the proxy's own.
        report = f"HTTP {report[:3]}" if report[:3].isdigit() else report
        return f"the proxy responded with {report}"
    if not isinstance(error, httpcore.RemoteProtocolError):
        return type(error).__name__
    if report.startswith("Server disconnected"):
        return "it closed the connection without a response"
    return "its response is not HTTP"
