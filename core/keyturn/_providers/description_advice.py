"""What to write instead of a mistake in a description."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from keyturn._http.steps import STEP_NAMES
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.description_fixes import (
    address,
    domain,
    fix,
    pattern,
    shown,
    slug,
    with_value,
)
from keyturn._providers.description_hints import GENERAL, SECRET_NAME
from keyturn._providers.description_literals import SECRET_LIKE
from keyturn._providers.description_tables import (
    advised_step,
    advised_values,
    name_advice,
    named_in,
)
from keyturn._providers.description_words import key_for, kind_for, snake, value_for
from keyturn._providers.fields import title_of
from keyturn._providers.kinds import kind_of
from keyturn._providers.patterns import FORMATS
from keyturn._providers.setting_tables import CREDENTIALS, KINDS, SETTING_KEYS
from keyturn.errors import Problem

Table = Mapping[str, Any]

KNOWN = (*DATA, "settings", "credentials", "scope", "extends", *STEP_NAMES, "domains")
_SETTING_PATH = re.compile(r"settings\.(.*?)(?:\.([A-Za-z_][A-Za-z0-9_]*))?")
_SENT_ALREADY = re.compile(r"(.*) is sent already")
_BOOLEANS = {"yes": "true", "true": "true", "1": "true", "no": "false", "false": "false"}
# Tables for which the advice is about the whole table.
_HEADERS = {"token_headers", "api_headers"}


def advised(problem: Problem, description: Table, names: Table) -> Problem:
    """Return a mistake with the wrong value, and what to write."""
    made = _advised(problem, description, names)
    if re.search(
        r"(?i)\b(?:write|remove|describe it|did you mean|see|name that)\b|\[settings", made.message
    ):
        return made
    if made.message.startswith("is not known"):
        return Problem(made.path, f"{made.message} Remove it.")
    for words, advice in GENERAL:
        if found := re.search(words, made.message):
            last = snake(made.path.rpartition(".")[2])
            right = advice.format(found=found[1] if found.groups() else "", last=last)
            return Problem(made.path, f"{made.message.removesuffix('.')}; {right}")
    return made


def _advised(problem: Problem, description: Table, names: Table) -> Problem:
    if setting := _SETTING_PATH.fullmatch(problem.path):
        return _advised_setting(problem, description, *setting.groups())
    if problem.path == "settings" and isinstance(description.get("settings"), list):
        return Problem(problem.path, f"{problem.message}: write [settings.NAME], not [[settings]]")
    head = problem.path.partition(".")[0]
    known = {*names, *named_in(description)}
    if head == "values" and head in description:
        return advised_values(problem, description, known)
    is_table = isinstance(description.get(head), Mapping)
    is_of_step = head == "discovery" if is_table else head == problem.path
    if head in STEP_NAMES and (is_of_step or problem.message == "must be outside this table"):
        return advised_step(problem, description)
    if problem.path not in DATA or problem.path not in description:
        return _advised_alone(problem, description)
    return _advised_datum(problem, description, known)


def _advised_datum(problem: Problem, description: Table, known: set[str]) -> Problem:
    """Return a mistake in a datum that is in the description, and what to write."""
    value, message = description[problem.path], problem.message
    is_api = DATA[problem.path].template == "api_request"
    if problem.path == "api_url" and (found := re.match(r"\{token\.([\w.-]+)\}", str(value))):
        right = f'write api_url_field = "{found[1]}" instead, with api_domains'
        return Problem(problem.path, f"names {found[0]}: {right}")
    advice = name_advice(message, known, is_api=is_api)
    if advice != message:
        return Problem(problem.path, advice)
    name = message.partition(" needs body_format json")[0]
    if name != message and name in {"headers", "query", "settings", "values", "params"}:
        right = key_for(name, KNOWN)
        return Problem(problem.path, f"{name} is a table of its own: write [{right}]")
    if found := _SENT_ALREADY.fullmatch(message):
        return Problem(problem.path, f"{message}: {_not_twice(found[1], description)}")
    # A value of another type in place of a table may show what the keys of a table hide.
    is_table = get_origin(kind_of(datum_types()[problem.path])[0]) is Mapping
    right = _table(problem.path, value) if is_table else fix(problem.path, value)
    right = "" if "that setting does not have" in message else right
    right += _elsewhere(problem.path, value) if right else ""
    # A value that is sent unchanged may be a secret.
    is_hidden = is_table or problem.path == "body"
    is_hidden = is_hidden or (problem.path == "authorization_value" and "{" not in str(value))
    is_hidden = is_hidden or message.startswith(SECRET_LIKE)
    return Problem(problem.path, with_value(message, "" if is_hidden else shown(value), right))


def _advised_alone(problem: Problem, description: Table) -> Problem:
    """Return a mistake in a datum that is missing in the description, and what to write."""
    message = problem.message
    if problem.path == "token_url":
        message = f'{message}: write token_url = "https://…"'
    elif problem.path == "content_type":
        usual = _type_of(str(description.get("body")).lstrip())
        message = f'{message.partition(",")[0]}; write content_type = "{usual}"'
    elif problem.path in {"credentials", "scope"} and problem.path in description:
        value = description[problem.path]
        right = _credentials(value) if problem.path == "credentials" else ""
        message = with_value(message, shown(value), "" if right == shown(value) else right)
    return Problem(problem.path, message)


def _type_of(body: str) -> str:
    if re.match(r"[\w.-]+=", body):
        return "application/x-www-form-urlencoded"
    return {"<": "application/xml", "{": "application/json"}.get(body[:1], "text/plain")


def _table(datum: str, value: object) -> str:
    """Return what to write in place of a table, or of a string or a list instead of one."""
    if isinstance(value, Mapping):
        return _in_table(datum, value)
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        keys = [each.get("name", each.get("key")) for each in value]
        value = [f"{key}=" for key in keys if isinstance(key, str)]
    lines = value if isinstance(value, list) else re.split("[&;,]", str(value))
    found = [re.match(r"[ ?]*([\w.-]+) *[=:]", str(each)) for each in lines]
    names = [each[1] for each in found if each]
    if len(names) < len(lines):
        return ""
    return "{ " + ", ".join(f'{each} = "…"' for each in names) + " }"


def _in_table(datum: str, value: Table) -> str:
    """Return what to write in place of a name or a value in a table; no secret is among these."""
    if datum in _HEADERS:
        wrong = [str(each) for each in value if not re.fullmatch(r"[^\s:]+", str(each))]
        named = ", ".join(re.sub(r"\s+", "-", each.partition(":")[0].strip()) for each in wrong)
        if named:
            return named
    if get_args(kind_of(datum_types()[datum])[0])[1] is not str:
        dates = [key for key, each in value.items() if isinstance(each, (dt.date, dt.time))]
        return ", ".join(f'{key} = "{value[key].isoformat()}"' for key in dates)
    if datum == "error_codes":
        return ", ".join(f'{key} = "invalid_client"' for key in value)
    found: list[str] = []
    for key, each in value.items():
        only = each[0] if isinstance(each, list) and len(each) == 1 else each
        if isinstance(only, (bool, int, float)) or only is not each:
            found.append(
                f"{key} = {json.dumps(only if isinstance(only, str) else str(only).lower())}"
            )
    return ", ".join(found)


def _credentials(value: object) -> str:
    if isinstance(value, Mapping) and (
        name := next((key for key, each in value.items() if isinstance(each, Mapping)), "")
    ):
        return f"its tables as settings, such as [settings.{snake(str(name))}]"
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if value == "":
        return "nothing: without credentials they are a client ID and a secret"
    if isinstance(value, str) and re.search("(?i)user.*password", value):
        described = "[settings.username], and [settings.password]"
        return f'"none", and describe them: {described} kind = "secret"'
    if isinstance(value, str) and re.search("(?i)api|user|password|token", value):
        return f'"none", and describe it: [settings.{snake(value)}] kind = "secret"'
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
    """Return where to write a part that an address can't have."""
    query = re.search(r"\?([^#}]+)$", value) if isinstance(value, str) else None
    if not query or datum not in {"token_url", "api_url"}:
        return ""
    names = ", ".join(each.partition("=")[0] for each in query[1].split("&"))
    return f", and {names} in {'api_query' if datum == 'api_url' else 'query'}"


