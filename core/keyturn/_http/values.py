"""Values of a token request that are made when it is sent, such as a signed assertion."""

from __future__ import annotations

import abc
import operator
import uuid
from typing import TYPE_CHECKING, Literal

import attrs

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


# The kind of key of an algorithm, by its first two letters (RFC 7518 section 3.1, RFC 8037).
_KEY_TYPES: dict[str, Literal["RSA", "EC", "OKP"]] = {
    "RS": "RSA",
    "PS": "RSA",
    "ES": "EC",
    "Ed": "OKP",
}


class DynamicValue(abc.ABC):
    """A parameter or header of a token request that is made anew each time it is sent."""

    @abc.abstractmethod
    def value(self) -> str:
        """Return the text to send."""

    def secrets(self) -> Iterable[Secret]:
        """Return what must not show in any text; by default the secrets it is made of."""
        return (source for source in self.sources() if isinstance(source, Secret))

    @abc.abstractmethod
    def sources(self) -> Iterable[str | Secret]:
        """Return everything it is made of that doesn't change; the fingerprint covers that."""


@attrs.frozen
class RandomId(DynamicValue):
    """A random UUID (RFC 9562 section 5.4), as platforms want one for each request."""

    def value(self) -> str:
        """Return a new UUID."""
        return str(uuid.uuid4())

    def sources(self) -> Iterable[str | Secret]:
        """Return nothing: every one is as good as any other."""
        return ()


@attrs.frozen
class BasicCredentials(DynamicValue):
    """The `Authorization` header of HTTP Basic (RFC 7617).

    Args:
        client_id: The client's identifier.
        client_secret: Its secret.
        form_encoded: Whether both are form-encoded first, as RFC 6749 section 2.3.1 says.
    """

    client_id: str
    client_secret: Secret
    form_encoded: bool = True

    def value(self) -> str:
        """Return the header's value."""
        from urllib.parse import quote_plus

        # authlib takes a while to import: only when a request is really sent.
        from authlib.oauth2.auth import ClientAuth

        # authlib encodes as Latin-1, where servers expect UTF-8 (RFC 7617 section 2.1).
        encode = quote_plus if self.form_encoded else _utf8_in_latin1
        auth = ClientAuth(encode(self.client_id), encode(self.client_secret.reveal()))
        headers: dict[str, str] = {}
        auth.prepare("POST", "", headers, "")
        return headers["Authorization"]

    def sources(self) -> Iterable[str | Secret]:
        """Return the credentials, and how they are encoded."""
        return (self.client_id, self.client_secret, str(self.form_encoded))

    def secrets(self) -> Iterable[Secret]:
        """Return the secret, and the encoded pair in the header."""
        return (self.client_secret, Secret(self.value().removeprefix("Basic ")))


def _utf8_in_latin1(text: str) -> str:
    return text.encode().decode("latin-1")


@attrs.frozen(kw_only=True)
class ClientAssertion(DynamicValue):
    """A JWT that proves who the client is (RFC 7523), with a `jti` that is never used twice.

    Args:
        private_key: The client's private key, as PEM.
        key_id: Names the key to the authorization server, if it knows several.
        key_header: The JWT's header that names it (RFC 7515 section 4.1).
        algorithm: The signature's algorithm (RFC 7518 section 3.1), such as `RS256`.
        claims: The claims besides the times and the `jti`, among them `iss`, `sub` and `aud`.
        lifetime: Seconds for which it is valid.
    """

    private_key: Secret
    key_id: str | None = None
    key_header: str = "kid"
    algorithm: str = "RS256"
    claims: Mapping[str, str | Secret | DynamicValue] = attrs.field(factory=dict, repr=False)
    lifetime: float = 300.0

    def value(self) -> str:
        """Return the signed JWT.

        Raises:
            keyturn.errors.ConfigurationError: The key can't be read, or is of another kind than
                the algorithm needs.
        """
        from joserfc import jwk, jwt

        header = {"alg": self.algorithm, "typ": "JWT"}
        if self.key_id is not None:
            header[self.key_header] = self.key_id
        now = int(SYSTEM.time())
        times = {"iat": now, "exp": now + int(self.lifetime)}
        given = {name: plain(value) for name, value in self.claims.items()}
        claims = {**times, **given, "jti": str(uuid.uuid4())}
        problem = ""
        try:
            kind = _KEY_TYPES[self.algorithm[:2]]
            key = jwk.JWKRegistry.import_key(self.private_key.reveal(), kind)
            return jwt.encode(header, claims, key, algorithms=[self.algorithm])
        except Exception as error:  # noqa: BLE001 - what a library says of a key may hold the key
            problem = type(error).__name__
        raise errors.ConfigurationError(
            f"private_key: can't sign with {self.algorithm} ({problem}).",
            hint="Give the unencrypted private key as PEM, of the kind that the algorithm needs.",
        )

    def sources(self) -> Iterable[str | Secret]:
        """Return the key, and everything that is signed but the times and the `jti`."""
        yield from (self.private_key, self.key_id or "", self.key_header, self.algorithm)
        yield str(self.lifetime)
        for name, value in sorted(self.claims.items(), key=operator.itemgetter(0)):
            yield name
            if name == "scope" and isinstance(value, str):
                yield " ".join(sorted(set(value.split())))  # their order makes no difference
            else:
                yield from fingerprint_parts(value)


def plain(value: str | Secret | DynamicValue) -> str:
    """Return a value as it is sent; the caller must keep it out of logs and errors."""
    if isinstance(value, DynamicValue):
        return value.value()
    return value.reveal() if isinstance(value, Secret) else value


def fingerprint_parts(value: str | Secret | DynamicValue) -> Iterator[str | Secret]:
    """Yield what a fingerprint covers of a value: if it is made each time, what it is made of."""
    if isinstance(value, DynamicValue):
        yield from ("made", type(value).__name__, *value.sources())
    else:
        yield from ("given", value)
