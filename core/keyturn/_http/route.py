"""The way to a token endpoint: trusted certificates, the client's own, and the proxy."""

from __future__ import annotations

import importlib
import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpcore
import httpx

from keyturn import errors
from keyturn._once import cached_once

if TYPE_CHECKING:
    import ssl

    from keyturn._http.network import Network
    from keyturn._http.request import ClientCertificate, TokenRequest

_HTTPS_PORT = 443

# ssl and httpx would import these in the midst of a request.
for _name in ("encodings.idna", "certifi"):
    importlib.import_module(_name)


def pool_for(
    request: TokenRequest, trusted: ssl.SSLContext, network: Network
) -> httpcore.ConnectionPool:
    """Return what connects to a token endpoint over TLS; it is used for one request.

    Args:
        request: The token request.
        trusted: Trusts the right authorities, and shows a proxy no client certificate.
        network: The network back end.

    Raises:
        keyturn.errors.ConfigurationError: The certificate or the proxy can't be used.
    """
    # Read anew each time, since it is renewed in place; it is asked for once an hour.
    context = _client_context(request.certificate) if request.certificate else trusted
    address = urlsplit(request.url)
    proxy = proxy_for(address.hostname or "", address.port or _HTTPS_PORT)
    if proxy is None:
        return httpcore.ConnectionPool(ssl_context=context, network_backend=network)
    return _proxy_pool(proxy, context, trusted, network)


@cached_once
def shared_context(file: str | None, directory: str | None) -> ssl.SSLContext:
    """Return a TLS context that trusts the usual authorities, or those of the environment.

    The certificates are read once for all connections.

    Args:
        file: `SSL_CERT_FILE`, which httpx reads.
        directory: `SSL_CERT_DIR`, which httpx reads.

    Raises:
        keyturn.errors.ConfigurationError: They can't be read.
    """
    del file, directory
    return _trusted_context()


def _trusted_context() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        problem = _problem(error)
    raise errors.ConfigurationError(
        f"the trusted certificates can't be read ({problem}).",
        hint="SSL_CERT_FILE must name a PEM file, or SSL_CERT_DIR a directory of certificates.",
    )


def _client_context(certificate: ClientCertificate) -> ssl.SSLContext:
    """Return a TLS context that shows a client's certificate (RFC 8705 section 2)."""
    context = _trusted_context()
    # An empty one keeps OpenSSL from asking at the terminal.
    password = certificate.password.reveal() if certificate.password else ""
    try:
        context.load_cert_chain(certificate.certificate, certificate.key, password)
    # ssl.SSLError is an OSError too; a password or a path that OpenSSL can't take, a ValueError.
    except (OSError, ValueError) as error:
        problem = _problem(error)
    else:
        return context
    raise errors.ConfigurationError(
        f"certificate: {certificate.certificate} can't be used ({problem}).",
        hint="It must be a PEM file with the certificate, and with its private key unless "
        "certificate_key names that; certificate_password is what that key is encrypted with.",
    )


def _problem(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def proxy_for(host: str, port: int) -> str | None:
    """Return the URL of the proxy for an https host, which may hold a password, or None.

    `HTTPS_PROXY` or `ALL_PROXY`, or the system's settings, name it. `NO_PROXY` names what is
    reached directly, as curl reads it: host names with everything below them, IP addresses,
    networks such as `10.0.0.0/8`, each with an optional port, or `*`.
    """
    found = getproxies()
    url = found.get("https") or found.get("all")
    bare = host.strip("[]").lower()
    exceptions = re.split(r"[,\s]+", found.get("no", "").lower())
    if not url or any(_matches(each, bare, port) for each in exceptions):
        return None
    return url if "://" in url else f"http://{url}"


def _matches(exception: str, host: str, port: int) -> bool:
    if exception == "*":
        return True
    for given in (exception, exception.removesuffix(f":{port}")):
        name = given.strip("[]").lstrip(".")
        try:
            found = ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
        except ValueError:
            found = f".{host}".endswith(f".{name}")
        if found:
            return True
    return False


def _proxy_pool(
    url: str, context: ssl.SSLContext, trusted: ssl.SSLContext, network: Network
) -> httpcore.ConnectionPool:
    try:
        proxy = httpx.Proxy(url)
        address = httpcore.URL(
            scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=b"/"
        )
        if proxy.url.scheme.startswith("socks"):
            importlib.import_module("socksio")
            return httpcore.SOCKSProxy(
                address, proxy.raw_auth, ssl_context=context, network_backend=network
            )
        return httpcore.HTTPProxy(
            address,
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
