"""A check of the connection to a token endpoint: its name, a proxy, TLS; it sends no request."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keyturn._clock import SYSTEM
from keyturn._http.failures import unavailable
from keyturn._http.network import Network
from keyturn._http.proxies import proxy_for
from keyturn._http.tls import Trust

if TYPE_CHECKING:
    from keyturn._http.request import TokenRequest


def reach(request: TokenRequest, seconds: float) -> None:
    """Connect to the host of a token request like the request, and close the connection.

    Args:
        request: The token request.
        seconds: The time limit; a name server that doesn't respond may exceed it.

    Raises:
        keyturn.errors.EndpointUnavailable: It can't be reached.
        keyturn.errors.ConfigurationError: The proxy, an authority or a certificate can't be used.
    """
    url, trust = urlsplit(request.url), Trust()
    is_secure = url.scheme == "https"
    context = trust.context() if is_secure else None
    own = trust.client_context(request.certificate) if request.certificate else context
    network = Network(None, proxy_for(request.url) if is_secure else None, context)
    network.end = SYSTEM.monotonic() + seconds
    try:
        stream = network.connect_tcp(url.hostname or "", url.port or (443 if is_secure else 80))
        if is_secure and own is not None:
            stream.start_tls(own, url.hostname)
    except Exception as error:  # noqa: BLE001 - httpcore and ssl raise their own
        failure = unavailable(error, request.url, seconds, network, trust.source)
    else:
        return
    finally:
        network.close()
    raise failure
