"""The kinds of values that settings and a provider's data have: conversion and JSON Schema."""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from typing import Any, Literal

import attrs

from keyturn._names import did_you_mean
from keyturn._rate_limit import RateLimit
from keyturn._secret import Secret

SCOPE_VALUE_PATTERN = r"[\x21\x23-\x5b\x5d-\x7e]+"
"""One value of a scope (RFC 6749 section 3.3)."""


class WrongValueError(ValueError):
    """A value does not fit; the message says what is needed, and does not show the value."""


def kind_of(annotation: Any) -> tuple[Any, bool]:
    """Split `T | None` into T and whether None is allowed."""
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        kinds = [kind for kind in typing.get_args(annotation) if kind is not types.NoneType]
        return kinds[0], True
    return annotation, False


def convert(value: Any, annotation: Any) -> Any:
    """Return a plain value as its annotation has it, such as a string as a `Secret`.

    Raises:
        WrongValueError: The value does not fit.
    """
    kind, optional = kind_of(annotation)
    if kind is Any or (value is None and optional):
        return value
    origin = typing.get_origin(kind) or kind
    if origin is Literal:
        problem = choice_problem(value, typing.get_args(kind))
    else:
        if origin in _CONVERTERS:
            value = _CONVERTERS[origin](value)
        fits = isinstance(value, origin) and (origin is bool or not isinstance(value, bool))
        problem = None if fits else f"must be {_WANTED[origin]}"
    if problem:
        raise WrongValueError(problem)
    return value


def choice_problem(value: Any, choices: Collection[str]) -> str | None:
    """Return what is wrong with a value that must be one of several, or None."""
    if isinstance(value, str) and value in choices:
        return None
    question = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"must be one of {', '.join(choices)}.{question}"


def _fields_of(cls: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    return attrs.fields_dict(attrs.resolve_types(cls))


fields_of: Callable[[Any], dict[str, attrs.Attribute[Any]]] = functools.cache(_fields_of)
"""Returns the fields of a settings class by their names, each with its resolved type."""


def json_schema(cls: type[Any], title: str) -> dict[str, Any]:
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
    return field.name in {"token_url", "api_url"} and field.default is not attrs.NOTHING


def _field_schema(field: attrs.Attribute[Any]) -> dict[str, Any]:
    kind, optional = kind_of(field.type)
    schema: dict[str, Any] = {"title": field.metadata.get("title", field.name)}
    if field.metadata.get("description"):
        schema["description"] = field.metadata["description"]
    if typing.get_origin(kind) is Literal:
        schema |= {"type": "string", "enum": list(typing.get_args(kind))}
    else:
        schema |= _SCHEMAS[typing.get_origin(kind) or kind]
    schema |= field.metadata.get("schema", {})
    for keyword, null in _NULLS.items():
        if optional and keyword in schema:
            listed = schema[keyword] if isinstance(schema[keyword], list) else [schema[keyword]]
            schema[keyword] = [*listed, null]
    default = field.default
    if isinstance(default, (str, int)) or (isinstance(default, float) and math.isfinite(default)):
        schema["default"] = default
    return schema


def _float(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) < 1 << 53 else value


def _strings(value: Any) -> Any:
    values = value.split() if isinstance(value, str) else value
    is_list = isinstance(values, (list, tuple)) and all(isinstance(each, str) for each in values)
    return tuple(values) if is_list else None


def _table(value: Any) -> Any:
    if isinstance(value, Mapping) and all(isinstance(each, str) for each in chain(*value.items())):
        return types.MappingProxyType(dict(value))
    return None


def _rate_limit(value: Any) -> Any:
    is_table = isinstance(value, Mapping) and set(value) == {"per_minute", "burst"}
    return RateLimit(**value) if is_table else value


_NULLS: dict[str, Any] = {"enum": None, "type": "null", "anyOf": {"type": "null"}}
_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    Secret: lambda value: Secret(value) if isinstance(value, str) else value,
    float: _float,
    tuple: _strings,
    Mapping: _table,
    RateLimit: _rate_limit,
}
_WANTED = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    Secret: "a string",
    tuple: "a string or a list of strings",
    Mapping: 'a table of strings, such as { audience = "…" }',
    RateLimit: "a table with per_minute and burst",
}
_SCHEMAS: dict[Any, Mapping[str, Any]] = {
    str: {"type": "string", "minLength": 1},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Secret: {"type": "string", "writeOnly": True, "minLength": 1},
    tuple: {
        "anyOf": [
            {
                "type": "string",
                "pattern": rf"^\s*{SCOPE_VALUE_PATTERN}(\s+{SCOPE_VALUE_PATTERN})*\s*$",
            },
            {
                "type": "array",
                "items": {"type": "string", "pattern": f"^{SCOPE_VALUE_PATTERN}$"},
                "minItems": 1,
            },
        ]
    },
    Mapping: {"type": "object", "additionalProperties": {"type": "string"}},
}
