"""The keywords of JSON Schema that settings use; the kit needs no further library for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": Mapping,
    "null": type(None),
}


def accepts(schema: Mapping[str, Any], value: Any) -> bool:
    """Return whether a schema accepts a value; a keyword that settings don't use is ignored."""
    types = schema.get("type", list(_TYPES))
    if not any(_is(kind, value) for kind in ([types] if isinstance(types, str) else types)):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str):
        longest = schema.get("maxLength", len(value))
        is_long_enough = schema.get("minLength", 0) <= len(value) <= longest
        return is_long_enough and bool(re.search(schema.get("pattern", ""), value))
    if isinstance(value, list):
        items = schema.get("items", {})
        return len(value) >= schema.get("minItems", 0) and all(
            accepts(items, each) for each in value
        )
    return not isinstance(value, (int, float)) or _is_within(schema, value)


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    is_integral = kind == "integer" and isinstance(value, float) and value.is_integer()
    return is_integral or isinstance(value, _TYPES[kind])


def _is_within(schema: Mapping[str, Any], value: float) -> bool:
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and (step is None or value % step == 0)
    )
