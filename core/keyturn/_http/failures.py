"""Errors without a response: what failed, the system's cause, and what to change."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
import zlib
from typing import TYPE_CHECKING, NamedTuple

import httpcore

from keyturn import errors
from keyturn._common.system_errors import advice
from keyturn._http.proxies import exclusion
from keyturn._http.tunnel import TunnelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._http.network import Network, Step

_REASONS: Mapping[type, str] = {
    httpcore.RemoteProtocolError: "its response is not HTTP",
    zlib.error: "its response can't be decompressed",
}
_LATE: Mapping[Step, str] = {
    "name": "its name could not be resolved",
    "connection": "it does not accept a connection",
    "tunnel": "it does not open a tunnel",
    "TLS": "its TLS handshake is not complete",
    "response": "",
}
# X509_V_ERR of https://github.com/openssl/openssl/blob/master/include/openssl/x509_vfy.h.in: times,
# names, and what is checked with X509_V_FLAG_X509_STRICT only.
_TIMES = (9, 10)
_NAMES = (62, 64)
_STRICT = range(80, 95)
# OpenSSL's names of failures that a retry does not fix.
_LASTING_PATTERN = (
    "ALERT_(?!INTERNAL_ERROR|DECRYPT_ERROR|BAD_RECORD_MAC|USER_CANCELLED)|UNRECOGNIZED_NAME"
    "|VERSION|PROTOCOL|HTTP_REQUEST|TOO_SMALL|UNSAFE_LEGACY"
)


class Cause(NamedTuple):
    """Why a request failed.

    Args:
        reason: The failure of the endpoint or the proxy, without its name.
        hint: What to change, if it is known.
        transient: Whether a retry may succeed.
    """

    reason: str
    hint: str = ""
    transient: bool = True


def unavailable(
    error: Exception, url: str, seconds: float, network: Network, trusted: str
) -> errors.EndpointUnavailable:
    """Return keyturn's error for a token request without a response.

    Args:
        error: The exception of httpcore, h11, ssl or the system. Its message may quote the request
            or the response.
        url: The token endpoint.
        seconds: The time limit of the response.
        network: The network of the request.
        trusted: The name of the source of trusted authorities.
    """
    proxy = network.proxy if network.is_at_proxy else None
    if is_timeout(error):
        cause = Cause(_LATE[network.step])
        problem = f"did not respond within {seconds:.2g} s"
    else:
        cause = _cause(error, trusted)
        problem = "failed"
    reason = cause.reason
    if proxy:
        verb = "" if isinstance(error, TunnelError) else "failed: "
        reason = f"the proxy {verb}{reason} ({proxy})"
    return errors.EndpointUnavailable(
        f"the token endpoint {url} {problem}{reason and f': {reason}'}.",
        hint=cause.hint or _hint(url, network),
        transient=cause.transient,
    )


def is_timeout(error: BaseException) -> bool:
    """Return whether the deadline has passed; the kernel's own timeouts have an error number."""
    return isinstance(error, TimeoutError) and error.errno is None


def _cause(error: Exception, trusted: str) -> Cause:
    if isinstance(error, TunnelError):
        return Cause(error.message, error.hint, error.transient)
    if isinstance(error, socket.gaierror):
        hint = "Check the host's name, and the name servers of this machine."
        return Cause(f"its name can't be resolved ({error.strerror})", hint)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, trusted)
    if isinstance(error, ssl.SSLError):
        return _handshake(error)
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return Cause(os.strerror(error.errno), advice(error))
    # The messages themselves may quote the request or the response.
    reason = _REASONS.get(type(error), type(error).__name__)
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    elif str(error).startswith("Server disconnected"):
        reason = "it closed the connection without a response"
    return Cause(reason)


def _certificate(error: ssl.SSLCertVerificationError, trusted: str) -> Cause:
    code, message = error.verify_code, error.verify_message.rstrip(".")
    if code in _TIMES:
        what = "is outside its validity period"
        hint = "Check this machine's clock; if it is right, the certificate must be renewed."
    elif code in _NAMES:
        what = "is for another host"
        hint = "Check the address; if it is right, the certificate must be issued for it."
    elif code in _STRICT:
        what = "does not follow RFC 5280, which Python 3.13 requires"
        hint = (
            "Reissue it according to RFC 5280; or name its authority's PEM file in tls or "
            "KEYTURN_CA_FILE, or pass a context without ssl.VERIFY_X509_STRICT as tls."
        )
    else:
        what = "is not trusted"
        hint = (
            f"The trusted authorities are those of {trusted}. To trust a private one, name its "
            "PEM file in tls or KEYTURN_CA_FILE."
        )
    return Cause(f"its certificate {what} ({message})", hint, transient=False)


def _handshake(error: ssl.SSLError) -> Cause:
    name = error.reason or ""
    # Without the location in Python's source.
    report = name.replace("_", " ").lower() or re.sub(r" *\(_ssl.*", "", error.strerror or "")
    hint = ""
    if "CERTIFICATE" in name or "UNKNOWN_CA" in name:
        hint = "The server requires another client certificate: check the setting certificate."
    elif "VERSION_NUMBER" in name or name == "HTTP_REQUEST":
        hint = "Check the scheme and the port: this address does not use TLS."
    transient = not re.search(_LASTING_PATTERN, name)
    return Cause(f"TLS failed ({report or type(error).__name__})", hint, transient)


def _hint(url: str, network: Network) -> str:
    proxy = network.proxy
    if proxy is None:
        excluded = exclusion(url)
        if excluded:
            return f"Check the network and the address; {excluded}."
        if url.startswith("http:"):
            return (
                "Check that a server listens at this address, which keyturn reaches without a "
                "proxy."
            )
        return "Check the network and the address, and whether HTTPS_PROXY must name a proxy."
    if network.is_at_proxy:
        return proxy.hint
    return f"Check the network and the address, which keyturn reaches through the proxy {proxy}."
