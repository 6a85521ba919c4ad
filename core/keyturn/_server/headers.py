"""Which headers a proxy passes on (RFC 9110 section 7.6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
# The API's own host is named instead; the server has replied to `Expect` by itself; the others are
# for the agent, and may hold the session secret or a token.
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


def request_headers(received: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return what is passed on of a request's headers, those of one name joined.

    Args:
        received: The headers, their names in lower case.
    """
    passed: dict[str, str] = {}
    for raw, value in _end_to_end(list(received), _FOR_THE_AGENT):
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        joint = "; " if name == "cookie" else ", "
        passed[name] = f"{passed[name]}{joint}{text}" if name in passed else text
    return passed


def response_headers(received: RawHeaders) -> RawHeaders:
    """Return what is passed on of a response's headers, and what a browser must know.

    A page of the API that is shown in a browser has the agent's origin: it must run no script.
    """
    lower = [(name.lower(), value) for name, value in received]
    return [*_end_to_end(lower, frozenset()), (b"content-security-policy", b"sandbox")]


def _end_to_end(received: RawHeaders, others: frozenset[bytes]) -> RawHeaders:
    listed = [value for name, value in received if name == b"connection"]
    named = {each.strip().lower() for each in b",".join(listed).split(b",")}
    dropped = _HOP_BY_HOP | others | named
    return [(name, value) for name, value in received if name not in dropped]


def is_websocket(received: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request asks for the WebSocket protocol (RFC 6455 section 4.1)."""
    return any(name == b"upgrade" and b"websocket" in value.lower() for name, value in received)
