"""Templates: strings of a provider's data that contain settings as `{name}` or `{name[key]}`.

`{name}` is the setting, or the property of the settings, of that name; if the setting is a choice,
it is the string of the chosen value, or with `{name[key]}` one of its strings. `{a|b}` is the
first of the two that is set. `{name:json}` is a number, a boolean or a list in JSON. Other names
are those of values, such as a value that the provider's data declare.
"""

from __future__ import annotations

import contextlib
import functools
import re
import string
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from keyturn import errors
from keyturn._http.encoders import Encoding, encoded
from keyturn._http.urls import url_problem
from keyturn._http.values import DynamicValue, RandomId, Value
from keyturn._providers import later
from keyturn._providers.kinds import fields_of, kind_of
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    import attrs

    from keyturn._http.request import Pairs
    from keyturn._providers.datum import TemplateUse
    from keyturn._providers.settings import Settings

# The template of a value that is a new UUID each time it is sent.
_RANDOM_ID = "{uuid}"
_RANDOM_ID_PROBLEMS = {
    "address": "is not an address",
    "api_request": "would be the same for all requests with one token",
}
_NO_NAMES: Mapping[str, Value | None] = MappingProxyType({})
_NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_@#.-]+)?"
_PLACEHOLDER_REGEX = re.compile(rf"({_NAME})(?:\[([A-Za-z0-9_.-]+)\])?")
_NO_TEMPLATE = "is not a template such as https://{tenant}.example"
# A placeholder: its alternatives, each a name with a key or "", and its form.
_Placeholder = tuple[tuple[tuple[str, str], ...], str]


def problem(
    template: str, settings: type[Settings], use: TemplateUse, names: Container[str] = ()
) -> str | None:
    """Return what is wrong with a template for settings of a class, or None.

    Args:
        template: The template.
        settings: The settings class.
        use: Its purpose.
        names: Further names that it may contain.
    """
    if template == _RANDOM_ID and "uuid" not in names:
        return _RANDOM_ID_PROBLEMS.get(use)
    try:
        parts = _parts(template)
    except ValueError:
        return _NO_TEMPLATE
    for literal, (choices, form) in parts:
        if form and (use != "json" or literal or len(parts) > 1):
            return f"has {{…:{form}}}, which is for a whole parameter, claim or item alone"
        for name, key in choices:
            field = fields_of(settings).get(name)
            if field is None and name in names:
                continue
            if wrong := _name_problem(settings, field, name, key, use):
                return wrong
    return None


def _name_problem(
    settings: type[Settings],
    field: attrs.Attribute[Any] | None,
    name: str,
    key: str,
    use: TemplateUse,
) -> str | None:
    """Return what is wrong with a name in a template, or None."""
    is_attribute = not (
        name.startswith("_") or name == "rules" or callable(getattr(settings, name, len))
    )
    if field is None and not is_attribute:
        return _NO_TEMPLATE if "." in name else f"names {{{name}}}, which is not a setting"
    if field is not None and use == "address" and kind_of(field.type)[0] is Secret:
        return f"names {{{name}}}, a secret, which must not be in an address"
    choices: Mapping[str, Any] = (field and field.metadata.get("choices")) or {"": ""}
    if not all(not key if isinstance(each, str) else key in each for each in choices.values()):
        return f"names {{{name}{f'[{key}]' if key else ''}}}, which that setting does not have"
    return None


def address(
    template: str, settings: Settings, names: Mapping[str, Value | None] = _NO_NAMES
) -> str:
    """Return an address template with the settings' values in it.

    Args:
        template: The template.
        settings: The settings.
        names: Further values by their names.

    Raises:
        keyturn.errors.ConfigurationError: The result is not an address that a secret may be
            sent to.
    """
    made = ""
    for literal, (choices, _) in _parts(template):
        value: Any = None if choices else ""
        for name, key in choices:
            value = names[name] if name in names else _value(settings, name, key)
            if value is not None:
                break
        if value is None:
            needed = " or ".join(name for name, _ in choices)
            raise errors.ConfigurationError(
                f"the address made from {template} needs the setting {needed}."
            )
        made += literal + _placed(str(value), made + literal)
    wrong = url_problem(made)
    if wrong:
        raise errors.ConfigurationError(f"the address made from {template} {wrong}.")
    return made


