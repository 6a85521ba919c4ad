"""What to write in place of mistakes in the values and the steps of a description."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from keyturn._common.names import did_you_mean
from keyturn._http.steps import STEP_NAMES
from keyturn._http.times import TIME_FORMATS
from keyturn._providers.description_fixes import address, domain, shown, with_value
from keyturn._providers.description_times import date_pattern, zone
from keyturn._providers.description_words import (
    RANDOM_WORDS,
    TIME_WORDS,
    inner_key,
    snake,
    value_for,
)
from keyturn._providers.lifetimes import duration
from keyturn._providers.named_values import DIGESTS, ENCODINGS, KEYS, REQUEST_NAMES, TEMPLATES
from keyturn.errors import Problem

Table = Mapping[str, Any]

_NO_SETTING = re.compile(r"names \{([^}]*)\}, which is not a setting")
_NO_STEP = re.compile(r"'[^']*\{(\w+)\.([\w.-]+)\}[^']*' is not a template")
_TOKENS = {"access_token", "bearer_token", "auth_token", "bearer", "jwt"}
# Fields of a token response (RFC 6749 section 5.1), and of responses that have the API's address.
_OF_RESPONSE = {"token_type", "instance_url", "api_domain"}
# What others write before a setting, and names with a meaning of their own.
_HEADS = {"settings", "setting", "config", "connection", "env", "self", "inputs", "vars"}
_OWN_NAMES = {
    "token": ": it is for API requests; a step before has {previous.access_token}",
    "scope": ": it is sent by itself; remove this one",
    "private_key": '; write credentials = "private_key"',
    "certificate": '; write credentials = "certificate"',
    "access_token": ": the token of a step before is {previous.access_token}; write that",
    "uuid": ', alone in a value: name one that is made of it: [values.id] template = "{uuid}"',
    "previous": "; write {previous.access_token}",
    "discovery": "; write {discovery.token_endpoint}",
}
_VALUE_KEYS = ("template", "encoding", "digest", *KEYS, "time", "offset", "timezone")
_DISCOVERY_KEYS = ("url", "lifetime", "domains")


def name_advice(message: str, names: Collection[str], *, is_api: bool) -> str:
    """Return a message about a template; for a wrong name, with the one that was meant.

    Args:
        message: The message.
        names: The settings and the values.
        is_api: Whether the template is for API requests.
    """
    if found := _NO_SETTING.search(message):
        return message + _meant_name(found[1], names, is_api=is_api)
    if not (found := _NO_STEP.match(message)):
        return message
    head, path = found.groups()
    named = f"names {{{head}.{path}}}"
    if head in STEP_NAMES:
        key = "url" if head == "discovery" else "token_url"
        return f'{named}, but there is no table [{head}]: write one, with {key} = "https://…"'
    if head == "request" and f"request.{path}" not in REQUEST_NAMES:
        return f"{named}: it must be one of {', '.join(REQUEST_NAMES)}"
    if head in {"token", "request"}:
        return f"{named}, which only API requests have"
    near = did_you_mean(head, STEP_NAMES)[14:-1]
    right = f"{near}.{path}" if near else snake(path) if head in _HEADS else ""
    return f"{named}: write {{{right}}}" if right else message


def _meant_name(name: str, names: Collection[str], *, is_api: bool) -> str:
    plain = snake(name)
    if name in names:
        return ": a value may only name those above it"
    if plain in RANDOM_WORDS:
        return "; write {uuid}"
    if is_api and plain in {*_TOKENS, *_OF_RESPONSE}:
        return f"; write {{{'token' if plain in _TOKENS else f'token.{plain}'}}}"
    if name in _OWN_NAMES:
        return _OWN_NAMES[name]
    if plain in TIME_WORDS:
        return f'; describe it: [values.{plain}] time = "epoch"'
    is_url = plain in {"url", "base_url"}  # no other address may be named
    near = "" if is_url else did_you_mean(name, names)
    rest = 'kind = "url"' if is_url else 'title = "…"'
    return f".{near}" if near else f"; describe it: [settings.{plain}] {rest}"


def advised_values(problem: Problem, description: Table, names: Collection[str]) -> Problem:
    """Return a mistake in the table `values`, and what to write."""
    message, values = problem.message, description["values"]
    rest = problem.path.partition(".")[2]
    if not rest:
        return Problem(problem.path, _no_value(message, values))
    if message.startswith("can't be the name"):
        right = snake(rest)
        return Problem(
            problem.path, f"{message}; write {right if right != rest else f'{rest}_value'}"
        )
    name, _, key = rest.rpartition(".")
    if not name:
        return problem
    value = values[name].get(key)
    if message.startswith("is not known"):
        message = f"is not known.{_meant_key(key, values[name])}"
    elif key in TEMPLATES:
        message = name_advice(message, names, is_api=False)
    elif value is None:
        message = f'{message}; write digest = "sha256"'
    else:
        message = with_value(message, shown(value), _right_value(key, value))
    return Problem(problem.path, message)


def _no_value(message: str, values: object) -> str:
    """Return a message about a value that is not a table, or has neither template nor time."""
    if not isinstance(values, Mapping):
        return "must be a table of tables: write [values.NAME], with template or time below it"
    name = message.partition(" must be")[0]
    table = values.get(name)
    if not isinstance(table, Mapping):
        return f'{message}: write [values.{name}], and template = "…" below it'
    if {"uuid", *RANDOM_WORDS} & {*map(snake, map(str, table))}:
        return f"{message}: write {{uuid}} where its value goes, without [values.{name}]"
    meant = [inner_key(key, ("template", "time")) for key in table]
    if {"template", "time"} <= table.keys():
        return f"{message}, not both: write a value for the time, which the template names"
    near = next(filter(None, meant), "")
    return f"{message}. Did you mean {near}?" if near else message


def _meant_key(key: str, table: Table) -> str:
    if key in _VALUE_KEYS:
        other = "time" if "time" in table else "template"
        return f" It can't be set beside {other}: write another value that names this one"
    near = inner_key(key, _VALUE_KEYS)
    return f" Did you mean {near}?" if near else ""


def _right_value(key: str, value: object) -> str:
    """Return what to write in place of a wrong value of a value's table, or an empty string."""
    if key == "offset":
        plain = str(value).strip(" +")
        made = f"{plain}s" if re.fullmatch(r"-?[0-9]+", plain) else plain
        return json.dumps(made) if duration(made.removeprefix("-")) is not None else ""
    if not isinstance(value, str):
        return ""
    if key == "timezone":
        made = zone(value)
    elif key == "time":
        made = value_for("time", value, TIME_FORMATS) or date_pattern(value)
    elif value.lower() in {"", "none", "plain", "raw", "utf-8", "utf8", "ascii", "text"}:
        return f"nothing: without {key} there is none"
    elif re.match("(?i)sha-?3|base32", value):
        return "one of these: keyturn supports no other"
    else:
        made = value_for(key, value, ENCODINGS if key == "encoding" else DIGESTS)
    return json.dumps(made) if made else ""


