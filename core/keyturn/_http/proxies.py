"""Which proxy the environment names for a token endpoint."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from keyturn._common.once import cached_once, importing
from keyturn._http.addresses import literal_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._http.proxy import Proxy


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
    return proxy_parser()(proxy, _variable(kind, proxy)) if proxy else None


@cached_once
def proxy_parser() -> Callable[[str, str], Proxy]:
    """Import and return what reads a proxy's URL, which few processes need.

    It is kept: nothing can be imported while an interpreter ends, not even again.
    """
    with importing:
        from keyturn._http.proxy import parsed
    return parsed


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