def _advised_setting(problem: Problem, description: Table, name: str, key: str | None) -> Problem:
    """Return a mistake in the table of a setting, and what to write."""
    tables = description.get("settings")
    table = tables.get(name) if isinstance(tables, Mapping) else None
    message = problem.message
    if not isinstance(table, Mapping):
        example = f'[settings.{snake(name)}] title = "{title_of(snake(name)) or "…"}"'
        return Problem(problem.path, f"{message}: write {example}")
    if key is None:
        right = snake(name)
        if message.startswith("can't be the name") and right and right != name:
            message = f"{message}; write {right}"
        return Problem(problem.path, message)
    value = table.get(key)
    if message.startswith("is not known"):
        return Problem(problem.path, f"is not known.{_known_setting_key(key, value)}")
    is_secret = key == "default" and (
        table.get("kind") == "secret" or SECRET_NAME.fullmatch(snake(name)) is not None
    )
    given = "" if is_secret or value is None else shown(value)
    is_plain = is_secret and not isinstance(value, Mapping)
    right = "" if is_plain else _setting_fix(key, value, str(table.get("kind", "text")))
    if message.startswith("must be") and message.endswith("as the credential of that name is"):
        right = f'kind = "{message.split()[2][:-1]}"'
    if message.startswith("must be given if kind is choice"):
        right = 'kind = "choice" too' if value else 'choices = ["…"], or kind = "text"'
    return Problem(
        problem.path,
        with_value(message, given, "" if right == given and isinstance(value, str) else right),
    )


