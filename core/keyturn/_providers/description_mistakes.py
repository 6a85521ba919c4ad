"""The mistakes in a description: each with its place, the wrong value, and what to write."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from keyturn._common.names import did_you_mean
from keyturn._http.error_codes import OAUTH_CODES, RATE_CODES, UNAVAILABLE_CODES
from keyturn._http.steps import STEP_NAMES
from keyturn._providers.data import DATA
from keyturn._providers.description_advice import KNOWN, advised, meant_setting
from keyturn._providers.description_fixes import PATH_CHECKS, placeholder, shown
from keyturn._providers.description_tables import meant_in_discovery, named_in
from keyturn._providers.description_words import key_for, snake
from keyturn._providers.kinds import fields_of
from keyturn._providers.setting_tables import CREDENTIAL_FIELDS
from keyturn.errors import Problem

Table = Mapping[str, Any]

_CODES = OAUTH_CODES | UNAVAILABLE_CODES | RATE_CODES
_OWN_VALUES = ("client_id", "client_secret", "username", "password", "private_key", "api_key")
_TEMPLATE_PROBLEM = re.compile(r"names \{|is not a template|must be a URL|must have|must begin")


def unknown_keys(description: Table) -> Iterator[Problem]:
    """Yield the keys that no description has."""
    for key, value in description.items():
        if key not in KNOWN:
            yield Problem(str(key), f"is not known.{_known_key(str(key), value)}")


def _known_key(key: str, value: object) -> str:
    if key in _OWN_VALUES or (isinstance(value, str) and snake(key) in _OWN_VALUES):
        return (
            " A description holds no credentials: they are settings of each connection. Other "
            f'settings than the usual ones are described: [settings.{snake(key)}] title = "…"'
        )
    if snake(key) == "scopes":
        return (
            " A scope is a setting of each connection. One for all is its default: "
            '[settings.scope] kind = "scope", title = "Scope", default = …'
        )
    if snake(key) in {"provider", "connection", "connections"}:
        return f" Write its keys at the top of the file, without [{key}]."
    if isinstance(value, Mapping) and {"title", "kind", "type"} & value.keys():
        return f" Did you mean [settings.{key}]?"
    known = key_for(key, KNOWN)
    return f" Did you mean {known}?" if known else ""


def reviewed(description: Table, found: list[Problem], settings: type[Any]) -> list[Problem]:
    """Return all mistakes, each reported once, with its value and what to write.

    Args:
        description: The description; its settings are tables.
        found: The mistakes that are reported of any provider, and of the settings.
        settings: The class that the settings make.
    """
    names = fields_of(settings)
    by_path = {each.path: each for each in found}
    _drop_consequences(description, by_path)
    for path, message in _placeholders(description, names):
        datum = path.partition(".")[0]
        if datum in by_path and _TEMPLATE_PROBLEM.search(by_path[datum].message):
            del by_path[datum]
        by_path[path] = Problem(path, message)
    for path, message in _further(description, names, [*by_path]):
        if path.startswith("error_codes."):
            by_path.pop("error_codes", None)
        by_path.setdefault(path, Problem(path, message))
    return [advised(each, description, names) for each in by_path.values()]


def _drop_consequences(description: Table, by_path: dict[str, Problem]) -> None:
    """Remove what is reported only because of another mistake."""
    meant = {key_for(key, KNOWN) for key in map(str, description) if key not in KNOWN}
    meant |= {key for each in description.values() if isinstance(each, Mapping) for key in each}
    for name in ("token_url", "name"):
        if name in meant and name not in description:
            by_path.pop(name, None)
    tables = description.get("settings")
    for name, table in tables.items() if isinstance(tables, Mapping) else ():
        # What is written under another name is not missing.
        keys = [*map(str, table)] if isinstance(table, Mapping) else []
        if any(meant_setting(key) == "title" for key in keys if key != "title"):
            by_path.pop(f"settings.{name}.title", None)
    _drop_of_tables(description, by_path, meant)


def _drop_of_tables(
    description: Table, by_path: dict[str, Problem], meant: Collection[str]
) -> None:
    """Remove what is reported only because of a mistake in the values or the steps."""
    if "values" in meant or "values" in by_path:
        for path in [path for path, each in by_path.items() if "not a setting" in each.message]:
            del by_path[path]
    if "url" in meant_in_discovery(description.get("discovery")):
        by_path.pop("discovery.url", None)
    for step in STEP_NAMES:
        # What a wrong step would have is not there for templates.
        if step in meant or any(path.partition(".")[0] == step for path in by_path):
            named = [path for path, each in by_path.items() if f"{{{step}." in each.message]
            for path in named:
                del by_path[path]


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _strings(each)


def _placeholders(description: Table, names: Table) -> Iterator[tuple[str, str]]:
    """Yield the placeholders that are written as other tools have them."""
    known = {*names, *named_in(description)}
    previous = description.get("previous")
    field = previous.get("token_field", "access_token") if isinstance(previous, Mapping) else ""
    for path, template in _placed(description):
        datum = DATA[path.partition(".")[0]]
        own = {"token"} if datum.template == "api_request" else set[str]()
        wrong, right = placeholder(template, known | own)
        if wrong:
            yield path, f"has {wrong}, which is no placeholder: write {right}"
        for member in re.findall(r"\{previous\.([^{}\[\]]+)\}", template):
            if member != field and snake(member) == snake(str(field)):
                problem = f"has {{previous.{member}}}, but token_field of that step is {field}"
                yield path, f"{problem}: write {{previous.{field}}}"


def _placed(description: Table) -> Iterator[tuple[str, str]]:
    """Yield the place and the string of each template."""
    for datum in (name for name, each in DATA.items() if each.template or name == "values"):
        value = description.get(datum)
        entries = dict(value) if isinstance(value, Mapping) else {"": value}
        if datum == "values":
            entries = {
                f"{name}.{key}": table[key]
                for name, table in entries.items()
                if isinstance(table, Mapping)
                for key in ("template", "hmac_key")
                if key in table
            }
        for key, each in entries.items():
            for template in _strings(each):
                yield f"{datum}.{key}" if key else datum, template


def _further(description: Table, names: Table, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield what else is a mistake, although each datum is right by itself."""
    yield from _sent_twice(description, names)
    yield from _wrong_codes(description)
    yield from _wrong_names(description)
    for datum in (name for name, each in DATA.items() if each.check in PATH_CHECKS):
        if re.search("/|->|::", str(description.get(datum, ""))):
            yield datum, "must be a path such as data.token"
    way = description.get("client_authentication", "")
    if str(way).startswith("client_secret_basic") and "client_secret" not in names:
        problem = f'have no client_secret, which client_authentication = "{way}" sends'
        yield "credentials", f"{problem}: remove credentials, or write another way to authenticate"
    # A setting may be meant where another mistake is.
    if not any(_has_templates(path.partition(".")[0]) for path in known):
        yield from _unused(description, names, known)


