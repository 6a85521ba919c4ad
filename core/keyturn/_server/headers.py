"""The headers that a proxy forwards (RFC 9110 section 7.6.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from keyturn._http.addresses import address_kind, literal_address
from keyturn._http.urls import origin

if TYPE_CHECKING:
    from collections.abc import Iterable

    RawHeaders = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# `Host` is replaced with the API's; the server has handled `Expect` itself; the others are for the
# agent, and may contain the session secret or a token.
_FOR_THE_AGENT = frozenset(
    {
        b"authorization",
        b"expect",
        b"host",
        b"http2-settings",
        b"x-identity-header",
        b"x-keyturn-refused",
        b"x-keyturn-secret",
    }
)

# The codings that the agent can decode to check whether a response refuses the token.
_CODINGS = frozenset({"gzip", "deflate", "identity"})
# A page of the API in a browser has the agent's origin. It must run no script, load nothing, and
# not send its address, which may contain the session secret.
_FOR_A_BROWSER = [
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
]
_DOT_SEGMENT = re.compile(r"[/\\]\.\.?(?:[/\\;]|\Z)")


def request_headers(received: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the forwarded headers of a request, with headers of the same name joined.

    Args:
        received: The headers, with lower-case names.
    """
    passed: dict[str, str] = {}
    for raw, value in _end_to_end(list(received), _FOR_THE_AGENT):
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        joint = "; " if name == "cookie" else ", "
        passed[name] = f"{passed[name]}{joint}{text}" if name in passed else text
    if "accept-encoding" in passed:
        passed["accept-encoding"] = _decodable(passed["accept-encoding"])
    return passed


def _decodable(accepted: str) -> str:
    """Return the accepted codings that the agent can decode (RFC 9110 section 12.5.3)."""
    given = [each.strip() for each in accepted.split(",")]
    known = [each for each in given if each.partition(";")[0].strip().lower() in _CODINGS]
    return ", ".join(known) or "identity"


def response_headers(received: RawHeaders, url: str, port: int | None) -> RawHeaders:
    """Return the forwarded headers of a response, and the headers for a browser.

    Args:
        received: The response's headers.
        url: The URL of the request.
        port: The agent's port, or None.
    """
    lower = [(name.lower(), value) for name, value in received]
    replaced = {b"location", b"referrer-policy"}
    if any(name == b"transfer-encoding" for name, _ in lower):
        replaced.add(b"content-length")  # it doesn't count (RFC 9112 section 6.3)
    passed = [*_end_to_end(lower, frozenset(replaced)), *_FOR_A_BROWSER]
    for name, value in lower:
        if name == b"location":
            place = _location(value.decode("latin-1"), url, port)
            passed += [] if place is None else [(name, place.encode("latin-1"))]
    return passed


def _location(value: str, url: str, port: int | None) -> str | None:
    """Return the `Location` of a redirect for a client of the agent.

    A URL at the API's origin becomes a path relative to the request, because an absolute path would
    lead to another connection or bypass the agent. Any other URL is unchanged, but no redirect can
    lead to another connection, neither by `..` nor by the agent's own address.

    Args:
        value: The API's `Location`.
        url: The URL of the request.
        port: The agent's port, or None.
    """
    try:
        place = urljoin(url, value)
        parts = urlsplit(place)
        if _is_loopback(parts.hostname or "") and (parts.port or 80) == port:
            return None
        if origin(place) != origin(url):
            return value
    except ValueError:
        return value
    if has_dots(parts.path):
        return None
    up = "../" * (urlsplit(url).path.count("/") - 1) or "./"
    return up + parts._replace(scheme="", netloc="", path=parts.path[1:]).geturl()


def _is_loopback(host: str) -> bool:
    name = host.rstrip(".")
    literal = literal_address(name)
    return address_kind(literal) == "loopback" if literal else name == "localhost"


def has_dots(path: str) -> bool:
    """Return whether a path has a dot segment that another server may resolve."""
    plain = path.lower()
    for escaped, character in (("%2e", "."), ("%2f", "/"), ("%5c", "\\"), ("%3b", ";")):
        plain = plain.replace(escaped, character)
    return _DOT_SEGMENT.search(f"/{plain}") is not None


def _end_to_end(received: RawHeaders, others: frozenset[bytes]) -> RawHeaders:
    listed = [value for name, value in received if name == b"connection"]
    named = {each.strip().lower() for each in b",".join(listed).split(b",")}
    dropped = _HOP_BY_HOP | others | named
    return [(name, value) for name, value in received if name not in dropped]


def is_websocket(received: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request asks for the WebSocket protocol (RFC 6455 section 4.1)."""
    return any(name == b"upgrade" and b"websocket" in value.lower() for name, value in received)
