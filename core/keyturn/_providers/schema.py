"""The JSON Schema (2020-12) of settings classes."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from keyturn._secret import Secret

SCOPE_VALUE_REGEX = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""One value of a scope (RFC 6749 section 3.3)."""
# They come last.
_SELDOM_SET = ("token_url", "api_url")


def json_schema(cls: type[attrs.AttrsInstance], title: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a settings class; secrets are marked `writeOnly`."""
    fields = sorted(attrs.fields(attrs.resolve_types(cls)), key=_is_seldom_set)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": {field.name: _field_schema(field) for field in fields},
        "required": [field.name for field in fields if field.default is attrs.NOTHING],
        "additionalProperties": False,
    }


def _is_seldom_set(field: attrs.Attribute[Any]) -> bool:
    return field.name in _SELDOM_SET and field.default is not attrs.NOTHING


def _field_schema(field: attrs.Attribute[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": field.metadata.get("title", field.name)}
    if field.metadata.get("description"):
        schema["description"] = field.metadata["description"]
    kind, optional = kind_of(field.type)
    schema |= _kind_schema(kind) | dict(field.metadata.get("schema", {}))
    if optional and "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    if optional and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if optional and "anyOf" in schema:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    if isinstance(field.default, (str, int, float)):
        schema["default"] = field.default
    return schema


def _kind_schema(kind: Any) -> dict[str, Any]:
    if typing.get_origin(kind) is Literal:
        return {"type": "string", "enum": list(typing.get_args(kind))}
    if kind is Secret:
        return {"type": "string", "writeOnly": True, "minLength": 1}
    if typing.get_origin(kind) is tuple:
        one = SCOPE_VALUE_REGEX.pattern
        text = {"type": "string", "pattern": rf"^\s*{one}(\s+{one})*\s*$"}
        items = {"type": "string", "pattern": f"^{one}$"}
        return {"anyOf": [text, {"type": "array", "items": items, "minItems": 1}]}
    if typing.get_origin(kind) is Mapping:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if kind is str:
        return {"type": "string", "minLength": 1}
    return {"type": {int: "integer", float: "number", bool: "boolean"}[kind]}


def kind_of(annotation: Any) -> tuple[Any, bool]:
    """Split `T | None` into T and whether None is allowed."""
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0], True
    return annotation, False
