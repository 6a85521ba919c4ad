"""The trusted authorities and the client certificate of a connection."""

from __future__ import annotations

import errno
import os
import re
import ssl
import stat
import weakref
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import certifi

from keyturn import errors
from keyturn._common.once import cached_once
from keyturn._http.pem_files import pem_file
from keyturn._http.values import usable

if TYPE_CHECKING:
    from keyturn._http.credentials import ClientCertificate

# The sources of authorities, in the order of precedence.
_VARIABLES = ("KEYTURN_CA_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_HASH_REGEX = re.compile(r"[0-9a-f]{8}\.[0-9]+")
# Connections with the same file share a context, and so also kept connections.
_of_file: weakref.WeakValueDictionary[tuple[str, int], ssl.SSLContext] = (
    weakref.WeakValueDictionary()
)

# Bytes; all of certifi's authorities together have 0.3 million bytes.
_MAX_AUTHORITIES = 16_777_216
_MAX_CERTIFICATE = 1_048_576


class Trust:
    """The authorities that a transport trusts.

    Args:
        tls: A TLS context, or the path of a PEM file of authorities; by default those of
            `KEYTURN_CA_FILE`, `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else those of certifi.
    """

    def __init__(self, tls: ssl.SSLContext | str | None = None) -> None:
        self._tls = tls
        self.context = cached_once(partial(trusted_context, tls))

    @property
    def source(self) -> str:
        """The name of the source of the authorities, for messages."""
        name, path = trust_source(self._tls)
        return f"{name} ({path})" if path else name

    def client_context(self, certificate: ClientCertificate) -> ssl.SSLContext:
        """Return a new TLS context with a client certificate (RFC 8705 section 2).

        Raises:
            keyturn.errors.ConfigurationError: The certificate can't be used.
        """
        if isinstance(self._tls, ssl.SSLContext):
            raise errors.ConfigurationError(
                "certificate: the option tls is an ssl.SSLContext, which keyturn does not change.",
                hint="Load the certificate into that context, or pass the path of a CA file.",
            )
        context = _new_context(self._tls)
        for file in (certificate.certificate, certificate.key):
            problem = _file_problem(file, _MAX_CERTIFICATE) if isinstance(file, str) else None
            if problem:
                raise errors.ConfigurationError(f"certificate: {file} can't be used: it {problem}.")
        # An empty password prevents OpenSSL from asking at the terminal.
        password = certificate.password.reveal() if certificate.password else ""

        def load() -> None:
            with pem_file(certificate.certificate) as chain, pem_file(certificate.key) as key:
                context.load_cert_chain(chain or "", key, password)

        given = certificate.certificate
        usable(
            load,
            f"certificate: {given if isinstance(given, str) else 'the given PEM'} can't be used",
            "It must be a PEM file with the certificate and its private key, unless "
            "certificate_key names the key's file; certificate_password is the password of that "
            "key.",
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


def trust_source(tls: ssl.SSLContext | str | None = None) -> tuple[str, str | None]:
    """Return the source of the trusted authorities, and its path.

    Args:
        tls: See `Trust`.

    Returns:
        The name of a variable, `tls`, or `certifi`; the path is None for a context and certifi.
    """
    if tls is not None:
        return "tls", tls if isinstance(tls, str) else None
    found = ((name, os.environ.get(name)) for name in _VARIABLES)
    return next(((name, path) for name, path in found if path), ("certifi", None))


def _new_context(tls: str | None) -> ssl.SSLContext:
    """Return a TLS context that trusts the authorities of a path, or certifi's."""
    name, path = trust_source(tls)
    if path is None:
        return usable(
            lambda: ssl.create_default_context(cafile=certifi.where()),  # as httpx's
            "the certificate authorities of certifi can't be read",
            "Set KEYTURN_CA_FILE to a PEM file of certificate authorities.",
        )
    is_file = name != "SSL_CERT_DIR"
    context = usable(
        partial(_from_file if is_file else _from_directory, path),
        f"{path if name == 'tls' else f'{path}, which {name} names,'} can't be used",
        f"{name} must name a {'PEM file' if is_file else 'directory'} of certificate authorities.",
    )
    # Python 3.13 rejects certificates that do not follow RFC 5280 strictly, such as those of many
    # private authorities. An authority that is named here works as on Python 3.11 and 3.12.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _from_file(path: str) -> ssl.SSLContext:
    if problem := _file_problem(path, _MAX_AUTHORITIES):
        raise OSError(errno.EINVAL, f"it {problem}")
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        pass
    raise OSError(errno.EINVAL, "it contains no PEM certificate, or a damaged one")


def _from_directory(path: str) -> ssl.SSLContext:
    # OpenSSL itself accepts any path, and looks for files that are named by the hash of a subject.
    if not any(_HASH_REGEX.fullmatch(each.name) for each in Path(path).iterdir()):
        raise OSError(
            errno.EINVAL, "none of its files is named by a hash; run openssl rehash on it"
        )
    return ssl.create_default_context(capath=path)


def _file_problem(file: str, most: int) -> str | None:
    """Return why a file can't be read, such as a pipe or a device, which never ends; or None."""
    with suppress(OSError, ValueError):  # the read reports it
        status = Path(file).stat()
        if not stat.S_ISREG(status.st_mode):
            return "is not a regular file"
        if status.st_size > most:
            return f"is larger than {most} bytes"
    return None
