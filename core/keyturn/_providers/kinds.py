"""Values of settings and of a provider's data: their types, and conversion to them."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from keyturn._common.names import did_you_mean
from keyturn._providers.numerals import numeral_pattern
from keyturn._rate_limit import RateLimit, parse_rate_limit
from keyturn._secret import Secret

# Stands for no default; its type is Any for type checkers.
REQUIRED: Any = attrs.NOTHING
# The type of a table whose values may be whatever JSON has.
JSON_TABLE: Any = Mapping[str, Any]
_MAX_LEVELS = 16
# Booleans as HTML forms send them: a checkbox is "on", or is not sent.
BOOLEANS = {"true": True, "on": True, "false": False}


class WrongValueError(ValueError):
    """A value does not fit; the message says what is needed, and does not show the value."""


def _kind_of(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in {Union, UnionType}:
        return annotation, False
    kinds = get_args(annotation)
    # Of `int | frozenset[int]`, which takes one or several, it is the last.
    return [kind for kind in kinds if kind is not NoneType][-1], NoneType in kinds


# Returns the type that values are converted to, and whether None is allowed.
kind_of: Callable[[Any], tuple[Any, bool]] = functools.lru_cache(maxsize=1024)(_kind_of)


@functools.lru_cache(maxsize=1024)
def _parts_of(annotation: Any) -> tuple[Any, Any, bool, bool]:
    """Return the type, what it is checked as, and whether it may be None or a single integer."""
    kind, optional = kind_of(annotation)
    return kind, get_origin(kind) or kind, optional, int in get_args(annotation)


def convert(value: Any, annotation: Any) -> Any:
    """Return a plain value converted to its annotation, such as a string to a `Secret`.

    Raises:
        WrongValueError: The value does not fit.
    """
    kind, origin, optional, has_one = _parts_of(annotation)
    is_one = has_one and type(value) is int  # of `int | frozenset[int]`
    if kind is Any or (value is None and optional) or is_one:
        return value
    known = JSON_TABLE if kind == JSON_TABLE else origin
    if known in _CONVERTERS:
        value = _CONVERTERS[known](value)
    if origin is Literal:
        problem = choice_problem(value, get_args(kind))
    else:
        fits = isinstance(value, origin) and (origin is bool or not isinstance(value, bool))
        problem = None if fits else f"must be {_WANTED[known]}"
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
    # What a class inherits has been resolved for its base: to compile it again takes long.
    if any(isinstance(each.type, str) for each in attrs.fields(cls)):
        attrs.resolve_types(cls)
    return attrs.fields_dict(cls)


# Returns the fields of a settings class by their names, each with its resolved type.
fields_of: Callable[[Any], dict[str, attrs.Attribute[Any]]] = functools.cache(_fields_of)


def from_form(value: Any, field: attrs.Attribute[Any]) -> Any:
    """Return the value that a string of an HTML form means; such a form sends only strings.

    Args:
        value: A plain value; a value that is not a string is returned unchanged.
        field: The setting. One that is left blank has its default, unless it may be empty.
    """
    if not isinstance(value, str):
        return value
    kind, _ = kind_of(field.type)
    if not value:
        return value if keeps_blank(field) else field.default
    if kind is bool:
        return BOOLEANS.get(value, value)
    if kind in {int, float}:
        # A string with a number out of bounds is reported like that number.
        pattern = numeral_pattern(kind, declared_schema(field)) and numeral_pattern(kind, {})
        is_number = pattern and re.fullmatch(pattern, value)
        return kind(value) if is_number else value
    return value


def declared_schema(field: attrs.Attribute[Any]) -> Mapping[str, Any]:
    """Return the JSON Schema keywords that a setting is declared with."""
    schema: Mapping[str, Any] = field.metadata.get("schema", {})
    return schema


def keeps_blank(field: attrs.Attribute[Any]) -> bool:
    """Return whether a setting distinguishes an empty string from no value."""
    kind, _ = kind_of(field.type)
    check = field.metadata.get("check")
    may_be_empty = kind is str and check is not None and check("") is None
    return may_be_empty or get_origin(kind) in {Mapping, frozenset}  # no form sends one


def _integer(value: Any) -> Any:
    # JSON Schema has 1.0 among the integers.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _float(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) < 1 << 1000 else value


def _strings(value: Any) -> Any:
    # `str.split` knows more spaces than JSON Schema.
    values = re.findall(r"[^ \t\r\n]+", value) if isinstance(value, str) else value
    is_list = isinstance(values, (list, tuple)) and all(isinstance(each, str) for each in values)
    return tuple(values) if is_list else None


def _integers(value: Any) -> Any:
    values = [_integer(each) for each in (value if isinstance(value, _SEVERAL) else [value])]
    return frozenset(values) if all(type(each) is int for each in values) else None


def _table(value: Any) -> Any:
    if isinstance(value, Mapping) and all(isinstance(each, str) for each in chain(*value.items())):
        return MappingProxyType(dict(value))
    return None


def _json_table(value: Any) -> Any:
    return MappingProxyType(dict(value)) if isinstance(value, Mapping) and _is_json(value) else None


def _is_json(value: Any, levels: int = _MAX_LEVELS) -> bool:
    """Return whether a value can be sent as JSON; null can't, which TOML does not have."""
    if isinstance(value, Mapping):
        names_fit = all(isinstance(each, str) for each in value)
        return names_fit and levels > 0 and all(_is_json(v, levels - 1) for v in value.values())
    if isinstance(value, (list, tuple)):
        return levels > 0 and all(_is_json(each, levels - 1) for each in value)
    return isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def _rate_limit(value: Any) -> Any:
    if isinstance(value, str):
        return parse_rate_limit(value) or value
    is_table = isinstance(value, Mapping) and set(value) == {"per_minute", "burst"}
    return RateLimit(**value) if is_table else value


_SEVERAL = (list, tuple, set, frozenset)
_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    Secret: lambda value: Secret(value) if isinstance(value, str) else value,
    int: _integer,
    float: _float,
    tuple: _strings,
    frozenset: _integers,
    Mapping: _table,
    JSON_TABLE: _json_table,
    RateLimit: _rate_limit,
}
_WANTED = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    Secret: "a string",
    tuple: "a string or a list of strings",
    frozenset: "an integer or a list of integers",
    Mapping: 'a table of strings, such as { audience = "…" }',
    RateLimit: 'a rate limit such as "3/min burst 20", or a table with per_minute and burst',
    JSON_TABLE: (
        "a table of strings, numbers, booleans, lists and tables, such as "
        '{ audience = "…", days = 7 }'
    ),
}
