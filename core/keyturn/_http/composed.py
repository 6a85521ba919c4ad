"""Composed values: strings with an encoding or digest, and JSON values."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import attrs

from keyturn import errors
from keyturn._common.names import shown
from keyturn._http.encoders import BINARY, Encoding, raw, recoded
from keyturn._http.values import (
    NAMED,
    DynamicValue,
    RequestValue,
    StructuredValue,
    Value,
    fingerprint_parts,
    make,
    reveal,
)
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping

Digest = Literal["", "md5", "sha1", "sha256", "sha384", "sha512"]


@attrs.frozen(kw_only=True, repr=False)
class Composed(RequestValue):
    """A string of several parts, with an encoding or a digest.

    Args:
        parts: The parts.
        name: A value with a name is computed once per request, even if it is sent several times.
        digest: The algorithm; the value is the digest of the parts, or with `key` the HMAC.
        key: The key of the HMAC (RFC 2104).
        encoding: The encoding of the result.
    """

    parts: tuple[Value, ...]
    name: str = ""
    digest: Digest = ""
    key: Value | None = None
    encoding: Encoding = ""

    __repr__ = shown

    def value(self, now: float) -> str:
        return self.make(now, {})

    def make(self, now: float, made: MutableMapping[str, Any]) -> str:
        if self.name in made:
            found: str = made[self.name]
            return found
        sent = "".join(make(part, now, made) for part in self.parts)
        if self.digest:
            sent = recoded(self.digested(raw(sent), now, made), self.encoding)
        elif self.encoding:
            sent = recoded(raw(sent), self.encoding)
        if self.name:
            made[self.name] = sent
        if self.name and self.encoding not in BINARY:
            made.setdefault(NAMED, []).append((self, sent))
        return sent

    def digested(self, content: bytes, now: float, made: MutableMapping[str, Any]) -> bytes:
        """Return the digest of the parts, or their HMAC; see `make`."""
        if self.key is None:
            return hashlib.new(self.digest, content, usedforsecurity=False).digest()
        return hmac.digest(raw(make(self.key, now, made)), content, self.digest)

    def inputs(self) -> Iterable[str | Secret]:
        key = () if self.key is None else (self.key,)
        found: list[str | Secret] = [self.encoding, self.digest, f"keys: {len(key)}"]
        for part in (*key, *self.parts):
            found += fingerprint_parts(part)
        return found

    def secrets(self) -> Iterable[Secret]:
        parts = (*self.parts, *([] if self.key is None else [self.key]))
        found = [each for part in parts for each in secrets_in(part)]
        is_shown = self.encoding not in BINARY and all(map(is_constant_value, parts))
        return [*found, Secret(self.value(0.0))] if found and is_shown else found


def target_of(url: str) -> str:
    """Return the path and the query of a URL, as a request has them (RFC 9112 section 3.2.1)."""
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


@attrs.frozen(repr=False)
class RequestPart(RequestValue):
    """A part of the request that contains the value, for signatures; in headers only.

    Args:
        part: The part.
    """

    part: Literal["method", "url", "path", "query", "target", "body"]

    __repr__ = shown

    def value(self, now: float) -> str:
        raise errors.ConfigurationError(
            f"request.{self.part} is available in headers only.",
            hint="Use the value in token_headers.",
        )

    def make(self, now: float, made: Mapping[str, Any]) -> str:
        if "request" not in made:
            return self.value(now)
        sent: tuple[str, str, bytes] = made["request"]
        method, url, body = sent
        parts = urlsplit(url)
        return {
            "method": method,
            "url": url,
            "path": parts.path or "/",
            "query": parts.query,
            "target": target_of(url),
            "body": body.decode() if self.part == "body" else "",
        }[self.part]

    def inputs(self) -> Iterable[str | Secret]:
        return (self.part,)


@attrs.frozen(repr=False)
class Json(StructuredValue):
    """A JSON value whose strings may be secrets or dynamic values.

    Args:
        tree: Tables, lists, numbers, booleans, strings and values.
    """

    tree: Any = attrs.field(repr=False)

    def value(self, now: float) -> str:
        return json.dumps(self.content(lambda each: reveal(each, now)), separators=(",", ":"))

    def content(self, made: Callable[[Value], str]) -> Any:
        return _mapped(self.tree, made)

    def masked(self) -> Json:
        """Return a copy with all secrets replaced."""
        return Json(self.content(lambda each: each if isinstance(each, str) else "REDACTED"))

    def inputs(self) -> Iterable[str | Secret]:
        return [*_flat(self.tree)]

    def secrets(self) -> Iterable[Secret]:
        return [each for value in _leaves(self.tree) for each in secrets_in(value)]


@attrs.frozen(repr=False)
class JsonNumber(StructuredValue):
    """A value that is computed when it is sent, as a JSON number if it is an integer.

    Args:
        made_of: The value.
    """

    made_of: Value = attrs.field(repr=False)

    def value(self, now: float) -> str:
        return reveal(self.made_of, now)

    def content(self, made: Callable[[Value], str]) -> Any:
        sent = made(self.made_of)
        return int(sent) if re.fullmatch(r"-?[0-9]{1,18}", sent) else sent

    def inputs(self) -> Iterable[str | Secret]:
        return fingerprint_parts(self.made_of)

    def secrets(self) -> Iterable[Secret]:
        return secrets_in(self.made_of)


def as_json(value: Any) -> StructuredValue:
    """Return a setting or a dynamic value as a JSON value."""
    if isinstance(value, DynamicValue):
        return JsonNumber(value)
    return Json([*value] if isinstance(value, tuple) else value)


def secrets_in(value: Value) -> Iterable[Secret]:
    """Return the secrets in a value."""
    if isinstance(value, DynamicValue):
        return value.secrets()
    return [value] if isinstance(value, Secret) else []


def is_constant_value(value: Value) -> bool:
    """Return whether a value is the same each time it is sent."""
    if isinstance(value, Composed):
        return all(map(is_constant_value, (*value.parts, value.key or "")))
    return not isinstance(value, DynamicValue)


def _mapped(tree: Any, made: Callable[[Value], str]) -> Any:
    if isinstance(tree, dict):
        return {name: _mapped(each, made) for name, each in tree.items()}
    if isinstance(tree, list):
        return [_mapped(each, made) for each in tree]
    if isinstance(tree, StructuredValue):
        return tree.content(made)
    return made(tree) if isinstance(tree, (str, Secret, DynamicValue)) else tree


def _leaves(tree: Any) -> Iterator[Value]:
    """Yield the strings and the values in a JSON value."""
    if isinstance(tree, (dict, list)):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(each)
    elif isinstance(tree, (str, Secret, DynamicValue)):
        yield tree


def _flat(tree: Any) -> Iterator[str | Secret]:
    """Yield the parts of a JSON value, with their numbers to separate them."""
    if isinstance(tree, dict):
        yield f"table of {len(tree)}"
        for name, each in sorted(tree.items()):
            yield name
            yield from _flat(each)
    elif isinstance(tree, list):
        yield f"list of {len(tree)}"
        for each in tree:
            yield from _flat(each)
    elif isinstance(tree, (str, Secret, DynamicValue)):
        yield from fingerprint_parts(tree)
    else:
        yield json.dumps(tree)
