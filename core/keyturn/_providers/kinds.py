"""The kinds of values that settings and a provider's data have: conversion and JSON Schema."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, Literal

from keyturn._names import did_you_mean
from keyturn._rate_limit import RateLimit
from keyturn._secret import Secret

SCOPE_VALUE_PATTERN = r"[\x21\x23-\x5b\x5d-\x7e]+"
"""One value of a scope (RFC 6749 section 3.3)."""


class WrongValueError(ValueError):
    """A value does not fit; the text says what is needed, and does not show the value."""


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
    if typing.get_origin(kind) is Literal:
        return _one_of(value, typing.get_args(kind))
    origin = typing.get_origin(kind) or kind
    if origin in _CONVERTERS:
        value = _CONVERTERS[origin](value)
    if isinstance(value, origin) and not (isinstance(value, bool) and origin is not bool):
        return value
    raise WrongValueError(f"must be {_WANTED[origin]}")


def json_schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of the values of a kind, without a title."""
    origin = typing.get_origin(kind) or kind
    if origin is Literal:
        return {"type": "string", "enum": list(typing.get_args(kind))}
    return dict(_SCHEMAS[origin])


def _one_of(value: Any, known: tuple[str, ...]) -> Any:
    if value in known:
        return value
    question = did_you_mean(value, known) if isinstance(value, str) else ""
    raise WrongValueError(f"must be one of {', '.join(known)}.{question}")


def _float(value: Any) -> Any:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_integer and abs(value) < 1 << 53 else value


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
