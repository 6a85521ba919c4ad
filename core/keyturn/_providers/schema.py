"""The JSON Schema (2020-12) of settings classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from keyturn._providers.kinds import json_schema_of, kind_of
from keyturn._providers.settings import Settings, fields_of

if TYPE_CHECKING:
    from keyturn._providers.settings import Record


def json_schema(cls: type[Record], title: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a settings class; secrets are marked `writeOnly`."""
    fields = sorted(fields_of(cls).values(), key=_is_seldom_set)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": {field.name: _field_schema(field) for field in fields},
        "required": [field.name for field in fields if field.default is attrs.NOTHING],
        "additionalProperties": False,
    }


def _is_seldom_set(field: attrs.Attribute[Any]) -> bool:
    return field.name in fields_of(Settings) and field.default is not attrs.NOTHING


def _field_schema(field: attrs.Attribute[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": field.metadata.get("title", field.name)}
    if field.metadata.get("description"):
        schema["description"] = field.metadata["description"]
    kind, optional = kind_of(field.type)
    schema |= json_schema_of(kind) | dict(field.metadata.get("schema", {}))
    if optional and "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    if optional and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if optional and "anyOf" in schema:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    default = field.default
    if isinstance(default, (str, int)) or (isinstance(default, float) and math.isfinite(default)):
        schema["default"] = default
    return schema
