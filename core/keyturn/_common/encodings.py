"""Decoding of the escapes, Base64 and hexadecimal digits in a string."""

from __future__ import annotations

import base64
import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from keyturn._common.once import library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# How many layers of escapes, and of Base64, are decoded.
_MAX_ESCAPES = 8
_MAX_NESTING = 2

_HEX = "[0-9A-Fa-f]"
_NEXT = f"%[89ABab]{_HEX}"
# Escapes of one character: in URLs (RFC 3986, in UTF-8 or Latin-1), in JSON, Python and
# JavaScript (a pair of surrogates first), in C (octal), and in HTML.
# Compiled at the first use: most processes show no string of a server.
_ESCAPE = (
    rf"(?P<url>%[CDcd]{_HEX}{_NEXT}|%[Ee]{_HEX}(?:{_NEXT}){{2}}|%[Ff][0-7](?:{_NEXT}){{3}}"
    rf"|%{_HEX}{{2}})"
    rf"|(?P<code>\\u[Dd][89ABab]{_HEX}{{2}}\\u[Dd][C-Fc-f]{_HEX}{{2}}|[\\%]u{_HEX}{{4}}"
    rf"|\\x{_HEX}{{2}})"
    r"|\\(?P<octal>[0-3][0-7]{2})|(?P<short>\\[^ux])"
    rf"|&(?:#[0-9]{{1,7}}|#[Xx]{_HEX}{{1,6}}|[A-Za-z][A-Za-z0-9]{{1,31}});"
)
_SHORT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class _Digits(NamedTuple):
    bits: int
    shifts: int  # how far they may be shifted
    separators: str
    run: str  # a regular expression


# Base64 (RFC 4648 sections 4 and 5), which may be split into lines, and hexadecimal.
_DIGITS = (
    _Digits(6, 4, "\r\n", r"[A-Za-z0-9+/_-](?:[\r\n]{0,2}[A-Za-z0-9+/_-]){3,}"),
    _Digits(4, 2, ":. -", rf"{_HEX}(?:[:. -]?{_HEX}){{7,}}"),
)
_URL_SAFE = str.maketrans("-_", "+/")


class View(NamedTuple):
    """A string that was decoded from another.

    Args:
        text: The string.
        is_text: Whether only escapes were decoded; else each character is a byte, maybe of no text.
        places: Returns where the encoding of each of its characters begins and ends.
    """

    text: str
    is_text: bool
    places: Callable[[], tuple[Sequence[int], Sequence[int]]]


def views(text: str, least: int) -> Iterator[View]:
    """Yield a string unchanged, and each string that decoding makes of it.

    Args:
        text: The string.
        least: The bytes that a run of Base64 or hexadecimal digits must have to be decoded; with 0
            only escapes are decoded.
    """
    length = len(text)
    whole = View(text, is_text=True, places=lambda: (range(length), range(1, length + 1)))
    yield from _views(whole, least, _MAX_NESTING if least else 0)


def _views(view: View, least: int, nesting: int) -> Iterator[View]:
    yield view
    for _ in range(_MAX_ESCAPES):
        plain = _unescaped(view)
        if plain.text == view.text:
            break
        view = plain
        yield view
    if nesting:
        for kind in _DIGITS:
            found = (match.span() for match in re.finditer(kind.run, view.text))
            runs = [(start, end) for start, end in found if (end - start) * kind.bits >= least * 8]
            for shift in range(kind.shifts) if runs else ():
                decoded = _decoded(view, runs, kind, shift, least)
                if decoded.text:
                    yield from _views(decoded, least, nesting - 1)


def _unescaped(view: View) -> View:
    """Return a view with one layer of its escapes decoded."""

    @functools.cache
    def places() -> tuple[list[int], list[int]]:
        earlier_starts, earlier_ends = view.places()
        starts, ends = list[int](), list[int]()
        at = 0
        for match in re.finditer(_ESCAPE, view.text):
            begin, end = match.span()
            length = len(_unescape(match))
            starts += [*earlier_starts[at:begin], *[earlier_starts[begin]] * length]
            ends += [*earlier_ends[at:begin], *[earlier_ends[end - 1]] * length]
            at = end
        return [*starts, *earlier_starts[at:]], [*ends, *earlier_ends[at:]]

    return View(re.sub(_ESCAPE, _unescape, view.text), view.is_text, places)


def _unescape(match: re.Match[str]) -> str:
    escape = match[0]
    if match["url"]:
        data = bytes.fromhex(escape.replace("%", ""))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    if match["code"]:
        digits = re.split(r"[\\%][ux]", escape)[1:]
        units = "".join(chr(int(each, 16)) for each in digits)
        return units.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if match["octal"]:
        return chr(int(match["octal"], 8))
    if match["short"]:
        return _SHORT_ESCAPES.get(escape[1], escape[1])
    # 15 ms to import, for the response of a server that failed.
    unescaped: str = library("html").unescape(escape)
    return unescaped


def _decoded(
    view: View, runs: list[tuple[int, int]], kind: _Digits, shift: int, least: int
) -> View:
    """Return the bytes of all runs, without NULs (of UTF-16), a line for each run."""
    bits, _, separators, _ = kind
    removed = dict.fromkeys(map(ord, separators))
    lines = list[tuple[int, int, bytes]]()
    for start, end in runs:
        digits = view.text[start:end].translate(removed)[shift:]
        if len(digits) * bits >= least * 8:
            lines.append((start, end, _bytes(digits, bits)))

    @functools.cache
    def places() -> tuple[list[int], list[int]]:
        earlier_starts, earlier_ends = view.places()
        starts, ends = list[int](), list[int]()
        for start, end, data in lines:
            at = [each for each in range(start, end) if view.text[each] not in separators][shift:]
            for number, byte in enumerate(data):
                if byte:
                    starts.append(earlier_starts[at[8 * number // bits]])
                    ends.append(earlier_ends[at[(8 * number + 7) // bits]])
            starts.append(earlier_starts[start])
            ends.append(earlier_starts[start])
        return starts, ends

    text = b"".join(data.replace(b"\0", b"") + b"\n" for _, _, data in lines)
    return View(text.decode("latin-1"), is_text=False, places=places)


def _bytes(digits: str, bits: int) -> bytes:
    """Return the whole bytes that digits encode."""
    whole = len(digits) * bits // 8
    if bits == 4:
        return bytes.fromhex(digits[: 2 * whole])
    digits = digits[: -(-whole * 8 // 6)].translate(_URL_SAFE)
    return base64.b64decode(digits + "=" * (-len(digits) % 4))
