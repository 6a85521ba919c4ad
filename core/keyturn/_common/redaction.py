"""What must not be shown, by provenance: the secrets that keyturn sent or received.

Nothing is hidden for what it looks like. A secret is found in plain, and in any nesting of the
escapes of URLs, JSON and HTML, of Base64 and of hexadecimal digits. What is hidden:

- a secret of 4 characters or more wherever it stands, in upper and lower case; unless it is only a
  part of a public word such as `invalid_client`;
- a shorter one where it is a word by itself: else most messages would be nothing but holes;
- of a longer secret, any 16 characters in a row: a server may quote its beginning or a line of it.
"""

from __future__ import annotations

import base64
import itertools
import operator
import re
from typing import TYPE_CHECKING, Any, TypeVar

from keyturn._common.names import escaped
from keyturn._common.once import importing
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
# An escape of an escape makes 18 characters of one: \u0061, each of its six percent-encoded.
_LONGEST_ESCAPE = 18
# Levels of a JSON value that are shown.
_MAX_LEVELS = 32
# What RFC 6749, its extensions and HTTP name, whatever anyone's secret is.
_PUBLIC = (
    r"(?i)application/(?:x-www-form-urlencoded|json)|text/(?:plain|html)|multipart/form-data"
    r"|(?:invalid|unsupported)_(?:request|client|grant|scope|token|target|response_type|grant_type"
    r"|redirect_uri|client_metadata)|(?:unauthorized|public)_client|insufficient_scope|server_error"
    r"|access_denied|slow_down|temporarily_unavailable|authorization_(?:code|type_invalid|pending)"
    r"|client_(?:credentials|id|secret(?:_basic|_post|_jwt)?|assertion(?:_type)?)|grant_type"
    r"|(?:access|refresh|id)_token|token_type|expires_in|error_(?:description|uri)|created_at"
    r"|private_key_jwt|tls_client_auth|\[hidden\]"
)
_ESCAPE_REGEX = re.compile(r"%[0-9A-Fa-fu]|\\|&#?\w+;")
# Case makes no difference, and a form has `+` for a space.
_FOLDED = {each: each + 32 for each in range(ord("A"), ord("Z") + 1)} | {ord("+"): " "}


class Redaction:
    """Hides secrets in what is shown; made when something has to be shown, not before.

    Args:
        secrets: What must not be shown.
        whole: Whether only whole secrets are hidden: in data, unlike in what is shown, a part of
            a token may be needed, such as the account's number.
    """

    def __init__(self, secrets: Iterable[Secret] = (), *, whole: bool = False) -> None:
        bare = {each for secret in secrets for each in _parts(secret.reveal())}
        self._numbers = {float(each) for each in bare if re.fullmatch(r"[0-9]+(\.[0-9]+)?", each)}
        short = {form for each in bare if len(each) < _SHORT for form in _short_forms(each)}
        words = "|".join(map(re.escape, sorted(short, key=len, reverse=True)))
        self._words = re.compile(rf"(?<!\w)(?<!\w')(?:{words})(?!\w)") if words else None
        # As Base64 and hexadecimal digits give them, characters are bytes.
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
        """Return text with every secret replaced by `MASK`."""
        return _shown(text, self._blots(text))

    def printable(self, text: str) -> str:
        """Return a server's text as one short line, without secrets and control characters."""
        # Far enough that what begins before the cut, which comes after the hiding, is found.
        text = text[: _MAX_READ + _LONGEST_ESCAPE * _PART]
        blots = self._blots(text)
        shown = _shown(text[:_MAX_READ], blots[:_MAX_READ])
        return escaped(" ".join(shown.split()))[:_MAX_TEXT]

    def number(self, number: float) -> float | str:
        """Return a number, or `MASK` for one that shows a secret."""
        shown = str(number)
        is_secret = abs(number) in self._numbers or self.text(shown) != shown
        return MASK if is_secret else number

    def value(self, value: Any, levels: int = _MAX_LEVELS) -> Any:
        """Return a JSON value with every secret hidden, in names as well; not what lies deeper."""
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
        """Hide secrets in all that a plugin's error holds; drop what it was raised from."""
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
        """Return for each character whether it is hidden."""
        blots = bytearray(len(text))
        if self._words or self._least:
            with importing:  # a millisecond, for text of a server that failed
                from keyturn._common.encodings import views

            for view in views(text, self._least):
                found = [*self._found(view)]
                starts, ends = view.places() if found else ((), ())
                for start, end in found:
                    first, last = starts[start], ends[end - 1]
                    blots[first:last] = b"\1" * (last - first)
        return blots

    def _found(self, view: View) -> Iterator[tuple[int, int]]:
        """Yield where secrets stand in a string; they may overlap."""
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
        """Yield where matches stand, but those that are only a part of a public word."""
        public = [word.span() for word in re.finditer(_PUBLIC, view.text)]
        for match in matches:
            start, end = match.span(match.re.groups)
            if not any(
                first <= start and end <= last and last - first > end - start
                for first, last in public
            ):
                yield start, end


def _parts(bare: str) -> set[str]:
    """Return a secret, and what it is with `Bearer` before it, or without zeros before it."""
    parts = {bare, bare.strip(), bare.lstrip("0") if bare.isdecimal() else bare}
    scheme, _, rest = bare.partition(" ")
    if scheme.isalpha() and len(rest) >= _PART:
        parts.add(rest)
    return parts - {""}


def _unescaped(bare: str) -> list[str]:
    """Return what decoding makes of a secret that looks as if it had escapes, such as `%25`."""
    if not _ESCAPE_REGEX.search(bare):
        return []
    with importing:
        from keyturn._common.encodings import views

    # A backslash at its end takes what follows with it.
    made = {view.text.rstrip("\\") for view in views(bare, 0)}
    return [*made, *map(_as_bytes, made)]


def _short_forms(bare: str) -> tuple[str, str]:
    return bare, base64.b64encode(bare.encode(errors="replace")).decode().rstrip("=")


def _as_bytes(text: str) -> str:
    return text.encode(errors="surrogatepass").decode("latin-1")


def _shown(text: str, blots: bytearray) -> str:
    if 1 not in blots:
        return text
    groups = itertools.groupby(zip(text, blots, strict=True), operator.itemgetter(1))
    return "".join(
        MASK if is_hidden else "".join(character for character, _ in group)
        for is_hidden, group in groups
    )
