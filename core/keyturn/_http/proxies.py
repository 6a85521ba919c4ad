"""The proxy for a token endpoint, from the environment."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

import attrs

from keyturn import errors
from keyturn._http.addresses import literal_address

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


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy for an https URL, or None.

    `HTTPS_PROXY` or `ALL_PROXY`, also in lower case, or the system's settings, name it.
    `NO_PROXY` names the directly reached hosts, as for curl: host names with everything below
    them, IP addresses and networks such as `10.0.0.0/8`, or nothing but `*`. As other clients do,
    keyturn also takes a port at the end, and IPv6 addresses in brackets.

    Args:
        url: A URL that `keyturn._http.urls.url_problem` accepts.

    Raises:
        keyturn.errors.ConfigurationError: The proxy's URL can't be used.
    """
    kind, proxy = _named(url)
    return _parsed(proxy, _variable(kind, proxy)) if proxy else None


def is_proxied(url: str) -> bool:
    """Return whether the environment sets a proxy for an https URL."""
    return bool(_named(url)[1])


def exclusion(url: str) -> str:
    """Return why a URL does not use the proxy, as part of a sentence, or an empty string."""
    kind, proxy, exceptions = _environment()
    if not proxy or not url.startswith("https:"):
        return ""
    return (
        f"{_variable('no_proxy', exceptions)} excludes it from the proxy of "
        f"{_variable(kind, proxy)}"
    )


def _named(url: str) -> tuple[str, str]:
    """Return the variable that names the proxy for a URL, and the proxy, which may be empty."""
    kind, proxy, exceptions = _environment()
    address = urlsplit(url)
    if proxy and is_excluded(exceptions, address.hostname or "", address.port or 443):
        proxy = ""
    return kind, proxy


def _environment() -> tuple[str, str, str]:
    """Return the variable that names the proxy, the proxy, and its exceptions."""
    found = getproxies()
    kind = "https" if found.get("https") else "all"
    return f"{kind}_proxy", found.get(kind, ""), found.get("no", "")


def is_excluded(exceptions: str, host: str, port: int) -> bool:
    """Return whether `NO_PROXY` names a host.

    Args:
        exceptions: The variable's value.
        host: A name or an address, without brackets.
        port: Its port.
    """
    if exceptions.strip() == "*":
        return True
    name = host.lower().removesuffix(".")
    for each in re.split(r"[,\s]+", exceptions.lower()):
        if any(_covers(form, name) for form in (each, each.removesuffix(f":{port}"))):
            return True
    return False


def _covers(exception: str, name: str) -> bool:
    address = literal_address(name)
    if address is None:
        domain = exception.removeprefix(".").removesuffix(".")
        return bool(domain) and f".{name}".endswith(f".{domain}")
    try:
        network = ipaddress.ip_network(exception.strip("[]"), strict=False)
    except ValueError:
        return False
    return ipaddress.ip_address(address) in network


def _variable(name: str, value: str) -> str:
    """Return the variable with that name, in upper or lower case, that has a value."""
    named = (each for each in os.environ if each.lower() == name and os.environ[each] == value)
    return next(named, "the system's settings")


def _parsed(url: str, variable: str) -> Proxy:
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
