"""Strings that match a pattern of a JSON Schema, for settings that the kit generates."""

from __future__ import annotations

import functools
import re
import string
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Preferred ones come first.
_CHARACTERS = f"{string.ascii_lowercase}{string.digits}{string.ascii_uppercase}{string.punctuation}"
# A secret of this length does not occur in other strings by chance.
_USUAL_LENGTH = 12
_MOST = 64
_NUMBER = 4
# Strings that begin so far apart have nothing in common.
_DISTANCE = 1009
_GROUP_REGEX = re.compile(r"\((?:\?(?:P<\w+>|:|(=|!|<=|<!)))?")
_CHARACTER_REGEX = re.compile(r"\[\^?\]?(?:\\[\s\S]|[^\]\\])*\]|\\(?:x\w{2}|u\w{4}|[\s\S])|[\s\S]")
_REPEATED_REGEX = re.compile(r"(?:\{(\d+)(,?)(\d*)\}|([*+?]))\??")
_BOUNDS = {"*": (0, _MOST), "+": (1, _MOST), "?": (0, 1)}


def matching(pattern: str) -> Iterator[str]:
    """Yield a few different strings that match a pattern; none if it is too unusual.

    Args:
        pattern: A valid regular expression, as in JSON Schema: it is searched for.
    """
    # Of several rules, each is an assertion: (?=…)(?=…).
    starts = [0, *(found.end() for found in re.finditer(r"\(\?=", pattern))]
    made = (
        _alternative(pattern, at, seed * _DISTANCE)[0] for seed in range(_NUMBER) for at in starts
    )
    yield from dict.fromkeys(each for each in made if each and re.search(pattern, each))


def _alternative(pattern: str, at: int, seed: int) -> tuple[str, int]:
    """Return a string for one of the alternatives that begin here, and where they end."""
    made = [""]
    while at < len(pattern) and pattern[at] != ")":
        if pattern[at] == "|":
            made.append("")
            at += 1
            continue
        is_group, make, end = _part(pattern, at)
        repeated = _REPEATED_REGEX.match(pattern, end)
        count = _count(repeated, 1 if is_group else _USUAL_LENGTH) if repeated else 1
        first = seed + len(made[-1])
        made[-1] += "".join(make(first + number) for number in range(count))
        at = repeated.end() if repeated else end
    return made[seed % len(made)], at


def _part(pattern: str, at: int) -> tuple[bool, Callable[[int], str], int]:
    """Return whether a group begins here, a function that makes strings for it, and its end."""
    group = _GROUP_REGEX.match(pattern, at)
    if group is None:
        written = next(_CHARACTER_REGEX.finditer(pattern, at))[0]
        return False, lambda seed: _character(written, seed), at + len(written)
    inside = group.end()
    end = _alternative(pattern, inside, 0)[1] + 1
    if group[1]:  # an assertion, which is no part of the string
        return True, lambda _: "", end
    return True, lambda seed: _alternative(pattern, inside, seed)[0], end


def _character(written: str, seed: int) -> str:
    """Return a character for a class, an escape or a literal; empty for an anchor."""
    allowed = _allowed(written)
    return allowed[zlib.crc32(str(seed).encode()) % len(allowed)] if allowed else ""


@functools.lru_cache(maxsize=256)
def _allowed(written: str) -> str:
    try:
        return "".join(each for each in _CHARACTERS if re.fullmatch(written, each))
    except re.error:  # a reference to a group
        return ""


def _count(repeated: re.Match[str], usual: int) -> int:
    """Return how often to repeat what has a quantifier."""
    least, comma, most, sign = repeated.groups()
    fewest, largest = (
        _BOUNDS[sign] if sign else (int(least), int(most or _MOST) if comma else int(least))
    )
    return min(max(fewest, usual), largest, _MOST)
