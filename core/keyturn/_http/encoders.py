"""Encodings of the values in a request."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, quote_plus

from keyturn import errors
from keyturn._common.base64url import base64url

if TYPE_CHECKING:
    from collections.abc import Callable

Encoding = Literal[
    "",
    "base64",
    "base64url",
    "hex",
    "hex_upper",
    "url",
    "lower",
    "bytes",
    "from_base64",
    "from_hex",
    "xml",
    "json",
    "form",
]
# Encodings whose result is bytes, for use in other values.
BINARY = frozenset({"bytes", "from_base64", "from_hex"})

_XML_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;"}
)
_ENCODERS: dict[str, Callable[[bytes], str]] = {
    "": bytes.decode,
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64url": base64url,
    "hex": bytes.hex,
    "hex_upper": lambda data: data.hex().upper(),
    "url": lambda data: quote(data, safe=""),
    "lower": lambda data: data.decode().lower(),
    "bytes": lambda data: data.decode(errors="surrogateescape"),
    "from_base64": lambda data: _decoded(base64.b64decode, data, "Base64"),
    "from_hex": lambda data: _decoded(lambda text: bytes.fromhex(text.decode()), data, "hex"),
    "form": quote_plus,
    "json": lambda data: json.dumps(data.decode(), ensure_ascii=False)[1:-1],
    "xml": lambda data: data.decode().translate(_XML_ESCAPES),
}


def encoded(text: str, encoding: Encoding) -> str:
    """Return a string in an encoding.

    Raises:
        keyturn.errors.ConfigurationError: It contains a surrogate, which is not a character.
    """
    return recoded(to_bytes(text), encoding)


def recoded(data: bytes, encoding: Encoding) -> str:
    """Return bytes in an encoding, as a string.

    Raises:
        keyturn.errors.ConfigurationError: They are not what is to be decoded.
    """
    return _ENCODERS[encoding](data)


def to_bytes(text: str) -> bytes:
    """Return a string in UTF-8.

    Raises:
        keyturn.errors.ConfigurationError: It contains a surrogate, which is not a character.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass
    # Raised here, not in the handler: Python's own error holds the string.
    raise surrogate_error()


def raw(text: str) -> bytes:
    """Return a string in UTF-8; of a `BINARY` one or of an API request's body, the bytes."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return to_bytes(text)


def surrogate_error() -> errors.ConfigurationError:
    """Return the error of a value that can't be encoded."""
    return errors.ConfigurationError(
        "a value of the token request contains a surrogate, which is not a character.",
        hint="Check the settings in it.",
    )


def _decoded(decode: Callable[[bytes], bytes], data: bytes, name: str) -> str:
    try:
        return decode(data).decode(errors="surrogateescape")
    except ValueError:
        pass
    # Raised here, as above.
    raise errors.ConfigurationError(
        f"a value of the token request is not valid {name}, from which keyturn decodes it.",
        hint="Check the settings in it.",
    )
