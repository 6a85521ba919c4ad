"""Mistakes in the settings of a description whose keys are each valid by themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyturn._providers.description_fixes import shown
from keyturn._providers.description_literals import unfinished
from keyturn._providers.description_placeholders import ANY_NAME, reference
from keyturn._providers.setting_tables import CREDENTIAL_FIELDS

Table = Mapping[str, Any]
Mistakes = Iterator[tuple[str, str]]

_NEVER = "never matches, since a pattern must match the whole value"
_HIDDEN = r"(?:\w+_)?(?:password|passphrase|secret)"
_ANCHOR = r"(?<!\\)(?:(?<=[A-Za-z0-9+*?)\]])\^|\$(?=[A-Za-z0-9(\[]))"


def setting_mistakes(description: Table) -> Mistakes:
    """Yield patterns, defaults and choices that are not valid, and secrets that are shown."""
    tables = description.get("settings")
    for name, table in tables.items() if isinstance(tables, Mapping) else ():
        if not isinstance(table, Mapping):
            continue
        pattern, default = table.get("pattern"), table.get("default")
        if isinstance(pattern, str) and (problem := _pattern_problem(pattern)):
            yield f"settings.{name}.pattern", problem
        if isinstance(default, str) and (problem := _default_problem(default)):
            yield f"settings.{name}.default", problem
        yield from _choices(f"settings.{name}.choices", table.get("choices"))
        is_text = not {"kind", "choices"} & table.keys() and name not in CREDENTIAL_FIELDS
        if is_text and re.fullmatch(_HIDDEN, str(name)):
            right = 'write kind = "secret", or kind = "text" if everybody may know it'
            yield f"settings.{name}", f"is shown, since its kind is text: {right}"


def _pattern_problem(pattern: str) -> str:
    """Return what is wrong with a pattern that is a regular expression, or an empty string."""
    found = f"(it is {shown(pattern)})"
    if slashes := re.fullmatch(r"/(.+)/[a-z]*", pattern):
        return f"has the slashes of JavaScript {found}; write {json.dumps(slashes[1])}"
    if re.search(r"\\\\[dwDW.+*()\[]", pattern):
        right = pattern.replace("\\\\", "\\")
        return f"has two backslashes, but single quotes need only one {found}; write '{right}'"
    if pattern != pattern.strip() or not pattern:
        right = json.dumps(pattern.strip() or ".+")
        return f"{_NEVER}, which has no spaces around it {found}; write {right}"
    if re.search(_ANCHOR, pattern):
        right = json.dumps(re.sub(_ANCHOR, "", pattern))
        return f"{_NEVER}: ^ or $ is inside it {found}; write {right}"
    return ""


def _default_problem(default: str) -> str:
    if re.search(ANY_NAME, default) or re.fullmatch(r"\{\w+\}", default):
        right = "write the value itself, or {a|b} where it goes"
        return f"is not a template (it is {shown(default)}): {right}"
    if unfinished(default):
        found = f"stands for another value (it is {shown(default)})"
        return f"{found}: remove it, and the setting is required"
    if reference(default):
        right = "remove it: such a value belongs in keyturn.toml"
        return f"is not a secret reference (it is {shown(default)}); {right}, of each connection"
    return ""


def _choices(place: str, choices: object) -> Mistakes:
    if not isinstance(choices, (list, Mapping)):
        return
    names = [each for each in choices if isinstance(each, str)]
    if any(each != each.strip() or not each for each in names):
        right = json.dumps([each.strip() for each in names if each.strip()])
        yield place, f"has an empty value, or spaces around one; write {right}"
    elif len({*names}) < len(names):
        yield place, f"has a value twice; write {json.dumps([*dict.fromkeys(names)])}"
