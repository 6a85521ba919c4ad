"""What to write in place of what is a mistake in a description."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, get_origin

from keyturn._http.steps import STEP_NAMES
from keyturn._names import did_you_mean
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.description_fixes import fix, shown
from keyturn._providers.description_words import key_for, kind_for, snake, value_for
from keyturn._providers.kinds import kind_of
from keyturn._providers.setting_tables import CREDENTIALS, KINDS, SETTING_KEYS
from keyturn.errors import Problem

Table = Mapping[str, Any]

KNOWN = (*DATA, "settings", "credentials", "scope", "extends", *STEP_NAMES, "domains")
_SETTING_PATH = re.compile(r"settings\.(.*?)(?:\.([a-z_]+))?")
_SENT_ALREADY = re.compile(r"(.*) is sent already")
_BOOLEANS = {"yes": "true", "true": "true", "1": "true", "no": "false", "false": "false"}
_NO_SETTING = re.compile(r"names \{([^}]*)\}, which is not a setting")


def advised(problem: Problem, description: Table, names: Table) -> Problem:
    """Return a mistake with the wrong value, and what to write."""
    if setting := _SETTING_PATH.fullmatch(problem.path):
        return _advised_setting(problem, description, *setting.groups())
    if problem.path == "settings" and isinstance(description.get("settings"), list):
        return Problem(problem.path, f"{problem.message}: write [settings.NAME], not [[settings]]")
    if problem.path not in DATA or problem.path not in description:
        return _advised_alone(problem, description)
    value, message = description[problem.path], problem.message
    if found := _NO_SETTING.search(message):
        near = did_you_mean(found[1], names)
        other = f'; describe it: [settings.{snake(found[1])}] title = "…"'
        return Problem(problem.path, message + (f".{near}" if near else other))
    if found := _SENT_ALREADY.fullmatch(message):
        return Problem(problem.path, f"{message}: {_not_twice(found[1], description)}")
    right = fix(problem.path, value)
    right += _elsewhere(problem.path, value) if right else ""
    # A table that is something else may hold what a table would hide.
    is_table = get_origin(kind_of(datum_types()[problem.path])[0]) is Mapping
    return Problem(problem.path, _with(message, "" if is_table else shown(value), right))


def _with(message: str, value: str, right: str) -> str:
    """Return a message with the wrong value, and what to write."""
    if right:
        message = re.sub(r" Did you mean .*\?$", "", message)
    ends = (f" (it is {value})" if value else "") + (f"; write {right}" if right else "")
    return f"{message.removesuffix('.')}{ends}" if ends else message


def _advised_alone(problem: Problem, description: Table) -> Problem:
    """Return a mistake in a datum that the description does not have, and what to write."""
    message = problem.message
    if problem.path == "token_url":
        message = f'{message}: write token_url = "https://…"'
    elif problem.path == "body_format":
        message = f'{message}; write body_format = "query"'
    elif problem.path in {"credentials", "scope"} and problem.path in description:
        value = description[problem.path]
        right = _credentials(value) if problem.path == "credentials" else ""
        message = _with(message, shown(value), right)
    return Problem(problem.path, message)


def _credentials(value: object) -> str:
    right = value_for("credentials", value, tuple(CREDENTIALS)) if isinstance(value, str) else ""
    return f'"{right}"' if right else ""


def _not_twice(name: str, description: Table) -> str:
    if name == "grant_type":
        return "write grant_type above the tables instead"
    for datum in ("client_id_name", "client_secret_name"):
        if name == description.get(datum, DATA[datum].default):
            return f'remove it, or write {datum} = ""'
    return "remove it"


def _elsewhere(datum: str, value: object) -> str:
    """Return where to write what an address can't have."""
    query = re.search(r"\?([^#]+)", value) if isinstance(value, str) else None
    if not query or DATA[datum].template != "address":
        return ""
    names = ", ".join(each.partition("=")[0] for each in query[1].split("&"))
    return f", and {names} in {'api_query' if datum == 'api_url' else 'query'}"


def _advised_setting(problem: Problem, description: Table, name: str, key: str | None) -> Problem:
    """Return a mistake in the table of a setting, and what to write."""
    tables = description.get("settings")
    table = tables.get(name) if isinstance(tables, Mapping) else None
    message = problem.message
    if not isinstance(table, Mapping):
        example = f'[settings.{snake(name)}] title = "{_title(name)}"'
        return Problem(problem.path, f"{message}: write {example}")
    if key is None:
        right = snake(name)
        if message.startswith("can't be the name") and right and right != name:
            message = f"{message}; write {right}"
        return Problem(problem.path, message)
    value = table.get(key)
    if message.startswith("is not known"):
        return Problem(problem.path, f"is not known.{_known_setting_key(key, value)}")
    if key == "title" and value is None:
        return Problem(problem.path, f'{message}: write title = "{_title(name)}"')
    is_secret = table.get("kind") == "secret" and key == "default"
    given = "" if is_secret or value is None else shown(value)
    return Problem(problem.path, _with(message, given, _setting_fix(key, value)))


def _known_setting_key(key: str, value: object) -> str:
    if key in KNOWN and meant_setting(key) != "title":
        return f" It belongs to the provider: write {key} above the first [settings.…] line."
    if snake(key) in {"required", "mandatory"}:
        return " A setting is required; one that is not has optional = true."
    if snake(key) in {"secret", "sensitive", "is_secret", "masked"} and value is True:
        return ' Write kind = "secret".'
    known = meant_setting(key)
    return f" Did you mean {known}?" if known else ""


def meant_setting(key: str) -> str:
    """Return the key of a setting that a key stands for, or an empty string."""
    return key_for(key, SETTING_KEYS, of_setting=True)


def _setting_fix(key: str, value: Any) -> str:
    """Return what to write in place of a wrong value of a setting's table, or an empty string."""
    if key == "choices" and isinstance(value, (str, list)):
        listed = re.findall(r"[^,|;\s]+", value) if isinstance(value, str) else value
        return json.dumps([each if isinstance(each, str) else json.dumps(each) for each in listed])
    if key == "optional":
        return _BOOLEANS.get(str(value).lower(), "")
    if not isinstance(value, str):
        return ""
    if key == "kind":
        right = kind_for(value, KINDS)
        is_boolean = snake(value) in {"bool", "boolean", "flag", "checkbox"}
        more = ' with choices = ["true", "false"]' if is_boolean else ""
        return f'"{right}"{more}' if right else ""
    is_bound = key in {"min", "max", "min_length", "max_length"}
    return value if is_bound and re.fullmatch(r"-?[0-9]{1,15}", value) else ""


def _title(name: str) -> str:
    return snake(name).replace("_", " ").capitalize() or "…"