def render(
    template: str,
    settings: Settings,
    names: Mapping[str, Value | None] = _NO_NAMES,
    *,
    encoding: Encoding = "",
) -> Value | None:
    """Return the value of a template.

    Args:
        template: The template.
        settings: The settings.
        names: Further values by their names; one that is None counts as a setting that is None.
        encoding: How each value in it is encoded.

    Returns:
        None when one of the settings in it is None; a secret when one of them is a secret; a
        dynamic value when one of them is.
    """
    if template == _RANDOM_ID and "uuid" not in names:
        return RandomId()
    made, is_secret = "", False
    parts: list[Value] = []
    for literal, (choices, form) in _parts(template):
        value: Any = None if choices else ""
        for name, key in choices:
            value = names[name] if name in names else _value(settings, name, key)
            if value is not None:
                break
        if value is None:
            return None
        if form and not isinstance(value, (str, Secret)):
            as_json: Value = later.composed().as_json(value)
            return as_json
        if isinstance(value, DynamicValue):
            made = _added(parts, made + literal, value, encoding, is_secret=is_secret)
            is_secret = False
            continue
        is_secret = is_secret or isinstance(value, Secret)
        plain = value if isinstance(value, str) else _plain(value)
        made += literal + (encoded(plain, encoding) if encoding and plain else plain)
    last = Secret(made) if is_secret else made
    if not parts:
        return last
    if not made and len(parts) == 1:
        return parts[0]
    return _composed(*parts, *([last] if made else []))


def _composed(*parts: Value, encoding: Encoding = "") -> Value:
    composed: Value = later.composed().Composed(parts=parts, encoding=encoding)
    return composed


def _added(
    parts: list[Value], before: str, value: DynamicValue, encoding: Encoding, *, is_secret: bool
) -> str:
    """Add the string before a dynamic value, and the value; return the empty string."""
    if before:
        parts.append(Secret(before) if is_secret else before)
    parts.append(_composed(value, encoding=encoding) if encoding else value)
    return ""


def render_all(
    templates: Mapping[str, Any],
    settings: Settings,
    names: Mapping[str, Value | None] = _NO_NAMES,
) -> Pairs:
    """Return the names and values of several templates; a value that is None is left out."""
    pairs: Pairs = ()
    for name, template in templates.items():
        value = (
            render(template, settings, names)
            if isinstance(template, str)
            else _json(template, settings, names)
        )
        pairs += () if value is None else ((name, value),)
    return pairs


def _json(template: Any, settings: Settings, names: Mapping[str, Value | None]) -> Value:
    json: Value = later.composed().Json(_tree(template, settings, names))
    return json


def _tree(template: Any, settings: Settings, names: Mapping[str, Value | None]) -> Any:
    """Return a JSON value with the values of the templates in it, or None to leave it out."""
    if isinstance(template, str):
        value: Any = render(template, settings, names)
        return value.tree if isinstance(value, later.composed().Json) else value
    if isinstance(template, (list, tuple)):
        values = (_tree(each, settings, names) for each in template)
        return [each for each in values if each is not None]
    if not isinstance(template, Mapping):
        return template
    pairs = ((name, _tree(each, settings, names)) for name, each in template.items())
    return {name: each for name, each in pairs if each is not None}


def strings_in(value: Any) -> Iterator[str]:
    """Yield the strings in a datum that is a template, or a table that holds some."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from strings_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from strings_in(each)


@functools.cache
def names_in(template: str) -> frozenset[str]:
    """Return the names in a template; none if it is not valid."""
    with contextlib.suppress(ValueError):
        return frozenset(name for _, (choices, _) in _parts(template) for name, _ in choices)
    return frozenset()


@functools.cache
def _parts(template: str) -> tuple[tuple[str, _Placeholder], ...]:
    """Return each literal string with the placeholder that follows it, or an empty one.

    Raises:
        ValueError: It is not a template.
    """
    parts: list[tuple[str, _Placeholder]] = []
    for literal, field, form, conversion in string.Formatter().parse(template):
        found = [_PLACEHOLDER_REGEX.fullmatch(each) for each in (field or "_").split("|")]
        if not all(found) or conversion or form not in {None, "", "json"} or field == "":
            raise ValueError(template)
        choices = tuple((match[1], match[2] or "") for match in found if match and field)
        parts.append((literal, (choices, form or "")))
    return tuple(parts)


def _value(settings: Settings, name: str, key: str) -> Any:
    value = getattr(settings, name)
    field = fields_of(type(settings)).get(name)
    choices = field.metadata.get("choices") if field else None
    if not choices or value is None:
        return value
    return choices[value][key] if key else choices[value]


def _plain(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, tuple):
        return " ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _placed(value: str, address: str) -> str:
    """Return a setting's value, encoded for its place in the address."""
    if not address:
        return value.rstrip("/")
    if "/" in address.partition("://")[2]:
        return quote(value, safe="")
    # A value must not end the host; url_problem checks only the whole address.
    return value if re.fullmatch(r"[a-z0-9.-]*", value) else "\0"