def _template(table: object) -> str:
    """Return the template of a value, or an empty string."""
    return str(table.get("template", "")) if isinstance(table, Mapping) else ""


def value_mistakes(description: Table, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield values with an empty template, and misspelled members of steps."""
    values = description.get("values")
    for name, table in values.items() if isinstance(values, Mapping) else ():
        if isinstance(table, Mapping) and table.get("template") == "":
            yield (
                f"values.{name}.template",
                'is empty; write a template, such as "{client_id}"',
            )
        found = re.match(r"(?i)(basic|bearer)\s+(?=\{)", _template(table))
        if found and "encoding" in table:
            right = f'{json.dumps(_template(table)[found.end() :])}, and "{found[1]} {{{name}}}"'
            problem = f"has {found[1]}, which would be encoded too"
            yield f"values.{name}.template", f"{problem}; write {right} where its value goes"
        for key in KEYS if isinstance(table, Mapping) else ():
            if table.get(key) in names:
                right = json.dumps(f"{{{table[key]}}}")
                yield f"values.{name}.{key}", f"is the name of a setting; write {right}"
    table = description.get("discovery")
    url = str(table.get("url", "")) if isinstance(table, Mapping) else ""
    if host := re.fullmatch(r"(https://[^/{}]+)(?:/\.well-known)?/?", url):
        right = f"{host[1]}/.well-known/openid-configuration"
        problem = f"must be the address of the document itself (it is {shown(url)})"
        yield "discovery.url", f"{problem}; write {json.dumps(right)}, or another"
    for datum in ("token_url", "revocation_url"):
        found = re.match(r"\{discovery\.(\w+)\}", str(description.get(datum, "")))
        wrong = found and found[1] not in _ENDPOINTS
        if found and wrong and (snake(found[1]) in _ENDPOINTS or _is_metadata(description)):
            plain = snake(found[1])
            right = plain if plain in _ENDPOINTS else f"{datum.removesuffix('_url')}_endpoint"
            problem = f"names {found[0]}, which no such document has"
            yield datum, f'{problem}; write "{{discovery.{right}}}"'


_ENDPOINTS = {"token_endpoint", "revocation_endpoint", "issuer", "mtls_endpoint_aliases"}


def _is_metadata(description: Table) -> bool:
    """Return whether the document is one of RFC 8414 or of OpenID Connect Discovery."""
    table = description.get("discovery")
    url = str(table.get("url", "")) if isinstance(table, Mapping) else ""
    return bool(
        re.search(r"/\.well-known/(?:openid-configuration|oauth-authorization-server)", url)
    )


def advised_step(problem: Problem, description: Table) -> Problem:
    """Return a mistake in a step before the token request, and what to write."""
    step, _, key = problem.path.partition(".")
    value, message = description[step], problem.message
    if message.startswith("is not used"):
        return problem
    if not key:
        below = 'url = "https://…"' if step == "discovery" else 'token_url = "https://…"'
        is_list = isinstance(value, list)
        message = f"{message}: write [{step}]{f', not [[{step}]]' if is_list else ''}"
        return Problem(step, f"{message}, with {below} below it")
    if step == "discovery":
        message = _discovery(key, message, value.get(key))
    else:
        message = f"is for all steps: write it above the line [{step}]"
        message += " or in [settings.…]" if key == "settings" else ""
    return Problem(problem.path, message)


def _discovery(key: str, message: str, value: object) -> str:
    if message.startswith("is not known"):
        near = inner_key(key, _DISCOVERY_KEYS)
        return message + (f" Did you mean {near}?" if near else "")
    if key == "url":
        right = address(value) if isinstance(value, str) else "https://…"
        if "?" in str(value):  # without its query, it may be another document
            url = json.dumps(right, ensure_ascii=False)
            return f"{message}; write [previous] instead, with token_url = {url}, and its query"
        return with_value(message, shown(value), json.dumps(right, ensure_ascii=False))
    if key == "lifetime":
        seconds = duration(value) if isinstance(value, str) else None
        return with_value(message, shown(value), f"{seconds or 86_400:.0f}")
    listed = value if isinstance(value, (list, tuple)) else [value]
    return f"{message}; write {json.dumps([domain(str(each)) for each in listed])}"


def named_in(description: Table) -> list[str]:
    """Return the names of the values."""
    values = description.get("values")
    return [*map(str, values)] if isinstance(values, Mapping) else []


def meant_in_discovery(table: object) -> set[str]:
    """Return the keys that unknown keys in the table `discovery` mean."""
    keys = [*map(str, table)] if isinstance(table, Mapping) else []
    return {inner_key(key, _DISCOVERY_KEYS) for key in keys if key not in _DISCOVERY_KEYS}
