"""One token request over the wire: capped, timed, never redirected."""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import socket
import threading
import zlib
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._http.response import MAX_BODY, Response
from keyturn._http.urls import url_problem
from keyturn._once import ForkSafeLock

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    import httpx

    from keyturn._clock import Clock
    from keyturn._http.request import ClientCertificate, TokenRequest

_preparing = ForkSafeLock()
_REFUSED = 300
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class Transport:
    """Sends token requests; one for each process, since an `httpx.Client` takes 27 ms to build.

    Args:
        verify: What `httpx.Client` takes as `verify`: True for the usual certificate authorities,
            or an `ssl.SSLContext`.
    """

    def __init__(self, *, verify: Any = True) -> None:
        self._verify = verify
        self._forget()
        # A pool's lock that another thread holds at a fork stays locked in the child.
        os.register_at_fork(after_in_child=self._forget)

    def send(self, request: TokenRequest, seconds: float, clock: Clock) -> Response:
        """Send a token request and return the whole response, whatever its status.

        Args:
            request: What to send.
            seconds: The time in which the last byte must have come.
            clock: The clocks.

        Raises:
            keyturn.errors.EndpointUnavailable: No response came, or not in time.
            keyturn.errors.ConfigurationError: The request can't be sent as it is.
            keyturn.errors.InvalidTokenResponse: The response is larger than `MAX_BODY` bytes, or
                compressed in a way that was not asked for.
        """
        with _preparing:
            codecs.lookup("idna")  # which the socket module would import later

            import httpx

        deadline = _Deadline(seconds)
        failure, unsendable = "", False
        try:
            with deadline, _quiet:
                response = self._exchange(request, deadline, seconds, clock)
            if not deadline.passed:
                return response
        except httpx.TimeoutException:
            deadline.passed = True
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            failure = _reason(error)
        except zlib.error:
            failure = "its response can't be decompressed"
        except UnicodeEncodeError:
            unsendable = True
        except UnicodeError:  # httpx decodes a host that begins with xn--
            failure = "its host is not a name in Punycode"
        # Raised here, not in the handlers: httpx's errors hold the request, secret included.
        if unsendable:
            odd = [name for name, value in request.headers.items() if not value.isascii()]
            raise errors.ConfigurationError(
                f"a header of the token request is not ASCII: {', '.join(odd)}.",
                hint="Check the settings that are sent in it.",
            )
        what = (
            f"did not respond within {seconds:.2g} s" if deadline.passed else f"failed: {failure}"
        )
        raise errors.EndpointUnavailable(
            f"the token endpoint {request.url} {what}.",
            hint="Check the network, the address, and proxies and certificates.",
        )

    def _exchange(
        self, request: TokenRequest, deadline: _Deadline, seconds: float, clock: Clock
    ) -> Response:
        problem = url_problem(request.url)
        if problem:
            message = f"the token endpoint's address {problem}."
            raise errors.ConfigurationError(message)
        with _preparing:  # that is where modules are imported
            client = self._client_for(request)
            query = request.query  # encoded anew each time
            sending = client.build_request(
                request.method,
                f"{request.url}?{query}" if query else request.url,
                headers=request.headers,
                content=request.body,
                timeout=seconds,
                extensions={"trace": deadline.trace},
            )
        sent_at = clock.time()
        response = client.send(sending, stream=True)
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = _body(response, headers.get("content-encoding", ""))
            return Response(response.status_code, headers, body, sent_at)
        finally:
            response.close()

    def _client_for(self, request: TokenRequest) -> httpx.Client:
        # Plain http is for loopback only: it must not pass through a proxy elsewhere.
        by_proxy = not request.url.lower().startswith("http://")
        certificate = request.certificate
        if certificate is not None:
            # Read anew each time, since it is renewed in place; it is asked for once an hour.
            return self._build(verify=_context(certificate), trust_env=by_proxy)
        if by_proxy not in self._clients:
            self._clients[by_proxy] = self._build(verify=self._verify, trust_env=by_proxy)
        return self._clients[by_proxy]

    def _build(self, *, verify: Any, trust_env: bool) -> httpx.Client:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        failure = ""
        try:
            return httpx.Client(
                verify=verify,
                trust_env=trust_env,
                follow_redirects=False,
                limits=httpx.Limits(max_keepalive_connections=0),
                # A cookie of one account must not be sent with the next one's request.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                headers={"User-Agent": "keyturn"},
            )
        # Whatever it is, it comes from the environment, whose values may hold a proxy's password.
        except Exception as error:  # noqa: BLE001 - as said
            failure = type(error).__name__
        raise errors.ConfigurationError(
            f"the HTTP client can't be built ({failure}).",
            hint="Check HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR.",
        )

    def _forget(self) -> None:
        self._clients: dict[bool, httpx.Client] = {}


def _context(certificate: ClientCertificate) -> ssl.SSLContext:
    """Return a TLS context that shows a client's certificate (RFC 8705 section 2)."""
    import httpx

    password = certificate.password
    problem = ""
    try:
        context = httpx.create_ssl_context()
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


class _Quiet(logging.Filter):
    """Keeps httpx and httpcore from logging a token request, whose response may echo a secret."""

    _LOGGERS = (
        "httpx",
        "httpcore.connection",
        "httpcore.http11",
        "httpcore.proxy",
        "httpcore.socks",
    )

    def __init__(self) -> None:
        super().__init__()
        self._threads: set[int] = set()
        for name in self._LOGGERS:
            logging.getLogger(name).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether this thread is not one that sends a token request."""
        del record
        return threading.get_ident() not in self._threads

    def __enter__(self) -> None:
        self._threads.add(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        self._threads.discard(threading.get_ident())


_quiet = _Quiet()


class _Deadline:
    """Closes the connection when the time is up, since httpx times single reads only."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._connection: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._close)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._connection is not None:
            self._connection.close()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of the connection (an httpx `trace` extension)."""
        if event == "connection.connect_tcp.complete":
            # A duplicate: the TLS handshake takes the socket's own descriptor away.
            self._connection = info["return_value"].get_extra_info("socket").dup()
            if self.passed:
                self._close()

    def _close(self) -> None:
        self.passed = True
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)


def _body(response: httpx.Response, encoding: str) -> bytes:
    """Return a response's body; nothing if it is a refusal's that can't be read.

    The status and the headers of a refusal, such as `Retry-After`, count without it.
    """
    import httpx

    try:
        return read_capped(response.iter_raw(), encoding)
    except (errors.InvalidTokenResponse, zlib.error, httpx.ReadError, httpx.RemoteProtocolError):
        if response.status_code < _REFUSED:
            raise
        return b""


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
        message = "the token endpoint's response has a Content-Encoding that was not asked for."
        raise errors.InvalidTokenResponse(message)
    window_bits = _WINDOW_BITS.get(encoding)
    unpacker = None if window_bits is None else zlib.decompressobj(window_bits)
    body = bytearray()
    for chunk in chunks:
        body += chunk if unpacker is None else unpacker.decompress(chunk, MAX_BODY + 1)
        if len(body) > MAX_BODY:
            message = f"the token endpoint's response is larger than {MAX_BODY} bytes."
            raise errors.InvalidTokenResponse(message)
    if body and unpacker is not None and not unpacker.eof:
        raise zlib.error("it ends before its checksum")
    return bytes(body)


def _reason(error: Exception) -> str:
    """Return what went wrong in the network, in words that can't hold a secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
