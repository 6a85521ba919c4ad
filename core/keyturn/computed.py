"""Values of a token request that are made when it is sent, such as a signed assertion."""

from __future__ import annotations

import abc
import json
import uuid
from typing import TYPE_CHECKING, Literal

import attrs

from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keyturn.secret import Secret


# The kind of key of an algorithm, by its first two letters (RFC 7518 section 3.1, RFC 8037).
_KEY_TYPES: dict[str, Literal["RSA", "EC", "OKP"]] = {
    "RS": "RSA",
    "PS": "RSA",
    "ES": "EC",
    "Ed": "OKP",
}


class Computed(abc.ABC):
    """A parameter or header of a token request that is made anew each time it is sent."""

    @abc.abstractmethod
    def value(self) -> str:
        """Return the text to send."""

    @abc.abstractmethod
    def sources(self) -> Iterable[str | Secret]:
        """Return everything it is made of that doesn't change; the fingerprint covers that."""


@attrs.frozen
class RandomId(Computed):
    """A random UUID (RFC 9562 section 5.4), as platforms want one for each request."""

    def value(self) -> str:
        """Return a new UUID."""
        return str(uuid.uuid4())

    def sources(self) -> Iterable[str | Secret]:
        """Return nothing: every one is as good as any other."""
        return ()


@attrs.frozen
class BasicCredentials(Computed):
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

        encode = quote_plus if self.form_encoded else str
        auth = ClientAuth(encode(self.client_id), encode(self.client_secret.reveal()))
        headers: dict[str, str] = {}
        auth.prepare("POST", "", headers, "")
        return headers["Authorization"]

    def sources(self) -> Iterable[str | Secret]:
        """Return the credentials, and how they are encoded."""
        return (self.client_id, self.client_secret, str(self.form_encoded))


@attrs.frozen(kw_only=True)
class ClientAssertion(Computed):
    """A JWT that proves who the client is (RFC 7523), with a `jti` that is never used twice.

    Args:
        private_key: The client's private key, as PEM.
        key_id: Names the key to the authorization server, if it knows several.
        key_header: The JWT's header that names it (RFC 7515 section 4.1).
        algorithm: The signature's algorithm (RFC 7518 section 3.1), such as `RS256`.
        claims: The claims that are always the same, among them `iss`, `sub` and `aud`.
        lifetime: Seconds for which it is valid.
    """

    private_key: Secret
    key_id: str | None = None
    key_header: str = "kid"
    algorithm: str = "RS256"
    claims: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    lifetime: float = 300.0

    def value(self) -> str:
        """Return the signed JWT.

        Raises:
            keyturn.errors.ConfigurationError: The key can't be read, or is of another kind than
                the algorithm needs.
        """
        from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion
        from joserfc import jwk

        header = {"alg": self.algorithm, "typ": "JWT"}
        if self.key_id is not None:
            header[self.key_header] = self.key_id
        problem = ""
        try:
            signed: str | bytes = sign_jwt_bearer_assertion(
                jwk.import_key(self.private_key.reveal(), _KEY_TYPES[self.algorithm[:2]]),
                issuer=self.claims.get("iss"),
                audience=self.claims.get("aud"),
                claims={**self.claims, "jti": str(uuid.uuid4())},
                header=header,
                expires_in=int(self.lifetime),
            )
        except Exception as error:  # noqa: BLE001 - what a library says of a key may hold the key
            problem = type(error).__name__
        else:
            # authlib before 1.7 gives bytes.
            return signed.decode() if isinstance(signed, bytes) else signed
        raise errors.ConfigurationError(
            f"private_key: can't sign with {self.algorithm} ({problem}).",
            hint="Give the unencrypted private key as PEM, of the kind that the algorithm needs.",
        )

    def sources(self) -> Iterable[str | Secret]:
        """Return the key, and everything that is signed but the times and the `jti`."""
        claims = json.dumps(dict(self.claims), sort_keys=True)
        named = (self.key_id or "", self.key_header, self.algorithm, claims, str(self.lifetime))
        return (self.private_key, *named)
