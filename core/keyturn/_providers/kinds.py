"""Values of settings and of a provider's data: conversion, JSON Schema, and checks.

A check returns what is wrong with a value of the right type, or None; None itself is not checked.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from keyturn._http.response import is_code
from keyturn._http.urls import url_problem
from keyturn._names import did_you_mean
from keyturn._rate_limit import RateLimit
from keyturn._secret import Secret

Check = Callable[[Any], str | None]

# The default of what has none; of any type for type checkers.
REQUIRED: Any = attrs.NOTHING
# One value of a scope (RFC 6749 section 3.3).
SCOPE_VALUE_PATTERN = r"[\x21\x23-\x5b\x5d-\x7e]+"


class WrongValueError(ValueError):
    """A value does not fit; the message says what is needed, and does not show the value."""


def kind_of(annotation: Any) -> tuple[Any, bool]:
    """Split `T | None` into T and whether None is allowed."""
    if get_origin(annotation) not in {Union, UnionType}:
        return annotation, False
    return next(kind for kind in get_args(annotation) if kind is not NoneType), True


def convert(value: Any, annotation: Any) -> Any:
    """Return a plain value as its annotation has it, such as a string as a `Secret`.

    Raises:
        WrongValueError: The value does not fit.
    """
    kind, optional = kind_of(annotation)
    if kind is Any or (value is None and optional):
        return value
    origin = get_origin(kind) or kind
    if origin in _CONVERTERS:
        value = _CONVERTERS[origin](value)
    if origin is Literal:
        problem = choice_problem(value, get_args(kind))
    else:
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


# Returns the fields of a settings class by their names, each with its resolved type.
fields_of: Callable[[Any], dict[str, attrs.Attribute[Any]]] = functools.cache(_fields_of)


def json_schema(cls: type[Any], title: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a settings class; secrets are marked `writeOnly`."""
    # The addresses come last where they are seldom set.
    fields = sorted(
        fields_of(cls).values(),
        key=lambda field: field.name in {"token_url", "api_url"} and field.default is not REQUIRED,
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": {field.name: _field_schema(field) for field in fields},
        "required": [field.name for field in fields if field.default is REQUIRED],
        "additionalProperties": False,
    }


def _field_schema(field: attrs.Attribute[Any]) -> dict[str, Any]:
    kind, optional = kind_of(field.type)
    schema: dict[str, Any] = {"title": field.metadata.get("title", field.name)}
    if field.metadata.get("description"):
        schema["description"] = field.metadata["description"]
    schema |= _SCHEMAS[get_origin(kind) or kind]
    if get_origin(kind) is Literal:
        schema["enum"] = list(get_args(kind))
    schema |= field.metadata.get("schema", {})
    for keyword, null in _NULLS.items():
        if optional and keyword in schema:
            listed = schema[keyword] if isinstance(schema[keyword], list) else [schema[keyword]]
            schema[keyword] = [*listed, null]
    if isinstance(field.default, (str, int, float)) and field.default != float("inf"):
        schema["default"] = field.default
    return schema


def _float(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) < 1 << 53 else value


def _strings(value: Any) -> Any:
    values = value.split() if isinstance(value, str) else value
    is_list = isinstance(values, (list, tuple)) and all(isinstance(each, str) for each in values)
    return tuple(values) if is_list else None


def _table(value: Any) -> Any:
    if isinstance(value, Mapping) and all(isinstance(each, str) for each in chain(*value.items())):
        return MappingProxyType(dict(value))
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
    Literal: {"type": "string"},
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


# What frames or routes a request is its sender's alone (RFC 9110 sections 7.2 and 8.6, RFC 9112).
_FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def check(is_right: Callable[[Any], object], problem: str) -> Check:
    """Return a check that reports `problem` for each value that is not right."""
    return lambda value: None if is_right(value) else problem


def matches(pattern: str, problem: str) -> Check:
    """Return a check that reports `problem` for each string without the pattern."""
    # `re` compiles it when it is first needed.
    return lambda value: None if re.fullmatch(pattern, value) else problem


def each(rule: Check) -> Check:
    """Return a check of several strings by a rule for one; it names the first that is wrong."""
    return lambda values: next((f"{each!r} {rule(each)}" for each in values if rule(each)), None)


def _is_one_line(value: str | Secret) -> bool:
    line = value.reveal() if isinstance(value, Secret) else value
    return bool(line) and line == line.strip() and line.isprintable()


_PATH = r"[^.\s]+(?:\.[^.\s]+)*"
required = check(bool, "must not be empty")
path = matches(_PATH, "must be a path such as data.token")
optional_path = matches(f"(?:{_PATH})?", "must be a path such as data.token")
positive = check(lambda number: number > 0, "must be above 0")
one_line = check(_is_one_line, "must be one line, without spaces around it")
scope = check(
    lambda values: values and all(re.fullmatch(SCOPE_VALUE_PATTERN, each) for each in values),
    "must have one or more scope values of visible ASCII characters (RFC 6749 section 3.3)",
)
private_key = check(
    lambda key: re.match(r"\s*-----BEGIN (?s:.*)PRIVATE KEY-----", key.reveal()),
    "must be a private key as PEM, from -----BEGIN to the last line",
)


def address(template: str) -> str | None:
    """Check the template of an address for what no setting can correct."""
    # A setting that an address begins with is a whole address; any other is a part of a name.
    sample = re.sub(r"^\{[^{}]*\}", "https://a.example", template)
    return url_problem(re.sub(r"\{[^{}]*\}", "a", sample)) if template else None


def header_name(name: str) -> str | None:
    """Check that a string can be the name of a header."""
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        return "must be the name of a header"
    return "is set by the HTTP client" if name.lower() in _FRAMING else None


def headers(values: Mapping[str, str]) -> str | None:
    """Check that names and values can be headers."""
    for name, value in values.items():
        if not (value.isprintable() and value.isascii()):
            return f"the value of {name!r} must have visible ASCII characters and spaces only"
    if len({name.lower() for name in values}) < len(values):
        return "has a header twice: the case of a name makes no difference"
    return each(header_name)(values)


def codes(values: Mapping[str, str]) -> str | None:
    """Check that the values of a table are OAuth error codes."""
    return each(check(is_code, "is no error code of RFC 6749 section 5.2"))(values.values())