def _has_templates(datum: str) -> bool:
    is_table_of_others = datum not in KNOWN or datum in STEP_NAMES
    return is_table_of_others or (datum in DATA and bool(DATA[datum].template))


def _unused(description: Table, names: Table, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the settings that nothing is sent of."""
    used = {word for each in _templates(description) for word in re.findall(r"\w+", each)}
    for name in _tables(description.get("settings", {})):
        is_sent = name in CREDENTIAL_FIELDS or name == "scope"
        is_wrong = any(path.startswith(f"settings.{name}.") for path in known)
        if name in names and not (is_sent or is_wrong or name in used):
            where = f"write {{{name}}} where its value goes, such as in parameters"
            yield f"settings.{name}", f"is used nowhere: {where}, or remove it"


def _templates(description: Table) -> Iterator[str]:
    """Yield what stands in all strings that may have placeholders."""
    for key, value in description.items():
        if key not in {"settings", "title"}:
            yield from _strings(value)


def _tables(settings: object) -> Iterator[str]:
    if isinstance(settings, Mapping):
        yield from (str(name) for name, table in settings.items() if isinstance(table, Mapping))


def _sent_twice(description: Table, names: Table) -> Iterator[tuple[str, str]]:
    name = description.get("scope_name", "scope")
    for table in ("parameters", "query"):
        given = description.get(table, {})
        if "scope" in names and name and isinstance(given, Mapping) and name in [*given]:
            yield (
                f"{table}.{name}",
                'is sent already, from the setting scope: remove it, or write scope_name = ""',
            )
    way = description.get("client_authentication", "")
    headers = description.get("token_headers", {})
    for header in headers if isinstance(headers, Mapping) else ():
        if str(header).lower() == "authorization" and str(way).startswith("client_secret_basic"):
            problem = f'is sent already, by client_authentication = "{way}"'
            yield f"token_headers.{header}", f"{problem}: remove it, or authenticate in another way"


def _wrong_names(description: Table) -> Iterator[tuple[str, str]]:
    """Yield what is no name of a parameter, a header or a code."""
    if re.search("[?=&{}]", str(description.get("authorization_query", ""))):
        yield "authorization_query", "must be the name of a parameter alone"
    for datum in ("token_header", "lifetime_header"):
        if re.match(r"(?i)headers?\.", str(description.get(datum, ""))):
            yield datum, "must be the name of a header alone"
    codes = description.get("rejected_codes", ())
    if isinstance(codes, str) and "," in codes:
        yield "rejected_codes", "must be a list where there are several codes"


def _wrong_codes(description: Table) -> Iterator[tuple[str, str]]:
    """Yield what is nearly a code of OAuth, or a table that is the wrong way round."""
    codes = description.get("error_codes", {})
    for own, code in codes.items() if isinstance(codes, Mapping) else ():
        path = f"error_codes.{own}"
        if own in _CODES and code not in _CODES:
            yield path, f"is the wrong way round: write {json.dumps(str(code))} = {json.dumps(own)}"
        elif isinstance(code, str) and code not in _CODES:
            near = snake(code)
            if near not in _CODES:
                near = did_you_mean(code, _CODES, similarity=0.8)[14:-1]
            if near:
                yield path, f"{shown(code)} is no code of OAuth: write {json.dumps(near)}"
