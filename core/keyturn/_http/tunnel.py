"""Tunnels through proxies: HTTP's CONNECT (RFC 9110 section 9.3.6) and SOCKS 5 (RFC 1928).

A tunnel carries TLS, which the proxy can't read.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import TYPE_CHECKING

from keyturn._http.addresses import literal_address

if TYPE_CHECKING:
    import httpcore

    from keyturn._http.proxy import Proxy

# The largest response of a proxy to CONNECT, in bytes.
_MAX_HEAD = 16_384
_STATUS_REGEX = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
# The transient statuses of 4xx and 5xx.
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}

_NO_AUTHENTICATION, _PASSWORD = 0, 2
# RFC 1928 section 6, and whether the failure is transient.
_REPLIES = {
    1: ("general SOCKS server failure", True),
    2: ("connection not allowed by ruleset", False),
    3: ("network unreachable", True),
    4: ("host unreachable", True),
    5: ("connection refused", True),
    6: ("TTL expired", True),
    7: ("command not supported", False),
    8: ("address type not supported", False),
}


class TunnelError(Exception):
    """A proxy did not open a tunnel.

    Args:
        message: The cause, such as "refused its credentials (HTTP 407)".
        hint: What to change.
        transient: Whether a retry may succeed.
    """

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message)
        self.message, self.hint, self.transient = message, hint, transient


def open_tunnel(stream: httpcore.NetworkStream, proxy: Proxy, host: str, port: int) -> None:
    """Let a proxy connect to a host, whose name it resolves itself.

    Args:
        stream: The connection to the proxy.
        proxy: The proxy.
        host: The host's name or address, without brackets.
        port: Its port.

    Raises:
        TunnelError: The proxy did not connect.
    """
    if proxy.scheme == "socks5":
        _open_socks(stream, proxy, host, port)
    else:
        _open_http(stream, proxy, host, port)


def _open_http(stream: httpcore.NetworkStream, proxy: Proxy, host: str, port: int) -> None:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: keyturn"]
    if proxy.user or proxy.password:
        credentials = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    stream.write("\r\n".join([*lines, "", ""]).encode())
    head, status = b"", 100
    while status < 200:  # interim responses
        head = _head(stream)
        match = _STATUS_REGEX.match(head)
        if match is None:
            raise TunnelError("sent a response that is not HTTP", hint=proxy.hint)
        status = int(match[1])
    if status in (401, 407):  # tinyproxy's status for wrong credentials is 401
        raise _refused_credentials(proxy, f"HTTP {status}", head)
    if status >= 300:
        # The text after the status is the proxy's own.
        raise TunnelError(
            f"responded with HTTP {status}", hint=proxy.hint, transient=status in _TRANSIENT
        )


def _head(stream: httpcore.NetworkStream) -> bytes:
    """Return a response's status line and headers, without reading more."""
    received = bytearray()
    while not received.endswith((b"\r\n\r\n", b"\n\n")):
        if len(received) == _MAX_HEAD:
            raise TunnelError(f"sent more than {_MAX_HEAD} bytes of headers")
        received += _some(stream, 1)
    return bytes(received)


def _refused_credentials(proxy: Proxy, how: str, head: bytes = b"") -> TunnelError:
    variable = proxy.variable
    if not (proxy.user or proxy.password):
        message = f"requires credentials ({how}), but {variable} has none"
        hint = (
            f"Set {variable} to a URL with credentials: "
            f"{proxy.scheme}://user:password@proxy.example."
        )
    else:
        message = f"refused its credentials ({how})"
        hint = (
            f"Correct the user and the password in {variable}, and percent-encode special "
            "characters in them."
        )
    schemes = re.findall(rb"(?im)^proxy-authenticate:[ \t]*([a-z]{1,20})\b", head)
    if schemes and b"basic" not in map(bytes.lower, schemes):
        offered = ", ".join(dict.fromkeys(each.decode() for each in schemes))
        hint = f"The proxy accepts only {offered}, but keyturn sends Basic: use another proxy."
    return TunnelError(message, hint=hint)


def _open_socks(stream: httpcore.NetworkStream, proxy: Proxy, host: str, port: int) -> None:
    user, password = proxy.user.encode(), proxy.password.encode()
    has_credentials = bool(user or password)
    methods = [_NO_AUTHENTICATION, *([_PASSWORD] if has_credentials else [])]
    stream.write(bytes([5, len(methods), *methods]))
    version, method = _exactly(stream, 2)
    if version != 5:
        raise TunnelError("is not a SOCKS 5 proxy", hint=proxy.hint)
    if method not in methods:
        raise _refused_credentials(proxy, "SOCKS 5")
    if method == _PASSWORD:  # RFC 1929
        stream.write(bytes([1, len(user), *user, len(password), *password]))
        if _exactly(stream, 2)[1]:
            raise _refused_credentials(proxy, "SOCKS 5")
    stream.write(bytes([5, 1, 0]) + _socks_address(host) + port.to_bytes(2, "big"))
    version, reply, _, kind = _exactly(stream, 4)
    if version != 5:
        raise TunnelError("is not a SOCKS 5 proxy", hint=proxy.hint)
    if reply:
        cause, transient = _REPLIES.get(reply, (f"reply {reply}", False))
        what = f"did not connect to {host}: {cause}"
        raise TunnelError(what, hint=proxy.hint, transient=transient)
    # The address that the proxy is bound to, which is not used.
    _exactly(stream, {1: 4, 4: 16}.get(kind) or _exactly(stream, 1)[0])
    _exactly(stream, 2)


def _socks_address(host: str) -> bytes:
    address = literal_address(host)
    if address is None:
        name = host.encode()
        return bytes([3, len(name), *name])
    packed = ipaddress.ip_address(address).packed
    return bytes([1 if len(packed) == 4 else 4]) + packed


def _exactly(stream: httpcore.NetworkStream, size: int) -> bytes:
    received = b""
    while len(received) < size:
        received += _some(stream, size - len(received))
    return received


def _some(stream: httpcore.NetworkStream, most: int) -> bytes:
    received = stream.read(most)
    if not received:
        raise TunnelError("closed the connection without a response", transient=True)
    return received