def _known_setting_key(key: str, value: object) -> str:
    if key in KNOWN and _meant_setting(key) != "title":
        return f" It belongs to the provider: write {key} above the first [settings.…] line."
    if snake(key) in {"required", "mandatory", "nullable"}:
        return " A setting is required; write optional = true for one that is not."
    if snake(key) in {"env", "env_var", "environment_variable"}:
        return " A description can't contain a secret reference: write it in keyturn.toml."
    if snake(key) in {"secret", "sensitive", "is_secret", "masked"} and value is True:
        return ' Write kind = "secret".'
    known = _meant_setting(key)
    return f" Did you mean {known}?" if known else ""


def _meant_setting(key: str) -> str:
    """Return the key of a setting that another key means, or an empty string."""
    return key_for(key, SETTING_KEYS, of_setting=True)


def _setting_fix(key: str, value: Any, kind: str) -> str:
    """Return what to write in place of a wrong value of a setting's table, or an empty string."""
    if key == "choices" and isinstance(value, (str, list)):
        listed = re.findall(r"[^,|;\s]+", value) if isinstance(value, str) else value
        named = [
            each.get("value", each.get("const")) for each in listed if isinstance(each, Mapping)
        ]
        listed = named if named and all(named) else listed or ["…"]
        strings = [
            each if isinstance(each, str) else json.dumps(each, default=str) for each in listed
        ]
        return json.dumps(strings, ensure_ascii=False)
    if key == "optional":
        return _BOOLEANS.get(str(value).lower(), "")
    if key == "default":
        return _default_fix(value, kind)
    if key == "title" and isinstance(value, (int, float)):
        return json.dumps(str(value))
    return _string_fix(key, value) if isinstance(value, str) else ""


def _string_fix(key: str, value: str) -> str:
    """Return what to write in place of a wrong string in a setting's table, or an empty string."""
    if key == "title":
        return json.dumps(" ".join(value.split())) if value.strip() else '"…"'
    if key == "kind":
        right = kind_for(value, KINDS)
        if not right and (form := value_for("format", value, FORMATS)):
            return f'"text", with format = "{form}"'
        is_boolean = snake(value) in {"bool", "boolean", "flag", "checkbox"}
        more = ' with choices = ["true", "false"]' if is_boolean else ""
        return f'"{right}"{more}' if right else ""
    if key in {"pattern", "format"}:
        return pattern(value) if key == "pattern" else _format(value)
    is_bound = key in {"min", "max", "min_length", "max_length"}
    return value if is_bound and re.fullmatch(r"-?[0-9]{1,15}", value) else ""


def _default_fix(value: Any, kind: str) -> str:
    """Return what to write in place of a wrong default, or an empty string."""
    if isinstance(value, (list, tuple)):
        only = value[0] if len(value) == 1 else None
        return (_default_fix(only, kind) or json.dumps(only)) if isinstance(only, str) else ""
    if isinstance(value, Mapping):
        return "a secret reference in keyturn.toml instead, for each connection"
    if kind == "integer":
        found = re.fullmatch(r"-?[0-9]{1,15}", str(value).partition(".")[0])
        return found[0] if found and not isinstance(value, bool) else ""
    if not isinstance(value, str):
        is_plain = isinstance(value, (bool, int, float, dt.date))
        return json.dumps(str(value).lower()) if is_plain else ""
    if not value.strip():
        return "optional = true instead"
    made = {"url": address, "domain": domain, "label": slug}.get(kind, str.strip)
    right = made(value)
    return json.dumps(right, ensure_ascii=False) if right and right != value else ""


def _format(value: str) -> str:
    if snake(value) in {"password", "secret"}:
        return 'kind = "secret" instead'
    right = value_for("format", value, FORMATS)
    return f'"{right}"' if right else ""
