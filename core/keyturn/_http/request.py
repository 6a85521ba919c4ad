"""The token request: the whole HTTP request to the token endpoint, as one frozen value."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal

import attrs

from keyturn._http.values import DynamicValue, fingerprint_parts, plain
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

BodyFormat = Literal["form", "json", "query"]
Value = str | Secret | DynamicValue
Pairs = tuple[tuple[str, Value], ...]

_CONTENT_TYPES: dict[str, str] = {
    "form": "application/x-www-form-urlencoded",
    "json": "application/json",
}
_MASK = "REDACTED"


@attrs.frozen
class ClientCertificate:
    """What the client shows when the TLS connection is made (RFC 8705).

    Args:
        certificate: The path of a PEM file with the certificate, and its chain if there is one.
        key: The path of the PEM file with its private key; by default it is in the same file.
        password: What the private key is encrypted with.
    """

    certificate: str
    key: str | None = None
    password: Secret | None = None


@attrs.frozen(repr=False)
class TokenRequest:
    """One request to a token endpoint; its `repr` shows no secret.

    Args:
        provider: The provider's name.
        url: The token endpoint.
        parameters: The parameters in the order in which they are sent, without the scope.
        scope: The scope values, sent as the last parameter when there are any.
        scope_separator: What stands between them (RFC 6749 section 3.3: a space).
        scope_name: The name of the scope's parameter; empty when it isn't sent as one.
        method: The HTTP method.
        body_format: How the parameters are encoded; `query` puts them into the URL's query and
            leaves the body empty.
        extra_headers: Headers besides `Accept`, `Accept-Encoding` and `Content-Type`.
        certificate: The client's certificate, for mutual TLS.
        realm: What sets its tokens apart though the wire doesn't show it, such as a side of a shop.
        reading: A digest of how its response is read: another way may find another token in it.
        fingerprint: The key of everything that belongs to this request; see `with_fingerprint`.
    """

    provider: str
    url: str
    parameters: Pairs = ()
    scope: tuple[str, ...] = ()
    scope_separator: str = " "
    scope_name: str = "scope"
    method: str = "POST"
    body_format: BodyFormat = "form"
    extra_headers: Pairs = ()
    certificate: ClientCertificate | None = None
    partition: str = ""
    reading: str = ""
    fingerprint: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are sent; a new dict each time, holding secrets if the request does."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self.body_format in _CONTENT_TYPES:
            headers["Content-Type"] = _CONTENT_TYPES[self.body_format]
        extra = {name: plain(value) for name, value in self.extra_headers}
        # A header's name is the same in any case (RFC 9110 section 5.1).
        replaced = {name.lower() for name in extra}
        usual = {name: text for name, text in headers.items() if name.lower() not in replaced}
        return usual | extra

    @property
    def body(self) -> bytes:
        """The body that is sent, secrets included; made anew each time."""
        if self.body_format == "query":
            return b""
        if self.body_format == "json":
            parameters = dict(self._parameters())
            return json.dumps(parameters, separators=(",", ":"), ensure_ascii=False).encode()
        return self._encoded()

    @property
    def query(self) -> str:
        """The query that is sent in the URL, secrets included; empty for most providers."""
        return self._encoded().decode() if self.body_format == "query" else ""

    def secrets(self) -> list[Secret]:
        """Return every secret in the request, so that texts of others can be cleaned of them."""
        held: list[Secret] = []
        for _, value in (*self.parameters, *self.extra_headers):
            if isinstance(value, DynamicValue):
                held += value.secrets()
            elif isinstance(value, Secret):
                held.append(value)
        if self.certificate and self.certificate.password:
            held.append(self.certificate.password)
        return held

    def redacted(self) -> TokenRequest:
        """Return the same request with every secret replaced, for showing it."""
        return attrs.evolve(
            self,
            parameters=_masked(self.parameters),
            extra_headers=_masked(self.extra_headers),
        )

    def with_fingerprint(self, key: bytes) -> TokenRequest:
        """Return the same request with its fingerprint.

        It is a keyed hash (BLAKE2b, RFC 7693) over every effective field, the secret included: who
        does not hold `key` can't test a guessed secret against it.

        Args:
            key: 16 to 64 random bytes, kept on this machine.
        """
        fields = [
            self.provider,
            self.partition,
            self.reading,
            self.method,
            self.url,
            self.body_format,
            _canonical(self.parameters),
            sorted(set(self.scope)),
            [self.scope_separator, self.scope_name],
            _canonical((name.lower(), value) for name, value in self.extra_headers),
            _canonical_certificate(self.certificate),
        ]
        digest = hashlib.blake2b(json.dumps(fields).encode(), key=key, digest_size=32)
        return attrs.evolve(self, fingerprint=digest.hexdigest())

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return (
            f"TokenRequest(provider={self.provider!r}, method={self.method!r}, url={self.url!r}, "
            f"scope={self.scope!r}, fingerprint={self.fingerprint!r})"
        )

    def _parameters(self) -> list[tuple[str, str]]:
        parameters = [(name, plain(value)) for name, value in self.parameters]
        if self.scope and self.scope_name:
            parameters.append((self.scope_name, self.scope_separator.join(self.scope)))
        return parameters

    def _encoded(self) -> bytes:
        # authlib takes a while to import: only when a form is really encoded.
        from authlib.common.urls import url_encode

        form: str = url_encode(self._parameters())
        return form.encode()


def _reveal(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _canonical(pairs: Iterable[tuple[str, Value]]) -> list[list[Any]]:
    return sorted([name, *map(_reveal, fingerprint_parts(value))] for name, value in pairs)


def _canonical_certificate(certificate: ClientCertificate | None) -> list[str | None] | None:
    if certificate is None:
        return None
    password = certificate.password
    return [certificate.certificate, certificate.key, password.reveal() if password else None]


def _masked(pairs: Pairs) -> Pairs:
    return tuple((name, value if isinstance(value, str) else _MASK) for name, value in pairs)
