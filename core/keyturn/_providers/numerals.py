"""Regular expressions for the bounds of numbers that HTML forms send as strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Below this, each integer has its own float.
_MOST = 10**15 - 1
_FRACTION = r"(?:\.[0-9]{1,15})?"


def numeral_pattern(kind: type, schema: Mapping[str, Any]) -> str | None:
    """Return a pattern for the numbers of a JSON Schema, written as strings.

    Args:
        kind: `int` or `float`.
        schema: The keywords that say which numbers are valid.

    Returns:
        None if no pattern is equivalent, such as for `multipleOf`.
    """
    if kind is int and schema.keys() <= {"minimum", "maximum"}:
        return _integers(**schema)
    if kind is float and not schema:
        return f"(?:-(?=[0-9.]*[1-9]))?(?:{_between(0, _MOST)}){_FRACTION}"
    if kind is float and schema == {"exclusiveMinimum": 0}:
        return f"(?=[0-9.]*[1-9])(?:{_between(0, _MOST)}){_FRACTION}"
    if kind is float and set(schema) == {"minimum", "maximum"} and schema["minimum"] >= 0:
        return _decimals(**schema)
    return None


def _integers(minimum: int = -_MOST, maximum: int = _MOST) -> str:
    negative = f"-(?:{_between(max(1, -maximum), -minimum)})" if minimum < 0 else ""
    positive = _between(max(0, minimum), maximum) if maximum >= 0 else ""
    return "|".join(filter(None, (negative, positive)))


def _decimals(minimum: int, maximum: int) -> str:
    return rf"(?:{_between(minimum, maximum - 1)}){_FRACTION}|{maximum}(?:\.0{{1,15}})?"


def _between(least: int, most: int) -> str:
    """Return a pattern for the integers from `least` to `most`, both 0 or more."""
    low, high = str(least), str(most)
    if len(low) == len(high):
        return _same_length(low, high)
    longer = [f"[1-9][0-9]{{{len(low)},{len(high) - 2}}}"] if len(high) - len(low) > 1 else []
    ends = _same_length(low, "9" * len(low)), _same_length("1" + "0" * (len(high) - 1), high)
    return "|".join((ends[0], *longer, ends[1]))


def _same_length(low: str, high: str) -> str:
    """Return a pattern for the numerals between two of the same length."""
    rest = len(low) - 1
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        first = low[0] if low[0] == high[0] else f"[{low[0]}-{high[0]}]"
        return first + (f"[0-9]{{{rest}}}" if rest else "")
    if low[0] == high[0]:
        return f"{low[0]}(?:{_same_length(low[1:], high[1:])})"
    parts = [_same_length(low, low[0] + "9" * rest)]
    if int(high[0]) - int(low[0]) > 1:
        between = str(int(low[0]) + 1) + "0" * rest, str(int(high[0]) - 1) + "9" * rest
        parts.append(_same_length(*between))
    return "|".join((*parts, _same_length(high[0] + "0" * rest, high)))
