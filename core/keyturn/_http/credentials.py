"""What authenticates a client: HTTP Basic, a signed JWT, or a certificate."""

from __future__ import annotations

import base64
import functools
import hmac
import json
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote_plus

import attrs

from keyturn import errors
from keyturn._common.base64url import base64url
from keyturn._common.names import publish, shown
from keyturn._common.once import library
from keyturn._http.keys import jwk_of, private_key_problem
from keyturn._http.values import (
    DynamicValue,
    HintedValue,
    RandomId,
    StructuredValue,
    fingerprint_parts,
    reveal,
    usable,
)
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from keyturn._http.values import Value

# The key type of an algorithm, by its first two letters (RFC 7518 section 3.1, RFC 8037).
_KEY_TYPES: dict[str, Literal["RSA", "EC", "OKP"]] = {
    "RS": "RSA",
    "PS": "RSA",
    "ES": "EC",
    "Ed": "OKP",
}


@attrs.frozen(repr=False)
class BasicCredentials(HintedValue):
    """The `Authorization` header of HTTP Basic (RFC 7617).

    Args:
        client_id: The client's identifier.
        client_secret: Its secret.
        form_encoded: Whether both are form-encoded first, as in RFC 6749 section 2.3.1.
    """

    client_id: str
    client_secret: Secret
    form_encoded: bool = True

    __repr__ = shown

    def value(self, now: float) -> str:
        return f"Basic {self._pair(self._encode())}"

    def inputs(self) -> Iterable[str | Secret]:
        return (self.client_id, self.client_secret, str(self.form_encoded))

    def secrets(self) -> Iterable[Secret]:
        return (self.client_secret, Secret(self._pair(self._encode())))

    def hint(self) -> str:
        if self._pair(quote_plus) == self._pair(str):
            return ""
        way = "client_secret_basic_raw" if self.form_encoded else "client_secret_basic"
        return (
            " Or client_id or client_secret has a character that some servers expect in "
            f'another encoding: then set client_authentication to "{way}".'
        )

    def _encode(self) -> Callable[[str], str]:
        return quote_plus if self.form_encoded else str

    def _pair(self, encode: Callable[[str], str]) -> str:
        pair = f"{encode(self.client_id)}:{encode(self.client_secret.reveal())}"
        return base64.b64encode(pair.encode()).decode()


@attrs.frozen(kw_only=True, repr=False)
class ClientAssertion(DynamicValue):
    """A JWT that authenticates the client (RFC 7523), with a new `jti` each time.

    Args:
        private_key: The client's private key, as PEM or JWK; with HS256, HS384 and HS512, its
            secret.
        key_id: The key's name at the authorization server, if it knows several keys; by default
            the `kid` of a JWK.
        key_header: The JWT's header that names it (RFC 7515 section 4.1).
        headers: Further headers of the JWT.
        algorithm: The signature's algorithm (RFC 7518 section 3.1), such as `RS256`.
        claims: The claims except the times and the `jti`, among them `iss`, `sub` and `aud`.
        lifetime: Its lifetime in seconds.
    """

    private_key: Secret
    key_id: str | None = None
    key_header: str = "kid"
    headers: Mapping[str, Value] = attrs.field(factory=dict, repr=False)
    algorithm: str = "RS256"
    claims: Mapping[str, Value] = attrs.field(factory=dict, repr=False)
    lifetime: float = 300.0

    __repr__ = shown

    def value(self, now: float) -> str:
        """Return the signed JWT, whose `iat` is now.

        Raises:
            keyturn.errors.ConfigurationError: The key can't be read, is larger than 4096 bits, or
                has the wrong type for the algorithm.
        """
        header: dict[str, Any] = {"alg": self.algorithm, "typ": "JWT"}
        header |= {name: _claim(value, now) for name, value in self.headers.items()}
        if self.key_id is not None:
            header[self.key_header] = self.key_id
        claims = {
            "iat": int(now),
            "exp": int(now) + int(self.lifetime),
            **{name: _claim(value, now) for name, value in self.claims.items()},
            "jti": RandomId().value(now),
        }
        if self.algorithm.startswith("HS"):
            return self._with_secret(header, claims)
        what = f"private_key: can't sign with {self.algorithm}"
        hint = (
            "Give the unencrypted private key as PEM or JWK, with the type that the algorithm "
            "needs."
        )
        if problem := private_key_problem(self.private_key.reveal()):
            raise errors.ConfigurationError(f"{what}: it {problem}.", hint=hint)
        if self.key_header == "kid" and isinstance(
            own := (jwk_of(self.private_key.reveal()) or {}).get("kid"), str
        ):
            header.setdefault("kid", own)  # RFC 7515 section 4.1.4
        jwt = library("joserfc.jwt")

        def sign() -> str:
            key = _signing_key(self.private_key.reveal(), _KEY_TYPES[self.algorithm[:2]])
            signed: str = jwt.encode(header, claims, key, algorithms=[self.algorithm])
            return signed

        return usable(sign, what, hint)

    def _with_secret(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Return the JWT, signed with an HMAC (RFC 7518 section 3.2), for any key length."""
        parts = [json.dumps(each, separators=(",", ":")).encode() for each in (header, claims)]
        signed = ".".join(map(base64url, parts))
        key, digest = self.private_key.reveal().encode(), f"sha{self.algorithm[2:]}"
        return f"{signed}.{base64url(hmac.digest(key, signed.encode(), digest))}"

    def inputs(self) -> Iterable[str | Secret]:
        parts: list[str | Secret] = [
            self.private_key,
            self.key_header,
            self.algorithm,
            str(self.lifetime),
            "no key ID" if self.key_id is None else f"={self.key_id}",
        ]
        for name, value in sorted(self.headers.items()):
            parts += ["header", name, *fingerprint_parts(value)]
        for name, value in sorted(self.claims.items()):
            if name == "scope" and isinstance(value, str):
                parts += [name, " ".join(sorted(set(value.split())))]  # their order has no effect
            else:
                parts += [name, *fingerprint_parts(value)]
        return parts


@functools.lru_cache(maxsize=16)  # to read an RSA key, OpenSSL tests its primes: 50 ms of CPU
def _signing_key(text: str, kind: Literal["RSA", "EC", "OKP"]) -> Any:
    library("cryptography.hazmat.backends.openssl.backend")  # cryptography would import it later
    return library("joserfc.jwk").JWKRegistry.import_key(jwk_of(text) or text, kind)


def _claim(value: Value, now: float) -> Any:
    if isinstance(value, StructuredValue):
        return value.content(lambda each: reveal(each, now))
    return reveal(value, now)


@attrs.frozen(repr=False)
class ClientCertificate:
    """The client's certificate for mutual TLS (RFC 8705).

    Args:
        certificate: The path of a PEM file with the certificate and its chain; or the PEM itself,
            as a secret.
        key: The path of a PEM file with its private key, or the PEM itself; by default the key is
            in the certificate's file.
        password: The password of the private key.
    """

    certificate: str | Secret
    key: str | Secret | None = None
    password: Secret | None = None

    __repr__ = shown


# Authors know it by the module that they import it from.
publish("keyturn.plugins", [ClientCertificate])
