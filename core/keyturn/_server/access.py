"""Access control: the session secret, and the required `Host` and `Origin` of a request.

A web page in the user's browser can send requests to a loopback address. It knows no secret, but it
must not even learn the names of connections. So the agent refuses its requests by their `Origin` or
`Sec-Fetch-Site`, and requests with DNS rebinding by their `Host`.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import unquote

import attrs
from starlette.responses import Response

from keyturn._server.responses import PRIVATE, not_found, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from keyturn._secret import Secret

SECRET_HEADER = b"x-keyturn-secret"
# Bytes of a request's line and headers.
MAX_HEAD = 32_768
# The header in which Azure's libraries send the value of IDENTITY_HEADER.
IDENTITY_HEADER = b"x-identity-header"


@attrs.frozen(eq=False, repr=False)
class Access:
    """An ASGI application that passes only authorized requests.

    It removes the secret from a path that begins with it.

    Args:
        app: The application for authorized requests.
        secret: The session secret; None if the mode of a Unix socket decides.
        hosts: The allowed values of `Host`; None for a Unix socket, which no web page can reach.
    """

    app: ASGIApp
    secret: Secret | None
    hosts: frozenset[str] | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refused = _malformed(scope) or self._misdirected(scope) or self._unknown(scope)
        await (refused or self.app)(scope, receive, send)

    def _misdirected(self, scope: Scope) -> Response | None:
        """Return the error response to a request for another host or from another page, or None."""
        if self.hosts is None:
            return None
        found = {name: value.decode("latin-1").lower() for name, value in scope["headers"]}
        host = found.get(b"host", "")
        if host not in self.hosts:
            return problem(421, f"Host must be one of {', '.join(sorted(self.hosts))}.")
        origin, site = found.get(b"origin"), found.get(b"sec-fetch-site", "none")
        if origin not in {None, f"http://{host}"} or site not in {"none", "same-origin"}:
            return problem(403, "requests of web pages from another origin are refused.")
        return None

    def _unknown(self, scope: Scope) -> Response | None:
        """Return the error response to a request without the secret; otherwise remove the secret.

        It may be in any header: a browser sends the address of a page in `Referer`.
        """
        if self.secret is None:
            return None
        segment, slash, rest = scope["raw_path"][1:].partition(b"/")
        if self._is_secret(segment):
            if not slash:
                # The page's links are relative to a path that ends with a slash.
                there = {"location": f"{segment.decode()}/", **PRIVATE}
                return Response(status_code=307, headers=there)
            scope["raw_path"] = b"/" + rest
            scope["path"] = unquote(scope["raw_path"].decode("latin-1"))
        elif not any(self._is_secret(value) for value in _presented(scope)):
            return not_found()
        known = self.secret.reveal().encode()
        scope["headers"] = [pair for pair in scope["headers"] if known not in pair[1]]
        return None

    def _is_secret(self, value: bytes) -> bool:
        known = self.secret.reveal() if self.secret else ""
        return hmac.compare_digest(value, known.encode())


def _malformed(scope: Scope) -> Response | None:
    """Return the response to a request that another server may understand otherwise."""
    target, headers = scope["raw_path"] + scope["query_string"], dict(scope["headers"])
    if not target.startswith(b"/") or b"#" in target:
        return problem(400, "the request target must be a path that begins with /, without #.")
    if b"transfer-encoding" in headers and (
        b"content-length" in headers or scope["http_version"] == "1.0"
    ):
        # RFC 9112 section 6.1
        reason = "Transfer-Encoding must not come with Content-Length, nor with HTTP/1.0."
        return problem(400, reason, {"connection": "close"})
    if len(target) + sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD:
        return problem(431, f"the request line and headers must have at most {MAX_HEAD} bytes.")
    return None


def _presented(scope: Scope) -> Iterator[bytes]:
    """Yield the secrets in a request's headers."""
    for name, value in scope["headers"]:
        if name in {SECRET_HEADER, IDENTITY_HEADER}:
            yield value
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            yield value[7:].strip()
