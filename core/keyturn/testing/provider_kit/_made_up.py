"""Settings generated from a provider's JSON Schema, for checks that need missing ones."""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._providers.kinds import kind_of
from keyturn._providers.schema import json_schema
from keyturn._providers.settings import read
from keyturn._secret import Secret
from keyturn.testing.provider_kit._patterns import matching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

_WORDS = (
    "made-up",
    "made_up",
    "made-up-too",
    "code:made-up",
    "id:made-up",
    "Made-Up",
)
_SHORT_WORDS = ("a1", "a", "1", "ab12")
_LABELS = ("made-up", "made-up-too")
_CURVES = {"ES256": "SECP256R1", "ES384": "SECP384R1", "ES512": "SECP521R1", "ES256K": "SECP256K1"}
_VALID = dt.timedelta(days=1)


def completed(provider: Provider[Any], given: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Return valid settings: the given ones, and generated ones for the missing ones.

    Args:
        provider: The provider.
        given: Names and plain values.
        directory: The directory for a made-up certificate.

    Raises:
        keyturn.errors.ConfigurationError: A given setting is wrong, or a missing one can't be made
            up.
    """
    values = dict(given)
    schema = json_schema(provider.settings, "")
    properties = schema["properties"]
    for name in schema["required"]:
        _make_up(provider, name, values, directory)
    _, mistakes = read(provider.settings, values)
    # Other settings may require a missing one.
    for name in sorted({mistake.path for mistake in mistakes} & properties.keys()):
        _make_up(provider, name, values, directory)
    settings, mistakes = read(provider.settings, values)
    if settings is not None:
        return values
    raise errors.ConfigurationError(
        f"the kit can't generate settings for {provider.name}; {len(mistakes)} problem(s):",
        problems=mistakes,
        hint="Give these settings.",
    )


def candidates(provider: Provider[Any], name: str) -> Iterator[Any]:
    """Yield plain values for a setting, by its JSON Schema."""
    schema = _schemas(provider)[name]
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if "enum" in schema:
        yield from (value for value in schema["enum"] if value is not None)
    elif "items" in schema:
        yield from _scopes(schema)
    elif schema.get("format") in {"uri", "uri-reference"}:
        yield from (f"https://{label}.example" for label in _LABELS)
    elif name == "private_key":
        yield private_key(provider.assertion_algorithm or "RS256")
    else:
        yield from _MAKERS[kind](schema)


def _schemas(provider: Provider[Any]) -> Mapping[str, Any]:
    """Return the JSON Schema of each setting."""
    found: Mapping[str, Any] = _schema_of(provider.settings)["properties"]
    return found


def _full_schema(cls: Any) -> Any:
    return json_schema(cls, "")


_schema_of: Callable[[Any], Any] = functools.lru_cache(maxsize=64)(_full_schema)


def scope_values(provider: Provider[Any]) -> Iterator[list[str]]:
    """Yield lists of as many scope values as can be made up."""
    schema = _schemas(provider).get("scope", {})
    if "items" in schema:
        values = [value for each in _scopes(schema) for value in each]
        # In another order than that of the alphabet: a method may sort the setting itself.
        yield from (sorted(values[:size])[::-1] for size in range(len(values), 1, -1))


def secret_settings(cls: type[Settings]) -> list[str]:
    """Return the names of the settings that are secrets."""
    fields = attrs.fields(attrs.resolve_types(cls))
    return [field.name for field in fields if kind_of(field.type)[0] is Secret]


def string_settings(cls: type[Settings]) -> list[str]:
    """Return the names of the settings that are strings, and neither secrets nor URLs."""
    return [
        field.name
        for field in attrs.fields(attrs.resolve_types(cls))
        if kind_of(field.type)[0] is str
        and field.metadata.get("schema", {}).get("format") != "uri"
        and not field.metadata.get("choices")
    ]


def url_settings(cls: type[Settings]) -> list[str]:
    """Return the names of the settings that are URLs."""
    fields = attrs.fields(cls)
    return [f.name for f in fields if f.metadata.get("schema", {}).get("format") == "uri"]


@functools.cache
def private_key(algorithm: str) -> str:
    """Return a private key in PEM for an algorithm of RFC 7518 section 3.1."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    key: Any
    if algorithm in _CURVES:
        key = ec.generate_private_key(getattr(ec, _CURVES[algorithm])())
    elif algorithm == "Ed448":
        key = ed448.Ed448PrivateKey.generate()
    elif algorithm.startswith("Ed"):
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()


def certificate(directory: Path) -> str:
    """Write a self-signed client certificate with its private key; return the file's path."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    key_pem = private_key("ES256").encode()
    key: Any = serialization.load_pem_private_key(key_pem, None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made-up-client")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
        .sign(key, hashes.SHA256())
    )
    path = directory / "client.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key_pem)
    return str(path)


def _make_up(provider: Provider[Any], name: str, values: dict[str, Any], directory: Path) -> None:
    """Add a value for a missing setting, if one can be made up."""
    if name in values:
        return
    if name == "certificate":
        values[name] = certificate(directory)
        return
    # A secret with the value of another setting would seem to be shown.
    used = {*map(str, values.values())} - {*_WORDS, *_SHORT_WORDS}
    for value in sorted(candidates(provider, name), key=lambda each: str(each) in used):
        _, mistakes = read(provider.settings, {**values, name: value})
        if not any(mistake.path == name for mistake in mistakes):
            values[name] = value
            return


def _strings(schema: Mapping[str, Any]) -> Iterator[str]:
    pattern = schema.get("pattern", "")
    # A short secret occurs in other strings by chance.
    words = (*_WORDS, *matching(pattern), *_SHORT_WORDS)
    yield from (word for word in words if re.search(pattern, word))


def _numbers(schema: Mapping[str, Any]) -> Iterator[int]:
    least = schema.get("minimum", 1)
    yield from (least, least + 1, least + 100)


def _scopes(schema: Mapping[str, Any]) -> Iterator[list[str]]:
    pattern = re.compile(schema["items"].get("pattern", ""))
    known = schema["items"].get("enum") or [
        word for word in (*_WORDS, *_SHORT_WORDS) if pattern.search(word)
    ]
    yield from ([value] for value in known)


def _booleans(_: object) -> Iterator[bool]:
    yield from (True, False)


def _objects(_: object) -> Iterator[dict[str, str]]:
    yield from ({"made_up": "made-up"}, {"Made-Up": "made-up"})


_MAKERS: dict[str, Any] = {
    "string": _strings,
    "integer": _numbers,
    "number": _numbers,
    "boolean": _booleans,
    "object": _objects,
}
