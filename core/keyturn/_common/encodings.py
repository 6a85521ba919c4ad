"""What a string becomes when its escapes, Base64 and hexadecimal digits are decoded."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Escapes of escapes that are decoded, and Base64 within Base64.
_MAX_ESCAPES = 8
_MAX_NESTING = 2

_HEX = "[0-9A-Fa-f]"
_NEXT = f"%[89ABab]{_HEX}"
# One character each: of URLs (RFC 3986, in UTF-8 or Latin-1), of JSON, Python and JavaScript (a
# pair of surrogates first), and of HTML.
# Compiled when first used: most processes show no text of a server.
_ESCAPE = (
    rf"(?P<url>%[CDcd]{_HEX}{_NEXT}|%[Ee]{_HEX}(?:{_NEXT}){{2}}|%[Ff][0-7](?:{_NEXT}){{3}}"
    rf"|%{_HEX}{{2}})"
    rf"|(?P<code>\\u[Dd][89ABab]{_HEX}{{2}}\\u[Dd][C-Fc-f]{_HEX}{{2}}|[\\%]u{_HEX}{{4}}"
    rf"|\\x{_HEX}{{2}})"
    r"|(?P<short>\\[^ux])"
    rf"|&(?:#[0-9]{{1,7}}|#[Xx]{_HEX}{{1,6}}|[A-Za-z][A-Za-z0-9]{{1,31}});"
)
_SHORT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# Bits of a digit, how far it may be shifted, what may separate digits, and runs of them: Base64
# (RFC 4648 sections 4 and 5), which may be broken into lines, and hexadecimal.
_RUNS = (
    (6, 4, "\r\n", r"[A-Za-z0-9+/_-](?:[\r\n]{0,2}[A-Za-z0-9+/_-]){3,}"),
    (4, 2, ":. -", rf"{_HEX}(?:[:. -]?{_HEX}){{7,}}"),
)
_URL_SAFE = str.maketrans("-_", "+/")


class View(NamedTuple):
    """A string that was decoded from another.

    Args:
        text: The string.
        starts: For each of its characters, where its encoding begins.
        ends: For each of its characters, where its encoding ends.
        is_text: Whether only escapes were decoded; else it may be noise, each byte a character.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    is_text: bool


def views(text: str, least: int) -> Iterator[View]:
    """Yield a string as it is, and as its decodings have it.

    Args:
        text: The string.
        least: The bytes that a run of Base64 or hexadecimal digits must have to be decoded; with 0
            only escapes are decoded.
    """
    whole = View(text, range(len(text)), range(1, len(text) + 1), is_text=True)
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
        for bits, shifts, separators, pattern in _RUNS:
            runs = _runs(view.text, -(-least * 8 // bits), separators, pattern)
            for shift in range(shifts) if runs else ():
                decoded = _decoded(view, runs, bits, shift, least)
                if decoded.text:
                    yield from _views(decoded, least, nesting - 1)


def _unescaped(view: View) -> View:
    """Return a view with one layer of its escapes decoded."""
    text, starts, ends = [], [], []
    at = 0
    for match in re.finditer(_ESCAPE, view.text):
        begin, end = match.span()
        plain = _unescape(match)
        text += [view.text[at:begin], plain]
        starts += [*view.starts[at:begin], *[view.starts[begin]] * len(plain)]
        ends += [*view.ends[at:begin], *[view.ends[end - 1]] * len(plain)]
        at = end
    if not at:
        return view
    return View(
        "".join([*text, view.text[at:]]),
        [*starts, *view.starts[at:]],
        [*ends, *view.ends[at:]],
        view.is_text,
    )


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
    if match["short"]:
        return _SHORT_ESCAPES.get(escape[1], escape[1])
    import html  # 15 ms, for text of a server that failed

    return html.unescape(escape)


def _runs(text: str, least: int, separators: str, pattern: str) -> list[list[int]]:
    """Return where the digits of each run stand that has as many as `least`."""
    runs = []
    for match in re.finditer(pattern, text):
        start, end = match.span()
        if end - start >= least:
            runs.append([each for each in range(start, end) if text[each] not in separators])
    return runs


def _decoded(view: View, runs: list[list[int]], bits: int, shift: int, least: int) -> View:
    """Return the bytes of all runs, without NULs (UTF-16 has them), a line for each run."""
    text, starts, ends = list[str](), list[int](), list[int]()
    for places in runs:
        if (len(places) - shift) * bits < least * 8:
            continue
        digits = "".join(view.text[each] for each in places[shift:])
        for number, byte in enumerate(_bytes(digits, bits)):
            if byte:
                text.append(chr(byte))
                starts.append(view.starts[places[shift + 8 * number // bits]])
                ends.append(view.ends[places[shift + (8 * number + 7) // bits]])
        text.append("\n")
        starts.append(view.starts[places[0]])
        ends.append(view.starts[places[0]])
    return View("".join(text), starts, ends, is_text=False)


def _bytes(digits: str, bits: int) -> bytes:
    """Return the whole bytes that digits stand for."""
    whole = len(digits) * bits // 8
    if bits == 4:
        return bytes.fromhex(digits[: 2 * whole])
    digits = digits[: -(-whole * 8 // 6)].translate(_URL_SAFE)
    return base64.b64decode(digits + "=" * (-len(digits) % 4))
