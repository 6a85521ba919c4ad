"""Templates: strings of a provider's data in which settings stand as `{name}` or `{name[key]}`.

`{name}` is the setting, or the property of the settings, of that name; where the setting is a
choice, the string that belongs to the chosen value, or with `{name[key]}` one of its strings.
"""

from __future__ import annotations

import contextlib
import functools
import re
import string
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from keyturn import errors
from keyturn._http.urls import url_problem
from keyturn._http.values import DynamicValue, RandomId, Value
from keyturn._providers.kinds import fields_of, kind_of
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from keyturn._http.request import Pairs
    from keyturn._providers.data import TemplateUse
    from keyturn._providers.settings import Settings

# The template of a value that is a new UUID each time it is sent.
_RANDOM_ID = "{uuid}"
_RANDOM_ID_PROBLEMS = {
    "address": "is not an address",
    "api_request": "would be the same for all requests with one token",
}
_NO_TEMPLATE = "is not a template such as https://{tenant}.example"
_NO_NAMES: Mapping[str, Value | None] = MappingProxyType({})
_NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_.-]+)?"
_PLACEHOLDER_REGEX = re.compile(rf"({_NAME})(?:\[([A-Za-z0-9_.-]+)\])?")


def problem(
    template: str, settings: type[Settings], use: TemplateUse, names: Container[str] = ()
) -> str | None:
    """Return what is wrong with a template for settings of a class, or None.

    Args:
        template: The template.
        settings: The settings class.
        use: What it is for.
        names: What it may name besides.
    """
    if template == _RANDOM_ID:
        return _RANDOM_ID_PROBLEMS.get(use)
    try:
        parts = _parts(template)
    except ValueError:
        return _NO_TEMPLATE
    for _, name, key in parts:
        field = fields_of(settings).get(name)
        is_attribute = not (
            name.startswith("_") or name == "rules" or callable(getattr(settings, name, len))
        )
        if field is None and name in names:
            continue
        if name and field is None and not is_attribute:
            return _NO_TEMPLATE if "." in name else f"names {{{name}}}, which is not a setting"
        if field is not None and use == "address" and kind_of(field.type)[0] is Secret:
            return f"names {{{name}}}, a secret, which must not be in an address"
        choices: Mapping[str, Any] = (field and field.metadata.get("choices")) or {"": ""}
        if not all(not key if isinstance(each, str) else key in each for each in choices.values()):
            return f"names {{{name}{f'[{key}]' if key else ''}}}, which that setting does not have"
    return None


def address(template: str, settings: Settings) -> str:
    """Return an address template with the settings' values in it.

    Raises:
        keyturn.errors.ConfigurationError: The result is not an address that a secret may be
            sent to.
    """
    made = ""
    for literal, name, key in _parts(template):
        value = _value(settings, name, key) if name else ""
        if value is None:
            raise errors.ConfigurationError(
                f"the address made from {template} needs the setting {name}."
            )
        made += literal + _placed(str(value), made + literal)
    wrong = url_problem(made)
    if wrong:
        raise errors.ConfigurationError(f"the address made from {template} {wrong}.")
    return made


def render(
    template: str, settings: Settings, names: Mapping[str, Value | None] = _NO_NAMES
) -> Value | None:
    """Return the value of a template.

    Args:
        template: The template.
        settings: The settings.
        names: Further values by their names.

    Returns:
        None when one of the settings in it is None; a secret when one of them is a secret.
    """
    if template == _RANDOM_ID:
        return RandomId()
    made, is_secret = "", False
    for literal, name, key in _parts(template):
        value: Any = ""
        if name:
            value = names[name] if name in names else _value(settings, name, key)
        if value is None:
            return None
        if isinstance(value, DynamicValue) and template == f"{{{name}}}":
            return value
        is_secret = is_secret or isinstance(value, Secret)
        made += literal + (value if isinstance(value, str) else _plain(value))
    return Secret(made) if is_secret else made


def render_all(
    templates: Mapping[str, str],
    settings: Settings,
    names: Mapping[str, Value | None] = _NO_NAMES,
) -> Pairs:
    """Return the names and values of several templates; a value that is None is left out."""
    pairs: Pairs = ()
    for name, template in templates.items():
        value = render(template, settings, names)
        pairs += () if value is None else ((name, value),)
    return pairs


@functools.cache
def _parts(template: str) -> tuple[tuple[str, str, str], ...]:
    """Return each literal string with the name and the key that follow it, or empty ones.

    Raises:
        ValueError: It is not a template.
    """
    parts: list[tuple[str, str, str]] = []
    for literal, field, specification, conversion in string.Formatter().parse(template):
        match = _PLACEHOLDER_REGEX.fullmatch("_" if field is None else field)
        if match is None or specification or conversion:
            raise ValueError(template)
        parts.append((literal, (field and match[1]) or "", match[2] or ""))
    return tuple(parts)


@functools.cache
def names_in(template: str) -> frozenset[str]:
    """Return the names in a template; those of one that is none are empty."""
    with contextlib.suppress(ValueError):
        return frozenset(name for _, name, _ in _parts(template) if name)
    return frozenset()


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
    """Return a setting's value as it may stand after the address made so far."""
    if not address:
        return value.rstrip("/")
    if "/" in address.partition("://")[2]:
        return quote(value, safe="")
    # Within the host a value must not end it; url_problem sees the whole only.
    return value if re.fullmatch(r"[a-z0-9.-]*", value) else "\0"
