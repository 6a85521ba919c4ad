"""Which proxy the environment names for a host."""

from __future__ import annotations

import ipaddress
import re
from urllib.request import getproxies

import attrs

_SEPARATOR_REGEX = re.compile(r"[,\s]+")
_PORT_REGEX = re.compile(r"(\[[^]]*\]|[^:]*):([0-9]+)")


@attrs.frozen
class EnvironmentProxy:
    """The proxy for https requests, and the hosts that are reached without it.

    Args:
        url: The proxy's URL, which may hold a password; None when there is no proxy.
        exceptions: The hosts of `NO_PROXY`, as curl reads them: names with everything below them,
            IP addresses, networks such as `10.0.0.0/8`, each with an optional port, or `*`.
    """

    url: str | None = attrs.field(repr=False)
    exceptions: tuple[str, ...] = ()

    def for_host(self, host: str, port: int) -> str | None:
        """Return the proxy's URL for a host and port, or None when it is reached directly."""
        bare = host.strip("[]").lower()
        if self.url is None or any(_matches(each, bare, port) for each in self.exceptions):
            return None
        return self.url


def environment_proxy() -> EnvironmentProxy:
    """Return the proxy of `HTTPS_PROXY` or `ALL_PROXY`, or of the system's settings."""
    found = getproxies()
    url = found.get("https") or found.get("all")
    if url and "://" not in url:
        url = f"http://{url}"
    exceptions = _SEPARATOR_REGEX.split(found.get("no", "").lower())
    return EnvironmentProxy(url or None, tuple(filter(None, exceptions)))


def _matches(exception: str, host: str, port: int) -> bool:
    if exception == "*":
        return True
    match = _PORT_REGEX.fullmatch(exception)
    if match is not None:
        if int(match[2]) != port:
            return False
        exception = match[1]
    exception = exception.strip("[]").lstrip(".")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(exception, strict=False)
    except ValueError:
        return host == exception or host.endswith(f".{exception}")
