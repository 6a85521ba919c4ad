"""Parsing of the values in a configuration, according to their JSON Schemas."""

from __future__ import annotations

import contextlib
import functools
import json
from typing import TYPE_CHECKING, Any

from keyturn._providers.fields import PEM_TYPE
from keyturn._providers.schema import json_schema
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._config.references import RawSetting
    from keyturn._providers.settings import Settings


def may_refer(schema: Mapping[str, Any]) -> bool:
    """Return whether a setting of that JSON Schema may refer to a secret."""
    return bool(schema.get("writeOnly")) or schema.get("contentMediaType") == PEM_TYPE


def plain(raw: RawSetting, schema: Mapping[str, Any]) -> Any:
    """Return a setting's value as a provider reads it; a secret is wrapped."""
    if schema.get("writeOnly") and isinstance(raw.value, str):
        return Secret(raw.value)
    return parse(raw.value, schema) if raw.from_environment else raw.value


def parse(value: str, schema: Mapping[str, Any]) -> Any:
    """Return the value that a string has in a setting of that JSON Schema, or else the string."""
    types = schema.get("type", ())
    if not {"object", "integer", "number", "boolean"}.isdisjoint(
        [types] if isinstance(types, str) else types
    ):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value if "object" in types else value.lower())
    return value


def schemas_of(*kinds: type[Settings]) -> dict[str, Any]:
    """Return the JSON Schemas of the settings of classes, by their names."""
    return _schemas_of(kinds)


@functools.lru_cache(maxsize=64)  # a file may have thousands of connections to one provider
def _schemas_of(kinds: tuple[type[Settings], ...]) -> dict[str, Any]:
    return {
        setting: schema
        for kind in kinds
        for setting, schema in json_schema(kind, "")["properties"].items()
    }
