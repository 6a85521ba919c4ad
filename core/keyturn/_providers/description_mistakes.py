"""The mistakes in a description: each with its path, the wrong value, and what to write."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from keyturn._http.steps import STEP_NAMES
from keyturn._providers.data import DATA
from keyturn._providers.description_advice import KNOWN, advised
from keyturn._providers.description_conflicts import further
from keyturn._providers.description_fixes import shown
from keyturn._providers.description_hints import UNKNOWN
from keyturn._providers.description_literals import OVERRIDES, literal_mistakes, name_mistakes
from keyturn._providers.description_placeholders import placeholder, reference
from keyturn._providers.description_steps import member_mistakes
from keyturn._providers.description_tables import meant_in_discovery, named_in
from keyturn._providers.description_words import key_for, snake
from keyturn._providers.kinds import fields_of
from keyturn._providers.named_values import TEMPLATES
from keyturn._providers.setting_tables import SETTING_KEYS
from keyturn._providers.templates import strings_in
from keyturn.errors import Problem

Table = Mapping[str, Any]

_OWN_VALUES = frozenset(
    {"client_id", "client_secret", "username", "password", "private_key", "api_key"}
    | {"secret", "access_token", "refresh_token"}
)
# Tables in which other tools group what is at the top of a description.
_GROUPS = frozenset({"auth", "oauth", "oauth2", "request", "response", "token"})
_TEMPLATE_PROBLEM = re.compile(r"names \{|is not a template|must be a URL|must have|must begin")


def unknown_keys(description: Table) -> Iterator[Problem]:
    """Yield unknown keys."""
    for key, value in description.items():
        if key not in KNOWN:
            # Others write an address at the top for the endpoint, or for their home page.
            is_endpoint = key == "url" and "token_url" not in description
            meant = " Did you mean token_url?" if is_endpoint else _known_key(str(key), value)
            yield Problem(str(key), f"is not known.{meant}")


def _known_key(key: str, value: object) -> str:
    """Return what to write in place of a key that is not known."""
    plain = snake(key)
    if isinstance(value, Mapping) and {"title", "kind"} & value.keys():
        return f" Did you mean [settings.{key}]?"
    is_group = isinstance(value, Mapping) and _has_data(value)
    if not is_group and (
        advice := next((words for names, words in UNKNOWN if re.fullmatch(names, plain)), "")
    ):
        return f" {advice.format(key=key)}"
    if plain in _OWN_VALUES or (isinstance(value, str) and key in _OWN_VALUES):
        return (
            " A description has no credentials: they are settings of each connection. Describe a "
            f'setting that is not predefined: [settings.{plain}] title = "…"'
        )
    inner = [f"{plain}_{name}" for name in value] if isinstance(value, Mapping) else []
    if inner := [each for each in inner if each in DATA]:
        return f" Write {', '.join(inner)} at the top of the file, without [{key}]."
    known = key_for(key, KNOWN)
    if isinstance(value, Mapping) and ("type" in value or not known):
        is_whole = is_group or plain in _GROUPS
        right = f"Write its keys at the top of the file, without [{key}]."
        return f" {right}" if is_whole else f" Did you mean [settings.{key}]?"
    right = (
        f'parameters = {{ {key} = "…" }}'
        if isinstance(value, (str, int))
        else f"[settings.{plain}]"
    )
    return f" Did you mean {known}?" if known else f" If the token request has it, write {right}."


def _has_data(table: Table, levels: int = 4) -> bool:
    """Return whether a table holds what belongs to the top of a description."""
    plain = {str(key) for key, value in table.items() if not isinstance(value, Mapping)}
    meant = {key_for(key, ("token_url", "api_url")) for key in plain}
    if meant - {""} or (DATA.keys() - SETTING_KEYS) & table.keys():
        return True
    tables = [each for each in table.values() if isinstance(each, Mapping)]
    return levels > 0 and any(_has_data(each, levels - 1) for each in tables)


def reviewed(
    description: Table, found: list[Problem], settings: type[Any], own: Table | None = None
) -> list[Problem]:
    """Return all mistakes, each reported once, with its value and what to write.

    Args:
        description: The description; its settings are tables.
        found: The mistakes that are reported of any provider, and of the settings.
        settings: The class that the settings make.
        own: The description without what it extends; by default all of it.
    """
    names = fields_of(settings)
    by_path = {each.path: each for each in found}
    _drop_consequences(description, by_path)
    for path, message in _placeholders(description, names):
        datum = path.partition(".")[0]
        if datum in by_path and _TEMPLATE_PROBLEM.search(by_path[datum].message):
            del by_path[datum]
        by_path[path] = Problem(path, message)
    for path, message in further(description, names, [*by_path], _keys(own or description)):
        if path.startswith("error_codes."):
            by_path.pop("error_codes", None)
        if path == "body" and "is not a template" in str(by_path.get(path)):
            del by_path[path]
        if path in by_path and by_path[path].message in message:
            del by_path[path]  # it says less
        by_path.setdefault(path, Problem(path, message))
    return [advised(each, description, names) for each in by_path.values()]


def _keys(description: Table) -> set[str]:
    """Return the keys of a description, and those of its values."""
    return {*map(str, description), *(f"values.{name}" for name in named_in(description))}


def _drop_consequences(description: Table, by_path: dict[str, Problem]) -> None:
    """Remove what is reported only because of another mistake."""
    meant = {key_for(key, KNOWN) for key in map(str, description) if key not in KNOWN}
    meant |= {key for each in description.values() if isinstance(each, Mapping) for key in each}
    for name in ("token_url", "name"):
        if name in meant and name not in description:
            by_path.pop(name, None)
    _drop_of_tables(description, by_path, meant)


def _drop_of_tables(
    description: Table, by_path: dict[str, Problem], meant: Collection[str]
) -> None:
    """Remove what is reported only because of a mistake in the values or the steps."""
    if {"values", "settings"} & {*meant, *by_path}:
        for path in [path for path, each in by_path.items() if "not a setting" in each.message]:
            del by_path[path]
    for name in [each.path for each in by_path.values() if "can't be the name" in each.message]:
        right = f"names {{{snake(name.partition('.')[2])}}}, which is not a setting"
        for path in [path for path, each in by_path.items() if right in each.message]:
            del by_path[path]
    if "url" in meant_in_discovery(description.get("discovery")):
        by_path.pop("discovery.url", None)
    for step in STEP_NAMES:
        # Templates can't name a value of a step that is not valid.
        if step in meant or any(path.partition(".")[0] == step for path in by_path):
            named = [
                path
                for path, each in by_path.items()
                if f"{{{step}." in each.message and path.partition(".")[0] != step
            ]
            for path in named:
                del by_path[path]


def _placeholders(description: Table, names: Table) -> Iterator[tuple[str, str]]:
    """Yield the placeholders in the syntax of other tools."""
    known, settings = {*names, *named_in(description)}, description.get("settings")
    described = OVERRIDES & {*settings} if isinstance(settings, Mapping) else set[str]()
    for path, template in _placed(description):
        datum = DATA[path.partition(".")[0]]
        own = (
            {"token", "access_token", "token.access_token"}
            if datum.template == "api_request"
            else set[str]()
        )
        wrong, right = placeholder(template, known | own)
        if wrong:
            yield path, f"has {wrong}, which is not a placeholder: write {right}"
        elif problem := reference(template):
            yield path, f"{shown(template)} {problem}"
        else:
            wrong_names = name_mistakes(path, template, (known | own) - described)
            for each in (*literal_mistakes(path, template), *wrong_names):
                yield path, each
        for problem in member_mistakes(template, description.get("previous")):
            yield path, problem


def _placed(description: Table) -> Iterator[tuple[str, str]]:
    """Yield the path and the string of each template."""
    for datum in (name for name, each in DATA.items() if each.template or name == "values"):
        value = description.get(datum)
        entries = dict(value) if isinstance(value, Mapping) else {"": value}
        if datum == "values":
            entries = {
                f"{name}.{key}": table[key]
                for name, table in entries.items()
                if isinstance(table, Mapping)
                for key in TEMPLATES
                if key in table
            }
        for key, each in entries.items():
            for template in strings_in(each):
                yield f"{datum}.{key}" if key else datum, template
