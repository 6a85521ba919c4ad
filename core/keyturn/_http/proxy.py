"""A proxy for token endpoints, and its URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

import attrs

from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

Scheme = Literal["http", "https", "socks5"]

_SCHEMES: Mapping[str, tuple[Scheme, int]] = {
    "http": ("http", 80),
    "https": ("https", 443),
    "socks5": ("socks5", 1080),
    "socks5h": ("socks5", 1080),
}
_HOST_REGEX = re.compile(r"[A-Za-z0-9._:%-]+")


@attrs.frozen
class Proxy:
    """A proxy.

    Args:
        scheme: Its protocol; with both SOCKS schemes the proxy resolves names.
        host: Its name or address.
        port: Its port.
        variable: The environment variable that names it, or the system's settings.
        user: The user name for it, or empty.
        password: The user's password.
    """

    scheme: Scheme
    host: str
    port: int
    variable: str
    user: str = attrs.field(default="", repr=False)
    password: str = attrs.field(default="", repr=False)

    @property
    def hint(self) -> str:
        """The hint for a failure of the proxy."""
        return f"Check {self.variable}; NO_PROXY names the hosts that keyturn reaches without it."

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port} of {self.variable}"


def parsed(url: str, variable: str) -> Proxy:
    """Return the proxy of a URL; without a scheme, it is an HTTP proxy."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        scheme, port = _SCHEMES[parts.scheme]
        host = parts.hostname or ""
        is_plain = parts.path in ("", "/") and not parts.query and not parts.fragment
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        is_short = max(len(user.encode()), len(password.encode())) < 256  # RFC 1929
        if not is_plain or not is_short or not _HOST_REGEX.fullmatch(host):
            raise ValueError  # noqa: TRY301 - as `urlsplit` itself does
        return Proxy(scheme, host, parts.port or port, variable, user, password)
    except (KeyError, ValueError):
        pass  # it may quote the password
    raise errors.ConfigurationError(
        f"{variable} is not a proxy URL that keyturn can use.",
        hint="Use a URL such as http://proxy.example:8080 or http://user:password@proxy.example. "
        "The scheme is http, https, socks5 or socks5h. Percent-encode special characters in "
        "the user and the password.",
    )
