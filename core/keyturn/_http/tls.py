"""Which certificates a connection trusts, and which it shows."""

from __future__ import annotations

import os
import ssl
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import httpx

from keyturn import errors
from keyturn._http.values import usable
from keyturn._once import cached_once

if TYPE_CHECKING:
    from keyturn._http.request import ClientCertificate

# Connections with the same file share a context, and with it kept connections.
_of_file: weakref.WeakValueDictionary[tuple[str, int], ssl.SSLContext] = (
    weakref.WeakValueDictionary()
)


class Trust:
    """The authorities that a transport trusts.

    Args:
        tls: A TLS context, or the path of a PEM file of authorities; by default those of
            `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else those of certifi.
    """

    def __init__(self, tls: ssl.SSLContext | str | None = None) -> None:
        self._tls = tls
        self.context = cached_once(partial(trusted_context, tls))

    def client_context(self, certificate: ClientCertificate) -> ssl.SSLContext:
        """Return a new TLS context that shows a client's certificate (RFC 8705 section 2).

        Raises:
            keyturn.errors.ConfigurationError: The certificate can't be used.
        """
        if isinstance(self._tls, ssl.SSLContext):
            raise errors.ConfigurationError(
                "certificate: the option tls is an ssl.SSLContext, which is not changed.",
                hint="Load the certificate into that context, or pass the path of a CA file.",
            )
        context = _new_context(self._tls)
        usable(
            partial(
                context.load_cert_chain,
                certificate.certificate,
                certificate.key,
                # An empty one keeps OpenSSL from asking at the terminal.
                certificate.password.reveal() if certificate.password else "",
            ),
            f"certificate: {certificate.certificate} can't be used",
            "It must be a PEM file with the certificate, and with its private key unless "
            "certificate_key names that; certificate_password is what that key is encrypted with.",
        )
        return context


def is_context(value: object) -> TypeGuard[ssl.SSLContext]:
    """Return whether a value is a TLS context."""
    return isinstance(value, ssl.SSLContext)


def trusted_context(tls: ssl.SSLContext | str | None = None) -> ssl.SSLContext:
    """Return a TLS context; see `Trust`.

    Raises:
        keyturn.errors.ConfigurationError: The certificates can't be read.
    """
    if not isinstance(tls, str):
        return tls or _new_context(None)
    try:
        key = tls, Path(tls).stat().st_mtime_ns
    except (OSError, ValueError):
        return _new_context(tls)  # which reports it
    return _of_file.get(key) or _of_file.setdefault(key, _new_context(tls))


def _new_context(file: str | None) -> ssl.SSLContext:
    """Return a TLS context that trusts the authorities of a file, or the usual ones."""
    if file is not None:
        return usable(
            partial(ssl.create_default_context, cafile=file),
            f"{file} can't be used",
            "It must be a PEM file of certificate authorities.",
        )
    file = os.environ.get("SSL_CERT_FILE") or None
    directory = None if file else os.environ.get("SSL_CERT_DIR")
    # httpx before 0.28 passes over a path at which there is nothing.
    make = partial(ssl.create_default_context, cafile=file, capath=directory)
    return usable(
        make if file or directory else partial(httpx.create_ssl_context, trust_env=False),
        "the trusted certificates can't be read",
        "SSL_CERT_FILE must name a PEM file, or SSL_CERT_DIR a directory of certificates.",
    )
