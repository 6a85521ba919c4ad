"""The token request: the whole HTTP request to the token endpoint, as one immutable value."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import operator
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import attrs

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._http.encoders import surrogate_error, to_bytes
from keyturn._http.values import (
    NAMED,
    DynamicValue,
    StructuredValue,
    Value,
    fingerprint_parts,
    make,
)
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._http.credentials import ClientCertificate

BodyFormat = Literal["form", "json", "query"]
Pairs = tuple[tuple[str, Value], ...]

_ACCEPT = {"Accept": "application/json", "Accept-Encoding": "identity"}
_HEADERS: dict[str, dict[str, str]] = {
    "form": {**_ACCEPT, "Content-Type": "application/x-www-form-urlencoded"},
    "json": {**_ACCEPT, "Content-Type": "application/json"},
    "query": _ACCEPT,
}


# The number of sent dynamic values that a request remembers, to hide them later.
_KEPT = 32


@attrs.frozen(repr=False)
class TokenRequest:
    """One request to a token endpoint; its `repr` shows no secret.

    Args:
        provider: The provider's name.
        url: The token endpoint.
        parameters: The parameters in the order in which they are sent, without the scope.
        scope: The scope values, sent as the last parameter if there are any.
        scope_separator: The separator between them (RFC 6749 section 3.3: a space).
        scope_name: The name of the scope's parameter; empty to omit it.
        method: The HTTP method.
        body_format: The encoding of the parameters; `query` puts them into the URL's query and
            leaves the body empty.
        extra_headers: Headers besides `Accept`, `Accept-Encoding` and `Content-Type`.
        certificate: The client's certificate, for mutual TLS.
        partition: A value that separates its tokens from those of an equal request, such as the
            side of a shop that the request does not contain.
        query_parameters: Parameters in the URL's query, in addition to those of the body.
        content: The whole body, instead of the parameters.
        response_mapping: A digest of the rules for reading its response, because other rules may
            find another token.
        fingerprint: The key of the whole request; see `with_fingerprint`.
        steps: The requests whose responses this one needs, by their names; its fingerprint covers
            theirs.
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
    query_parameters: Pairs = ()
    content: Value | None = None
    response_mapping: str = ""
    fingerprint: str = ""
    steps: tuple[tuple[str, TokenRequest], ...] = ()
    # The last computed dynamic values, and the digest once it is known.
    _made: list[tuple[DynamicValue, str]] = attrs.field(factory=list, init=False, eq=False)
    _digests: list[bytes] = attrs.field(factory=list, init=False, eq=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are sent; a new dict each time, which may contain secrets."""
        return _encoded(self, SYSTEM.time())[1]

    @property
    def body(self) -> bytes:
        """The body that is sent, including secrets; computed each time."""
        return _encoded(self, SYSTEM.time())[2]

    @property
    def query(self) -> str:
        """The query that is sent in the URL, including secrets; empty for most providers."""
        return _encoded(self, SYSTEM.time())[0]

    def secrets(self) -> list[Secret]:
        """Return every secret in the request, and the last sent values that contain secrets."""
        shown = attrs.astuple(self.certificate) if self.certificate else ()
        found = [each for each in shown if isinstance(each, Secret)]
        found += [Secret(sent) for value, sent in self._made if any(value.secrets())]
        pairs = (*self.parameters, *self.query_parameters, *self.extra_headers)
        for value in (*(each for _, each in pairs), self.content):
            if isinstance(value, Secret):
                found.append(value)
            elif isinstance(value, DynamicValue):
                found += value.secrets()
        return found

    def redacted(self) -> TokenRequest:
        """Return a copy of the request with every secret replaced, for output."""
        return attrs.evolve(
            self,
            parameters=_masked(self.parameters),
            query_parameters=_masked(self.query_parameters),
            content="REDACTED"
            if isinstance(self.content, (Secret, DynamicValue))
            else self.content,
            extra_headers=tuple(
                (name, "REDACTED" if is_authorization(name) else value)
                for name, value in _masked(self.extra_headers)
            ),
        )

    def with_fingerprint(self, key: bytes) -> TokenRequest:
        """Return the same request with its fingerprint.

        It is an HMAC with SHA-256 (RFC 2104) over a digest of every effective field, including the
        secret. So a reader of a store who does not have `key` can't test a guessed secret against
        it. Equal scopes in another order, and headers in another case, give the same fingerprint.

        Args:
            key: At least 16 random bytes, shared by all processes that share the store.
        """
        # Without a call where it is known: each request for a token asks several times.
        digest = self._digests[0] if self._digests else self._digest()
        return attrs.evolve(self, fingerprint=hmac.digest(key, digest, "sha256").hex())

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return (
            f"TokenRequest(provider={self.provider!r}, method={self.method!r}, url={self.url!r}, "
            f"scope={self.scope!r}, fingerprint={self.fingerprint!r})"
        )

    def _digest(self) -> bytes:
        if self._digests:
            return self._digests[0]
        fields: list[Any] = [
            self.provider,
            self.partition,
            self.response_mapping,
            self.method,
            self.url,
            self.body_format,
            _canonical(self.parameters),
            sorted(set(self.scope)),
            [self.scope_separator, self.scope_name],
            _canonical(self.extra_headers, str.lower),
            self.certificate and attrs.astuple(self.certificate),
        ]
        if self.steps:
            digests = [(name, each._digest()) for name, each in self.steps]  # noqa: SLF001 - of its own class
            fields.append([[name, digest.hex()] for name, digest in digests])
        if self.query_parameters or self.content is not None:
            content = [] if self.content is None else fingerprint_parts(self.content)
            fields += [_canonical(self.query_parameters), content]
        # Nested JSON is unambiguous: no value can run into the next, whatever it holds.
        digest = hashlib.sha256(json.dumps(fields, default=Secret.reveal).encode()).digest()
        self._digests.append(digest)
        return digest


def encode(request: TokenRequest, now: float) -> tuple[str, dict[str, str], bytes]:
    """Return the URL, headers and body with secrets; each dynamic value is computed once.

    Args:
        request: The token request.
        now: The connection's time, in epoch seconds.

    Raises:
        keyturn.errors.ConfigurationError: A header or a parameter can't be encoded.
    """
    query, headers, body = _encoded(request, now)
    for name, value in headers.items():
        if not value.isascii():
            raise errors.ConfigurationError(
                f"the header {name} of the token request is not ASCII.",
                hint="Check the settings that are sent in it.",
            )
    return f"{request.url}?{query}" if query else request.url, headers, body


def _encoded(request: TokenRequest, now: float) -> tuple[str, dict[str, str], bytes]:
    """Return the query, the headers and the body."""
    made: dict[str, Any] = {}  # see `RequestValue.make`
    query, body = "", b""
    if request.content is not None:
        body = to_bytes(_sent(request, request.content, now, made))
    if request.body_format == "query":
        query = _content(request, now, made).decode()
    elif request.content is None:
        body = _content(request, now, made)
    if request.query_parameters:
        pairs = [(name, _sent(request, each, now, made)) for name, each in request.query_parameters]
        query = "&".join(filter(None, [query, _wire(pairs).decode()]))
    # Signatures of the request are in its headers.
    made["request"] = request.method, f"{request.url}?{query}" if query else request.url, body
    headers = dict(_HEADERS[request.body_format])
    for name, value in request.extra_headers:
        # Header names are case-insensitive (RFC 9110 section 5.1).
        headers.pop(name.title(), None)
        headers[name] = _sent(request, value, now, made)
    return query, headers, body


def _sent(request: TokenRequest, value: Value, now: float, made: dict[str, Any]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Secret):
        return value.reveal()
    sent = make(value, now, made)
    kept = request._made  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - of this class
    kept += [(value, sent), *made.pop(NAMED, ())]
    del kept[:-_KEPT]
    return sent


def _content(request: TokenRequest, now: float, made: dict[str, Any]) -> bytes:
    """Return the encoded parameters: the body, or the query."""
    is_json = request.body_format == "json"
    parameters: list[tuple[str, Any]] = []
    for name, value in request.parameters:
        given = value.reveal() if isinstance(value, Secret) else value
        if isinstance(given, str):
            parameters.append((name, given))
        elif is_json and isinstance(given, StructuredValue):
            sent = given.content(functools.partial(_sent, request, now=now, made=made))
            parameters.append((name, sent))
        else:
            parameters.append((name, _sent(request, given, now, made)))
    if request.scope and request.scope_name:
        parameters.append((request.scope_name, request.scope_separator.join(request.scope)))
    return _wire(parameters, is_json=is_json)


def _wire(parameters: list[tuple[str, Any]], *, is_json: bool = False) -> bytes:
    try:
        return (
            json.dumps(dict(parameters), separators=(",", ":"), ensure_ascii=False)
            if is_json
            else urlencode(parameters)
        ).encode()
    except UnicodeEncodeError:
        pass
    # Raised here, not in the handler: Python's own error contains the parameters.
    raise surrogate_error()


def _canonical(pairs: Pairs, rename: Callable[[str], str] = str) -> list[list[str | Secret]]:
    """Return the names and the parts of the values, sorted by the names."""
    canonical: list[list[str | Secret]] = []
    for name, value in pairs:
        canonical.append([rename(name), *fingerprint_parts(value)])
    return sorted(canonical, key=operator.itemgetter(0))


def is_authorization(header: str) -> bool:
    """Return whether a header's value is never shown (RFC 9110 section 11)."""
    return header.lower() in {"authorization", "proxy-authorization", "cookie"}


def _masked(pairs: Pairs) -> Pairs:
    return tuple(
        (name, value.masked() if isinstance(value, StructuredValue) else "REDACTED")
        if not isinstance(value, str)
        else (name, value)
        for name, value in pairs
    )
