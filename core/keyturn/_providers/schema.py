"""JSON Schemas of settings, for forms and editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from keyturn import errors
from keyturn._providers.checks import anchored, one_line, schema_of, scope
from keyturn._providers.kinds import (
    BOOLEANS,
    JSON_TABLE,
    REQUIRED,
    choice_problem,
    declared_schema,
    fields_of,
    keeps_blank,
    kind_of,
)
from keyturn._providers.numerals import numeral_pattern
from keyturn._providers.rules import ABSENT, GIVEN, Presence, holds
from keyturn._secret import Secret

if TYPE_CHECKING:
    import attrs

    from keyturn._providers.rules import Rule

Dialect = Literal["2020-12", "draft-07"]
Style = Literal["airbyte", "singer"]

_ADDRESSES = {"token_url", "api_url", "revocation_url"}
_DIALECTS = {
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft-07": "http://json-schema.org/draft-07/schema#",
}
# The additional mark of a secret.
_SECRET_MARKS = {"airbyte": {"airbyte_secret": True}, "singer": {"secret": True}}
# The type of each kind, and the pattern of the string that a form sends instead.
_TYPES: dict[Any, list[str]] = {
    Literal: ["string"],
    str: ["string"],
    Secret: ["string"],
    int: ["integer", "string"],
    float: ["number", "string"],
    bool: ["boolean", "string"],
    tuple: ["string", "array"],
    frozenset: ["integer", "array"],
    Mapping: ["object"],
}
# The types of their items.
_MEMBERS: dict[Any, dict[str, Any]] = {
    frozenset: {"items": {"type": "integer"}},
    Mapping: {"additionalProperties": {"type": "string"}},
}
_ARRAY_KEYWORDS = {"items", "minItems"}


def json_schema(
    cls: type[Any], title: str, *, dialect: str = "2020-12", style: str | None = None
) -> dict[str, Any]:
    """Return the JSON Schema of a settings class.

    Args:
        cls: The settings class.
        title: The schema's title.
        dialect: The version of JSON Schema.
        style: The platform whose conventions it also follows.

    Raises:
        keyturn.errors.ConfigurationError: There is no such dialect or style.
    """
    wrong = {
        "dialect": choice_problem(dialect, _DIALECTS),
        "style": None if style is None else choice_problem(style, _SECRET_MARKS),
    }
    mistakes = [errors.Problem(name, problem) for name, problem in wrong.items() if problem]
    if mistakes:
        raise errors.ConfigurationError(
            f"the JSON Schema can't be made; {len(mistakes)} mistake(s):", problems=mistakes
        )
    # The addresses come last, as they are seldom set.
    fields = sorted(
        fields_of(cls).values(),
        key=lambda field: field.name in _ADDRESSES and field.default is not REQUIRED,
    )
    properties = {field.name: _field_schema(field, style) for field in fields}
    if style == "airbyte":
        properties = {
            name: {**each, "order": order} for order, (name, each) in enumerate(properties.items())
        }
    schema = {
        "$schema": _DIALECTS[dialect],
        "title": title,
        "type": "object",
        "properties": properties,
        "required": [field.name for field in fields if field.default is REQUIRED],
        # Airbyte adds its own properties.
        "additionalProperties": style == "airbyte",
    }
    # Airbyte forbids `allOf`, `if` and `not` (its connector acceptance tests).
    rules: tuple[Rule, ...] = () if style == "airbyte" else cls.rules
    made = [_rule_schema(rule, fields_of(cls), properties) for rule in rules]
    return schema | ({"allOf": made} if made else {})


def _field_schema(field: attrs.Attribute[Any], style: str | None) -> dict[str, Any]:
    """Return the schema of one setting."""
    kind, optional = kind_of(field.type)
    kind = get_origin(kind) or kind
    schema: dict[str, Any] = {"title": field.metadata.get("title", field.name)}
    if field.metadata.get("description"):
        schema["description"] = field.metadata["description"]
    keywords = _keywords(field, kind)
    types = _TYPES[kind]
    if style == "airbyte":  # it demands a single type
        types = types[:1]
        drop = {"pattern"} if types == ["array"] else _ARRAY_KEYWORDS
        keywords = {name: each for name, each in keywords.items() if name not in drop}
    else:
        types = [*types, "null"] if optional else types
        _allow_blank(keywords, field, is_nullable=optional)
        if kind in {int, float} and "pattern" not in keywords:
            types = [each for each in types if each != "string"]
    schema["type"] = types if len(types) > 1 else types[0]
    schema |= keywords
    if kind is Secret:
        schema |= {"writeOnly": True, "format": "password"} | _SECRET_MARKS.get(style or "", {})
        if style:
            # These platforms log a value that doesn't fit; keyturn checks it without showing it.
            schema.pop("pattern", None)
            schema |= {"minLength": 1} if field.default is REQUIRED else {}
    if isinstance(field.default, (str, int, float)) and field.default != float("inf"):
        schema["default"] = field.default
    return schema


def _keywords(field: attrs.Attribute[Any], kind: Any) -> dict[str, Any]:
    """Return the keywords, apart from the type, that say which values of a kind are valid."""
    declared = dict(declared_schema(field))
    if kind is Literal:
        return {"enum": list(get_args(kind_of(field.type)[0])), **declared}
    if kind is bool:
        return {"pattern": anchored("|".join(BOOLEANS)), **declared}
    if kind in {int, float}:
        pattern = numeral_pattern(kind, declared)
        return declared | ({"pattern": anchored(pattern)} if pattern else {})
    if kind is tuple:
        return {**schema_of(scope), **declared}
    if kind in _MEMBERS:
        is_json = kind_of(field.type)[0] == JSON_TABLE
        members = {"additionalProperties": _json_values(field.name)} if is_json else _MEMBERS[kind]
        return {**members, **declared}
    usual = {} if field.metadata.get("check") else schema_of(one_line)
    return {**usual, **declared}


def _json_values(name: str) -> dict[str, Any]:
    """Return the schema of the values in a table of a setting, at any depth."""
    inner = {"$ref": f"#/properties/{name}/additionalProperties"}
    types = ["string", "number", "boolean", "array", "object"]
    return {"type": types, "items": inner, "additionalProperties": inner}


def _allow_blank(
    keywords: dict[str, Any], field: attrs.Attribute[Any], *, is_nullable: bool
) -> None:
    """Allow None for an optional setting, and what a form sends for a blank one."""
    if field.default is not REQUIRED and not keeps_blank(field):
        if "pattern" in keywords or kind_of(field.type)[0] in {int, float}:
            patterns = ["^$(?!\\n)", keywords.get("pattern")]
            keywords["pattern"] = "|".join(filter(None, patterns))
        if "enum" in keywords:
            keywords["enum"] = [*keywords["enum"], ""]
        keywords.pop("minLength", None)  # a pattern allows it too
        if keywords.pop("format", None) == "uri":
            keywords["format"] = "uri-reference"  # an empty string is one
    if is_nullable and "enum" in keywords:
        keywords["enum"] = [*keywords["enum"], None]


def _rule_schema(
    rule: Rule, fields: Mapping[str, attrs.Attribute[Any]], properties: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the schema of a rule between settings."""
    wanted = _condition(fields[rule.setting], rule.must_be)
    if rule.must_be is GIVEN:
        types = properties[rule.setting]["type"]
        listed = [types] if isinstance(types, str) else [each for each in types if each != "null"]
        wanted = {"type": listed if len(listed) > 1 else listed[0], "minLength": 1}
    then: dict[str, Any] = {"properties": {rule.setting: wanted}}
    if not holds(fields[rule.setting].default, rule.must_be):
        then = {"required": [rule.setting], **then}
    conditions = {name: _condition(fields[name], each) for name, each in rule.when.items()}
    needed = [name for name, each in rule.when.items() if not holds(fields[name].default, each)]
    return {"if": {"properties": conditions, "required": needed}, "then": then}


