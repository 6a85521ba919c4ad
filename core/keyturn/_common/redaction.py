"""Redaction of secrets by their origin: those that keyturn sent or received.

Nothing is hidden because of its appearance. A secret is found in plain, and in any nesting of
escapes of URLs, JSON and HTML, of Base64 and of hexadecimal digits. Hidden are:

- a secret of 4 characters or more anywhere, in upper and lower case, unless it is only a part of a
  public word such as `invalid_client`;
- a shorter secret if it is a word by itself: otherwise most messages would be unreadable;
- of a longer secret, any 16 characters in a row: a server may quote its beginning or a line of it.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, TypeVar

from keyturn._common.names import escaped
from keyturn._common.once import cached_once, importing
from keyturn.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keyturn._common.encodings import View
    from keyturn._secret import Secret

E = TypeVar("E", bound=BaseException)

MASK = "[hidden]"

_SHORT = 4
_PART = 16
_MAX_TEXT = 300
_MAX_READ = 10 * _MAX_TEXT
# An escaped escape has 18 characters for one: \u0061, with each of its six percent-encoded.
_LONGEST_ESCAPE = 18
# How many levels of a JSON value are shown.
_MAX_LEVELS = 32
# Words of RFC 6749, its extensions and HTTP, which are public even if they contain a secret.
_PUBLIC = (
    r"(?i)application/(?:x-www-form-urlencoded|json)|text/(?:plain|html)|multipart/form-data"
    r"|(?:invalid|unsupported)_(?:request|client|grant|scope|token|target|response_type|grant_type"
    r"|redirect_uri|client_metadata)|(?:unauthorized|public)_client|insufficient_scope|server_error"
    r"|access_denied|slow_down|temporarily_unavailable|authorization_(?:code|type_invalid|pending)"
    r"|client_(?:credentials|id|secret(?:_basic|_post|_jwt)?|assertion(?:_type)?)|grant_type"
    r"|(?:access|refresh|id)_token|token_type|expires_in|error_(?:description|uri)|created_at"
    r"|private_key_jwt|tls_client_auth|\[hidden\]"
)
_ESCAPE_PATTERN = r"%[0-9A-Fa-fu]|\\|&#?\w+;"
# Case is ignored, and a form has `+` for a space.
_FOLDED = {each: each + 32 for each in range(ord("A"), ord("Z") + 1)} | {ord("+"): " "}


@cached_once
def encodings() -> Any:
    """Import what decodes strings: it takes a millisecond, and few strings of a server are shown.

    It is kept: nothing can be imported while an interpreter ends, not even again.
    """
    with importing:
        from keyturn._common import encodings
    return encodings


class Redaction:
    """Hides secrets in output; created when there is output, not before.

    Args:
        secrets: The secrets.
        whole: Whether only whole secrets are hidden: in data, unlike in messages, a part of a
            token may be needed, such as the account's number.
    """

    def __init__(self, secrets: Iterable[Secret] = (), *, whole: bool = False) -> None:
        bare = {each for secret in secrets for each in _parts(secret.reveal())}
        self._numbers = {float(each) for each in bare if re.fullmatch(r"[0-9]+(\.[0-9]+)?", each)}
        short = {form for each in bare if len(each) < _SHORT for form in _short_forms(each)}
        words = "|".join(map(re.escape, sorted(short, key=len, reverse=True)))
        self._words = re.compile(rf"(?<!\w)(?<!\w')(?:{words})(?!\w)") if words else None
        # Decoded from Base64 or hexadecimal digits, characters are bytes.
        forms = {f for each in bare for f in (each, each[::-1], _as_bytes(each), *_unescaped(each))}
        folded = {each.translate(_FOLDED) for each in forms if len(each) >= _SHORT}
        self._least = min([*map(len, folded), _PART]) if folded else 0
        self._whole = {each for each in folded if whole or len(each) <= _PART}
        self._pieces = {
            each[at : at + _PART]
            for each in folded - self._whole
            for at in range(len(each) - _PART + 1)
        }

    def text(self, text: str) -> str:
        """Return a string with every secret replaced by `MASK`."""
        return _shown(text, self._blots(text))

    def printable(self, text: str) -> str:
        """Return a server's string as one short line, without secrets and control characters."""
        # Long enough to find a secret across the end; the string is shortened after hiding.
        text = text[: _MAX_READ + _LONGEST_ESCAPE * _PART]
        blots = self._blots(text)
        shown = _shown(text[:_MAX_READ], blots[:_MAX_READ])
        return escaped(" ".join(shown.split()))[:_MAX_TEXT]

    def number(self, number: float) -> float | str:
        """Return a number, or `MASK` if it contains a secret."""
        shown = str(number)
        is_secret = abs(number) in self._numbers or self.text(shown) != shown
        return MASK if is_secret else number

    def value(self, value: Any, levels: int = _MAX_LEVELS) -> Any:
        """Return a JSON value with every secret hidden, in names too, without deeper levels."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self.number(value)
        if not isinstance(value, (dict, list, tuple)):
            return value
        if not levels:
            return MASK
        if isinstance(value, dict):
            pairs = [self.value([*pair], levels - 1) for pair in value.items()]
            return dict(pairs)
        values = [self.value(each, levels - 1) for each in value]
        return values if isinstance(value, list) else tuple(values)

    def problem(self, problem: Problem) -> Problem:
        """Return a problem with every secret hidden."""
        return Problem(self.text(problem.path), self.text(problem.message))

    def error(self, error: E) -> E:
        """Hide secrets in all attributes of a plugin's error; remove its cause and context."""
        error.args = self.value(error.args)
        for name, value in vars(error).items():
            vars(error)[name] = (
                tuple(map(self.problem, error.problems))
                if name == "problems" and isinstance(error, ConfigurationError)
                else self.value(value)
            )
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)

    def _blots(self, text: str) -> bytearray:
        """Return whether each character is hidden."""
        blots = bytearray(len(text))
        if self._words or self._least:
            for view in encodings().views(text, self._least):
                found = [*self._found(view)]
                starts, ends = view.places() if found else ((), ())
                for start, end in found:
                    first, last = starts[start], ends[end - 1]
                    blots[first:last] = b"\1" * (last - first)
        return blots

    def _found(self, view: View) -> Iterator[tuple[int, int]]:
        """Yield the positions of secrets in a string; they may overlap."""
        folded = view.text.translate(_FOLDED)
        if self._words and view.is_text:
            yield from self._private(view, self._words.finditer(view.text))
        for whole in self._whole:
            if whole in folded:
                yield from self._private(view, re.finditer(f"(?=({re.escape(whole)}))", folded))
        if self._pieces:
            for at in range(len(folded) - _PART + 1):
                if folded[at : at + _PART] in self._pieces:
                    yield at, at + _PART

    def _private(self, view: View, matches: Iterable[re.Match[str]]) -> Iterator[tuple[int, int]]:
        """Yield the positions of matches, except those that are only a part of a public word."""
        public: list[tuple[int, int]] | None = None  # the search for these words takes long
        for match in matches:
            if public is None:
                public = [word.span() for word in re.finditer(_PUBLIC, view.text)]
            start, end = match.span(match.re.groups)
            if not any(
                first <= start and end <= last and last - first > end - start
                for first, last in public
            ):
                yield start, end


