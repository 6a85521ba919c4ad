"""The certificates of TLS: which authorities are trusted, and what the client shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn import errors

if TYPE_CHECKING:
    import ssl

    from keyturn._http.request import ClientCertificate


def trusted_context() -> ssl.SSLContext:
    """Return a TLS context that trusts the usual authorities, or those of the environment.

    Raises:
        keyturn.errors.ConfigurationError: `SSL_CERT_FILE` or `SSL_CERT_DIR` can't be read.
    """
    import httpx

    problem = ""
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
    raise errors.ConfigurationError(
        f"the trusted certificates can't be read ({problem}).",
        hint="SSL_CERT_FILE must name a PEM file, or SSL_CERT_DIR a directory of certificates.",
    )


def client_context(certificate: ClientCertificate) -> ssl.SSLContext:
    """Return a TLS context that shows a client's certificate (RFC 8705 section 2).

    Raises:
        keyturn.errors.ConfigurationError: The certificate or its key can't be read.
    """
    context = trusted_context()
    password = certificate.password
    problem = ""
    try:
        context.load_cert_chain(
            certificate.certificate,
            certificate.key,
            # An empty one keeps OpenSSL from asking at the terminal.
            password=password.reveal() if password else "",
        )
    # ssl.SSLError is an OSError too; a password or a path that OpenSSL can't take, a ValueError.
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
    else:
        return context
    raise errors.ConfigurationError(
        f"certificate: {certificate.certificate} can't be used ({problem}).",
        hint="It must be a PEM file with the certificate, and with its private key unless "
        "certificate_key names that; certificate_password is what that key is encrypted with.",
    )
