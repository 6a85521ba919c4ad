"""Text of servers made safe to show: without secrets, without control characters, short."""

from __future__ import annotations

import base64
import itertools
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyturn._secret import Secret

_MAX_TEXT = 300
_MAX_READ = 10 * _MAX_TEXT
# What an escape of an escape makes of one character: \u0061, each of its six percent-encoded.
_MAX_STRETCH = 18
_HIDDEN = "[hidden]"
_BLOT = "\0"
_BLOTS_PATTERN = f"{_BLOT}+"
_LONG_RUN = 24
_LONG_RUN_PATTERN = rf"[A-Za-z0-9._~+/=%-]{{{_LONG_RUN},}}"
_JSON_ESCAPE_PATTERN = r"\\u([0-9A-Fa-f]{4})"


def printable(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Return server text made safe to show: short, plain ASCII, without what may be a secret.

    The given secrets are replaced, and so is every long run of the characters that tokens, keys
    and encoded secrets are made of. Text that still holds a secret in another encoding is hidden
    as a whole.

    Args:
        text: Text from a server.
        secrets: What must not show.
    """
    if not text:
        return ""
    hidden = {bare: _forms(bare) for bare in (secret.reveal() for secret in secrets if secret)}
    # Far enough that what begins before the cut, which comes after the hiding, is seen whole.
    reach = _MAX_READ + _LONG_RUN + _MAX_STRETCH * max(map(len, hidden), default=0)
    text = text[:reach].replace(_BLOT, " ")
    if any(bare in _decoded(_blotted(text, forms)) for bare, forms in hidden.items()):
        return _HIDDEN
    text = _blotted(text, itertools.chain(*hidden.values()))
    text = re.sub(_LONG_RUN_PATTERN, lambda match: _BLOT * len(match[0]), text)
    text = re.sub(_BLOTS_PATTERN, _HIDDEN, text[:_MAX_READ])
    text = "".join(char if " " <= char <= "~" else " " for char in text)
    return " ".join(text.split())[:_MAX_TEXT]


def _forms(bare: str) -> tuple[str, ...]:
    """Return the encodings in which a server usually quotes what it received."""
    data = bare.encode(errors="replace")
    encoded = base64.b64encode(data).decode().rstrip("=")
    return (bare, quote(data, safe=""), quote_plus(data), json.dumps(bare)[1:-1], encoded)


def _blotted(text: str, forms: Iterable[str]) -> str:
    """Return text of the same length, each character of any of the forms replaced by a blot.

    One form may begin another, or overlap it: no part of either remains.
    """
    blotted = list(text)
    for form in forms:
        start = text.find(form)
        while start >= 0:
            end = start + len(form)
            blotted[start:end] = _BLOT * len(form)
            start = text.find(form, end)
    return "".join(blotted)


def _decoded(text: str) -> str:
    """Return text without the escapes of URLs, HTML and JSON, nested ones included."""
    import html  # only error responses need it

    for _ in range(3):
        text = re.sub(_JSON_ESCAPE_PATTERN, lambda match: chr(int(match[1], 16)), text)
        text = html.unescape(unquote(text.replace("\\/", "/")))
    return text