def _parts(bare: str) -> set[str]:
    """Return a secret, and its forms without a scheme such as `Bearer` or leading zeros."""
    parts = {bare, bare.strip(), bare.lstrip("0") if bare.isdecimal() else bare}
    scheme, _, rest = bare.partition(" ")
    if scheme.isalpha() and len(rest) >= _PART:
        parts.add(rest)
    return parts - {""}


def _unescaped(bare: str) -> list[str]:
    """Return the decoded forms of a secret that may contain escapes, such as `%25`."""
    if not re.search(_ESCAPE_PATTERN, bare):
        return []
    # A backslash at its end escapes the next character.
    made = {view.text.rstrip("\\") for view in encodings().views(bare, 0)}
    return [*made, *map(_as_bytes, made)]


def _short_forms(bare: str) -> tuple[str, str]:
    return bare, base64.b64encode(bare.encode(errors="replace")).decode().rstrip("=")


def _as_bytes(text: str) -> str:
    return text.encode(errors="surrogatepass").decode("latin-1")


def _shown(text: str, blots: bytearray) -> str:
    parts, shown = list[str](), 0
    for hidden in re.finditer(b"\1+", blots):
        parts += text[shown : hidden.start()], MASK
        shown = hidden.end()
    return "".join([*parts, text[shown:]])
