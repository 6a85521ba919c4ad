"""The token request: the whole HTTP request to the token endpoint, as one frozen value."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal

import attrs

from keyturn.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

BodyFormat = Literal["form", "json"]
ClientAuthentication = Literal["body", "basic"]
Pairs = tuple[tuple[str, str | Secret], ...]

_CONTENT_TYPES: dict[BodyFormat, str] = {
    "form": "application/x-www-form-urlencoded",
    "json": "application/json",
}
_MASK = "REDACTED"


@attrs.frozen(repr=False)
class TokenRequest:
    """One request to a token endpoint; its `repr` shows no secret.

    Args:
        provider: The provider's name.
        url: The token endpoint.
        parameters: The body's parameters in the order in which they are sent, without the scope.
        scope: The scope values, sent as the last parameter when there are any.
        scope_separator: What stands between them (RFC 6749 section 3.3: a space).
        method: The HTTP method.
        body_format: How the parameters are encoded.
        basic: Client id and secret for the HTTP Basic scheme (RFC 6749 section 2.3.1), or None.
        extra_headers: Headers besides `Accept`, `Content-Type` and `Authorization`.
        realm: What sets its tokens apart though the wire doesn't show it, such as a side of a shop.
        fingerprint: The key of everything that belongs to this request; see `with_fingerprint`.
    """

    provider: str
    url: str
    parameters: Pairs = ()
    scope: tuple[str, ...] = ()
    scope_separator: str = " "
    method: str = "POST"
    body_format: BodyFormat = "form"
    basic: tuple[str, Secret] | None = None
    extra_headers: Pairs = ()
    realm: str = ""
    fingerprint: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are sent; a new dict each time, holding secrets if the request does."""
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": _CONTENT_TYPES[self.body_format],
        }
        headers.update((name, _reveal(value)) for name, value in self.extra_headers)
        if self.basic is not None:
            headers["Authorization"] = _basic(*self.basic)
        return headers

    @property
    def body(self) -> bytes:
        """The body that is sent, secrets included."""
        parameters = [(name, _reveal(value)) for name, value in self.parameters]
        if self.scope:
            parameters.append(("scope", self.scope_separator.join(self.scope)))
        if self.body_format == "json":
            return json.dumps(dict(parameters), separators=(",", ":"), ensure_ascii=False).encode()
        # authlib takes a while to import: only when a form is really encoded.
        from authlib.common.urls import url_encode

        form: str = url_encode(parameters)
        return form.encode()

    def secrets(self) -> list[Secret]:
        """Return every secret in the request, so that texts of others can be cleaned of them."""
        held = [value for _, value in (*self.parameters, *self.extra_headers)]
        held += self.basic or ()
        return [value for value in held if isinstance(value, Secret)]

    def redacted(self) -> TokenRequest:
        """Return the same request with every secret replaced, for showing it."""
        basic = None if self.basic is None else (self.basic[0], Secret(_MASK))
        return attrs.evolve(
            self,
            parameters=_masked(self.parameters),
            extra_headers=_masked(self.extra_headers),
            basic=basic,
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
            self.realm,
            self.method,
            self.url,
            self.body_format,
            _canonical(self.parameters),
            sorted(set(self.scope)),
            self.scope_separator,
            None if self.basic is None else [self.basic[0], self.basic[1].reveal()],
            _canonical((name.lower(), value) for name, value in self.extra_headers),
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


def _reveal(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _canonical(pairs: Iterable[tuple[str, str | Secret]]) -> list[list[str]]:
    return sorted([name, _reveal(value)] for name, value in pairs)


def _masked(pairs: Pairs) -> Pairs:
    return tuple((name, _MASK if isinstance(value, Secret) else value) for name, value in pairs)


def _basic(client_id: str, client_secret: Secret) -> str:
    from urllib.parse import quote_plus

    from authlib.oauth2.auth import ClientAuth

    # RFC 6749 section 2.3.1 has both form-encoded first, which authlib leaves to its caller.
    auth = ClientAuth(quote_plus(client_id), quote_plus(client_secret.reveal()))
    headers: dict[str, str] = {}
    auth.prepare("POST", "", headers, "")
    return headers["Authorization"]
