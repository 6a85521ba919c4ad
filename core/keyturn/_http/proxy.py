"""The proxy that the environment names, and the way through it."""

from __future__ import annotations

import importlib
import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.request import getproxies

import attrs
import httpcore
import httpx

from keyturn import errors

if TYPE_CHECKING:
    import ssl

    from keyturn._http.network import Network

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


def proxy_pool(
    url: str, context: ssl.SSLContext, trusted: ssl.SSLContext, network: Network
) -> httpcore.ConnectionPool:
    """Return what connects to the token endpoint through a proxy.

    Args:
        url: The proxy's URL.
        context: The TLS context of the connection to the token endpoint.
        trusted: The TLS context of the connection to the proxy, which sees no client certificate.
        network: The network back end.

    Raises:
        keyturn.errors.ConfigurationError: The proxy can't be used.
    """
    problem = ""
    try:
        proxy = httpx.Proxy(url)
        proxy_url = httpcore.URL(
            scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=b"/"
        )
        if proxy.url.scheme.startswith("socks"):
            importlib.import_module("socksio")
            return httpcore.SOCKSProxy(
                proxy_url, proxy.raw_auth, ssl_context=context, network_backend=network
            )
        return httpcore.HTTPProxy(
            proxy_url,
            proxy.raw_auth,
            ssl_context=context,
            proxy_ssl_context=trusted if proxy.url.scheme == "https" else None,
            network_backend=network,
        )
    except ImportError as error:
        problem = f"it needs the package {error.name}"
    # The message of any other may hold the proxy's password.
    except Exception as error:  # noqa: BLE001 - as said
        problem = type(error).__name__
    raise errors.ConfigurationError(
        f"the proxy that the environment names can't be used ({problem}).",
        hint="HTTPS_PROXY or ALL_PROXY must be a URL such as http://proxy.example:8080; a SOCKS "
        "proxy needs httpx[socks].",
    )


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
