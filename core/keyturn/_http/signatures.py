"""Values that are signed with a private key, as some banks want each request to be."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._common.once import library
from keyturn._http.composed import Composed, secrets_in
from keyturn._http.keys import jwk_of, private_key_problem
from keyturn._http.values import make, usable

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from keyturn._secret import Secret

_WHAT = "signing_key: can't sign a value"
_HINT = "Give the unencrypted private key, of RSA or of an elliptic curve, as PEM or JWK."


@attrs.frozen(kw_only=True, repr=False)
class Signed(Composed):
    """A string whose signature is sent: its `key` is a private key, not that of an HMAC.

    RSA signs by PKCS #1 v1.5 (RFC 8017 section 8.2), an elliptic curve by ECDSA in DER (RFC 3279
    section 2.2.3).
    """

    def digested(self, content: bytes, now: float, made: MutableMapping[str, Any]) -> bytes:
        """Return the signature.

        Raises:
            keyturn.errors.ConfigurationError: The key can't be read, is larger than 4096 bits, or
                is of another kind.
        """
        text = make(self.key or "", now, made)
        if problem := private_key_problem(text):
            raise errors.ConfigurationError(f"{_WHAT}: it {problem}.", hint=_HINT)
        return usable(lambda: _sign(_private_key(text), content, self.digest), _WHAT, _HINT)

    def secrets(self) -> Iterable[Secret]:
        # What was signed and sent is known to the request; to sign takes a while.
        return [each for part in (self.key or "", *self.parts) for each in secrets_in(part)]


@functools.lru_cache(maxsize=16)  # to read an RSA key, OpenSSL tests its primes: 50 ms of CPU
def _private_key(text: str) -> Any:
    library("cryptography.hazmat.backends.openssl.backend")  # cryptography would import it later
    load_pem = library("cryptography.hazmat.primitives.serialization").load_pem_private_key
    if found := jwk_of(text):
        return library("joserfc.jwk").JWKRegistry.import_key(found).raw_value
    return load_pem(text.encode(), None)


def _sign(key: Any, content: bytes, digest: str) -> bytes:
    kinds = "cryptography.hazmat.primitives"
    hashes = library(f"{kinds}.hashes")
    ec, padding, rsa = (library(f"{kinds}.asymmetric.{each}") for each in ("ec", "padding", "rsa"))
    algorithm = getattr(hashes, digest.upper())()
    signed: bytes
    if isinstance(key, rsa.RSAPrivateKey):
        signed = key.sign(content, padding.PKCS1v15(), algorithm)
    else:
        signed = key.sign(content, ec.ECDSA(algorithm))
    return signed