def _condition(field: attrs.Attribute[Any], condition: Any) -> dict[str, Any]:
    """Return the schema of a condition on a setting that is in the form."""
    kind, optional = kind_of(field.type)
    # A setting that is left blank has its default.
    is_fulfilled = not keeps_blank(field) and holds(field.default, condition)
    if isinstance(condition, Presence):
        # Not an `enum`: a form would be drawn with a list of values to choose from.
        is_table = get_origin(kind) is Mapping
        has_empty = keeps_blank(field) or holds(field.default, ABSENT)
        empty = {"object": "maxProperties"} if is_table else {"string": "maxLength"}
        bounds = empty if has_empty else {}
        types = [*bounds, *(["null"] if optional else [])]
        absent = {"type": types, **dict.fromkeys(bounds.values(), 0)} if types else {"not": {}}
        return absent if condition is ABSENT else {"not": absent}
    if callable(condition):
        # What is wrong by itself fulfils no condition.
        right = [
            {"$ref": f"#/properties/{field.name}"},
            {"type": _TYPES[get_origin(kind) or kind], **schema_of(condition)},
        ]
        if is_fulfilled:
            return {"anyOf": [{"enum": [""]}, {"allOf": right}]}
        return {"allOf": right} | ({} if keeps_blank(field) else {"not": {"enum": [""]}})
    values = condition if isinstance(condition, tuple) else (condition,)
    if kind is bool:
        spelt = [spelling for spelling, meant in BOOLEANS.items() if meant in values]
        values = (*values, *spelt)
    return {"enum": [*values, ""] if is_fulfilled and "" not in values else [*values]}
