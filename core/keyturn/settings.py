"""Settings: attrs classes from plain values, all mistakes at once; and their JSON Schema."""

from __future__ import annotations

import difflib
import functools
import re
import types
import typing
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import attrs

from keyturn.secret import Secret
from keyturn.urls import LABEL_PATTERN, label_problem, url_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import cattrs
    from cattrs.errors import ClassValidationError

S = TypeVar("S", bound="Settings")
_SCOPE_VALUE_REGEX = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def setting(
    title: str,
    description: str = "",
    *,
    default: Any = attrs.NOTHING,
    check: Callable[[Any], str | None] | None = None,
    schema: Mapping[str, Any] | None = None,
) -> Any:
    """Declare one field of a settings class.

    Args:
        title: Its name for people.
        description: What it is and where it is found.
        default: Its value when it isn't given; without a default it is required.
        check: Returns what is wrong with a value of the right type, without naming the value, or
            None. It is not asked about the default. A text without a check must be one line.
        schema: JSON Schema keywords that say what `check` says.
    """
    metadata = {"title": title, "description": description, "check": check, "schema": schema or {}}
    return attrs.field(default=default, metadata=metadata)


def label(title: str, description: str = "", *, default: Any = attrs.NOTHING) -> Any:
    """Declare a field that becomes one label of a host name, such as a tenant or a region."""
    schema = {"pattern": LABEL_PATTERN}
    return setting(title, description, default=default, check=label_problem, schema=schema)


def url(title: str, description: str = "", *, default: Any = attrs.NOTHING) -> Any:
    """Declare a field that is an address which secrets or tokens may be sent to."""
    schema = {"format": "uri"}
    return setting(title, description, default=default, check=url_problem, schema=schema)


def one_line(value: str | Secret) -> str | None:
    """Return what keeps a text from being one line without surrounding space, or None."""
    text = value.reveal() if isinstance(value, Secret) else value
    if text and text == text.strip() and text.isprintable():
        return None
    return "must be one line of text, without spaces around it"


@attrs.frozen(kw_only=True)
class Settings:
    """What every provider's settings have; a provider's own class derives from it."""

    client_id: str = setting("Client ID", "The client's public name.")
    client_secret: Secret | None = setting("Client secret", "The client's secret.", default=None)
    token_url: str | None = url(
        "Token URL", "The token endpoint, when it isn't where the provider has it.", default=None
    )
    api_url: str | None = url(
        "API URL", "Where the API is, when it isn't where the provider has it.", default=None
    )

    def problems(self) -> Iterable[str]:
        """Return what is wrong with values that are right one by one; to be overridden."""
        return ()


@attrs.frozen(kw_only=True)
class ConfidentialSettings(Settings):
    """The settings of a provider whose clients all have a secret."""

    client_secret: Secret = setting("Client secret", "The client's secret.")


def read(cls: type[S], values: Mapping[str, Any]) -> tuple[S | None, list[str]]:
    """Make settings out of plain values.

    Args:
        cls: The settings class.
        values: Names and values, as from a configuration file.

    Returns:
        The settings, or None and every mistake, each naming its setting and no value.
    """
    # cattrs takes 90 ms to import: only when settings are read.
    from cattrs.errors import ClassValidationError

    try:
        settings = _converter().structure(values, cls)
    except ClassValidationError as invalid:
        mistakes = dict(_mistakes(cls, invalid))
    else:
        problems = list(settings.problems())
        return (None, problems) if problems else (settings, [])
    # What is right may still be wrong together: the rest is read once more without the mistakes.
    rest = {name: value for name, value in values.items() if name not in mistakes}
    problems = read(cls, rest)[1] if len(rest) < len(values) else []
    others = [problem for problem in problems if problem.partition(":")[0] not in mistakes]
    return None, sorted({f"{name}: {text}" for name, text in mistakes.items()} | set(others))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question after the known name nearest to `name`, or an empty text."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def json_schema(cls: type[Settings], title: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a settings class; secrets are marked `writeOnly`."""
    fields = attrs.fields(attrs.resolve_types(cls))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": {field.name: _field_schema(field) for field in fields},
        "required": [field.name for field in fields if field.default is attrs.NOTHING],
        "additionalProperties": False,
    }


def _field_schema(field: attrs.Attribute[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": field.metadata.get("title", field.name)}
    if field.metadata.get("description"):
        schema["description"] = field.metadata["description"]
    kind, optional = _kind(field.type)
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
        one = _SCOPE_VALUE_REGEX.pattern
        text = {"type": "string", "pattern": rf"^\s*{one}(\s+{one})*\s*$"}
        items = {"type": "string", "pattern": f"^{one}$"}
        return {"anyOf": [text, {"type": "array", "items": items, "minItems": 1}]}
    if kind is str:
        return {"type": "string", "minLength": 1}
    return {"type": {int: "integer", float: "number", bool: "boolean"}[kind]}


@functools.cache
def _converter() -> cattrs.Converter:
    import cattrs
    from cattrs.gen import make_dict_structure_fn, override

    converter = cattrs.Converter(forbid_extra_keys=True)

    def structure_of(cls: type[Settings]) -> Callable[[Mapping[str, Any], Any], Settings]:
        hooks: dict[str, Any] = {
            field.name: override(struct_hook=functools.partial(_value, field))
            for field in attrs.fields(attrs.resolve_types(cls))
        }
        return make_dict_structure_fn(cls, converter, **hooks)

    converter.register_structure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, Settings), structure_of
    )
    return converter


class _MistakeError(ValueError):
    """What is wrong with one value, in words that don't name it."""


def _value(field: attrs.Attribute[Any], value: Any, _annotation: object) -> Any:
    kind, optional = _kind(field.type)
    if value is None and optional:
        return None
    converted = _convert(value, kind)
    check = field.metadata.get("check") or (one_line if kind in {str, Secret} else None)
    mistake = check(converted) if check else None
    if mistake:
        raise _MistakeError(mistake)
    return converted


def _convert(value: Any, kind: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if typing.get_origin(kind) is tuple:
        return _scope_values(value)
    if typing.get_origin(kind) is Literal:
        known = typing.get_args(kind)
        if value in known:
            return value
        question = did_you_mean(value, known) if isinstance(value, str) else ""
        raise _MistakeError(f"must be one of {', '.join(known)}.{question}")
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise _MistakeError(f"must be {_KIND_NAMES[kind]}")


_KIND_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Secret: "a text",
}


def _scope_values(value: Any) -> tuple[str, ...]:
    values = value.split() if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)) or not values:
        raise _MistakeError("must be one or several scope values, as a text or a list of texts")
    if not all(isinstance(each, str) and _SCOPE_VALUE_REGEX.fullmatch(each) for each in values):
        raise _MistakeError("must have visible ASCII scope values only (RFC 6749 section 3.3)")
    return tuple(values)


def _mistakes(cls: type[Settings], invalid: ClassValidationError) -> Iterator[tuple[str, str]]:
    from cattrs.errors import ForbiddenExtraKeysError

    known = [field.name for field in attrs.fields(cls)]
    attributed, others = invalid.group_exceptions()
    for exception, note in attributed:
        mistake = str(exception) if isinstance(exception, _MistakeError) else "is required"
        yield note.name, mistake
    for exception in others:
        names = exception.extra_fields if isinstance(exception, ForbiddenExtraKeysError) else ()
        for name in sorted(names):
            yield name, f"is not a setting of this provider.{did_you_mean(name, known)}"


def _kind(annotation: Any) -> tuple[Any, bool]:
    """Split `T | None` into T and whether None is allowed."""
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0], True
    return annotation, False
