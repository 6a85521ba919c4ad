"""Mistakes in a description whose data are each valid by themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from keyturn._common.names import did_you_mean
from keyturn._http.steps import STEP_NAMES
from keyturn._providers.client_authentication import NEEDED_SETTINGS, SIGNED
from keyturn._providers.data import DATA
from keyturn._providers.description_addresses import address_mistakes
from keyturn._providers.description_advice import KNOWN
from keyturn._providers.description_fields import setting_mistakes
from keyturn._providers.description_fixes import shown
from keyturn._providers.description_requests import (
    authorization_mistakes,
    body_mistakes,
    grant_mistakes,
    header_mistakes,
)
from keyturn._providers.description_responses import code_mistakes, response_mistakes
from keyturn._providers.description_tables import value_mistakes
from keyturn._providers.setting_tables import CREDENTIAL_FIELDS
from keyturn._providers.templates import strings_in

Table = Mapping[str, Any]
Mistakes = Iterator[tuple[str, str]]

_NAMES = ("client_id_name", "client_secret_name")
_SENT_BY_NAME = ("client_secret_post", "client_secret_headers")
# Data without effect, and the data that make them so.
_ALONE: dict[str, tuple[str, Callable[[Table], object]]] = {
    "authorization_scheme": (
        (
            "is not sent beside authorization_value or authorization_query: write it in "
            'authorization_value, such as "Token {token}", or remove it'
        ),
        lambda data: data.get("authorization_value") or data.get("authorization_query"),
    ),
    "authorization_header": (
        "is not sent beside authorization_query: remove one of the two",
        lambda data: data.get("authorization_query"),
    ),
    "client_id_name": (
        "is not sent with {way}: remove it, or write another client_authentication",
        lambda data: (
            str(data.get("client_authentication")).startswith("client_secret_basic")
            and data.get("credentials") != "public"
        ),
    ),
    "client_secret_name": (
        "is not sent with {way}: remove it, or write another client_authentication",
        lambda data: data.get("client_authentication") not in {None, *_SENT_BY_NAME},
    ),
    "rejected_field": (
        "is read with rejected_codes only: write these too, or remove it",
        lambda data: "rejected_codes" not in data,
    ),
    "api_domains": (
        "is for an address in the token's response: write api_url_field too, or remove it",
        lambda data: "api_url_field" not in data,
    ),
}
_KEY_HEADERS = ("kid", "x5t", "x5t#S256", "x5c", "x5u", "jku")
_PLACED = r"\{([^{}]*)\}"


def further(
    description: Table, names: Table, known: Collection[str], own: Collection[str]
) -> Mistakes:
    """Yield what else is a mistake; see `description_mistakes.reviewed`.

    Args:
        description: The description.
        names: The fields of its settings.
        known: The paths of the mistakes that are known already.
        own: The keys that are not inherited, with those in its tables.
    """
    yield from _sent_twice(description, names)
    yield from code_mistakes(description)
    yield from _wrong_names(description)
    yield from authorization_mistakes(description)
    yield from response_mistakes(description)
    yield from grant_mistakes(description)
    yield from header_mistakes(description)
    yield from body_mistakes(description)
    yield from address_mistakes(description, names)
    yield from _credentials(description, names)
    yield from _claims(description)
    yield from setting_mistakes(description)
    yield from value_mistakes(description, names)
    yield from _without_effect(description, own)
    # A setting may be used in a datum that has another mistake.
    if not any(_has_templates(path.partition(".")[0]) for path in known):
        yield from _unused(description, names, known, own)


def _has_templates(datum: str) -> bool:
    is_table_of_others = datum not in KNOWN or datum in STEP_NAMES
    return is_table_of_others or (datum in DATA and bool(DATA[datum].template))


def _unused(
    description: Table, names: Table, known: Collection[str], own: Collection[str]
) -> Mistakes:
    """Yield the settings, the values and the steps that nothing is sent of."""
    placed = [found for each in _templates(description) for found in re.findall(_PLACED, each)]
    used = {word for each in placed for word in re.findall(r"\w+", each)}
    for name in map(str, _table(description, "settings")):
        is_sent = name in CREDENTIAL_FIELDS or name == "scope"
        is_wrong = any(path.startswith(f"settings.{name}.") for path in known)
        if name in names and not (is_sent or is_wrong or name in used):
            yield f"settings.{name}", f"is not used: {_where(name)}, or remove it"
    if description.get("scope") == "required" and not (
        _sends_scope(description) or "scope" in used
    ):
        yield "scope", f"is not sent: {_where('scope')}, or remove it"
    values = _table(description, "values")
    has_wrong = any(path.startswith("values") for path in known)
    for name in values if not has_wrong else ():
        others = {**description, "values": {n: each for n, each in values.items() if n != name}}
        is_used = any(
            name in re.findall(r"\w+", found)
            for each in _templates(others)
            for found in re.findall(_PLACED, each)
        )
        if f"values.{name}" in own and not is_used:
            yield f"values.{name}", f"is not used: {_where(name)}, or remove it"
    for step, member in {"previous": "access_token", "discovery": "token_endpoint"}.items():
        if isinstance(description.get(step), Mapping) and step in own and step not in used:
            yield step, f"is not used: {_where(f'{step}.{member}')}, or remove it"


def _table(description: Table, key: str) -> Table:
    """Return a table of a description, or an empty one."""
    table = description.get(key)
    return table if isinstance(table, Mapping) else {}


def _where(name: str) -> str:
    place = "token_url" if name.startswith("discovery") else "parameters"
    return f"write {{{name}}} where its value goes, such as in {place}"


def _sends_scope(description: Table) -> bool:
    previous = _table(description, "previous")
    return bool(description.get("scope_name", "scope")) or (
        bool(previous) and _sends_scope(previous)
    )


def _templates(description: Table) -> Iterator[str]:
    """Yield all strings that may have placeholders."""
    for key, value in description.items():
        if key not in {"settings", "title"}:
            yield from strings_in(value)


def _sent_twice(description: Table, names: Table) -> Mistakes:
    name = description.get("scope_name", "scope")
    for table in ("parameters", "query"):
        if "scope" in names and name and name in [*_table(description, table)]:
            yield (
                f"{table}.{name}",
                'is sent already, from the setting scope: remove it, or write scope_name = ""',
            )
    way = str(description.get("client_authentication", ""))
    sent, has_secret = (
        [description.get(n, DATA[n].default) for n in _NAMES],
        "client_secret" in names,
    )
    if way in {"", *_SENT_BY_NAME} and has_secret and sent[0] == sent[1] and sent[0]:
        yield "client_id_name", "is the name of the secret too: write another name for one of them"
    is_in_query = description.get("body_format") == "query" or description.get("method") == "GET"
    is_in_body = has_secret and not is_in_query
    secret = sent[1] if is_in_body and way in {"", "client_secret_post"} else ""
    if (
        way in {"", "client_secret_post"}
        and isinstance(secret, str)
        and secret in [*_table(description, "query")]
    ):
        right = 'remove it, or write client_secret_name = ""'
        yield f"query.{secret}", f"is sent already, in the body: {right}"
    for header in _table(description, "token_headers"):
        if str(header).lower() == "authorization" and str(way).startswith("client_secret_basic"):
            problem = f'is sent already, by client_authentication = "{way}"'
            yield f"token_headers.{header}", f"{problem}: remove it, or authenticate in another way"


def _wrong_names(description: Table) -> Mistakes:
    """Yield names that can't be those of a parameter or a header."""
    for datum, what in {
        "authorization_query": "a parameter",
        "scope_name": "a parameter",
        "client_id_name": "a parameter",
        "client_secret_name": "a parameter",
        "assertion_name": "a parameter",
    }.items():
        written = str(description.get(datum, ""))
        if re.search("[?=&{}<>]", written):
            right = re.sub(r"=.*|[?&{}<>$ ]", "", written)
            problem = f"must be the name of {what} alone (it is {shown(written)})"
            yield datum, f"{problem}; write {json.dumps(right)}"
    for table in ("parameters", "query", "api_query"):
        for name in _table(description, table):
            plain = str(name).strip().lstrip("?&").partition("=")[0]
            if not plain:
                yield f"{table}", "has a parameter without a name: remove it"
            elif plain != name:
                yield f"{table}.{name}", f"must be the name of a parameter alone; write {plain}"


def _credentials(description: Table, names: Table) -> Mistakes:
    """Yield credentials that are not used, or that are missing."""
    way = str(description.get("client_authentication", "client_secret_post"))
    if way.startswith("client_secret_basic") and "client_secret" not in names:
        problem = f'have no client_secret, which client_authentication = "{way}" sends'
        yield "credentials", f"{problem}: remove credentials, or write another way to authenticate"
    needed = NEEDED_SETTINGS.get(way, "")
    if needed in names and names[needed].default is None:
        place = f"settings.{needed}" if needed in _table(description, "settings") else "credentials"
        problem = f'let {needed} be absent, which client_authentication = "{way}" needs'
        yield place, f"{problem}: remove it, and {needed} is required"
    for name in DATA if way not in SIGNED else ():
        if name.startswith("assertion_") and description.get(name, DATA[name].default) not in (
            DATA[name].default,
            {},
        ):
            right = 'write client_authentication = "private_key_jwt" too'
            yield name, f"is for a signed JWT; {right}, or remove it"


def _claims(description: Table) -> Mistakes:
    """Yield claims that are times, and a header of the JWT that is spelled in another way."""
    claims = _table(description, "assertion_claims")
    for name in ("exp", "iat", "nbf"):
        if isinstance(claims.get(name), (int, float)):
            right = "assertion_lifetime, in seconds, instead"
            yield f"assertion_claims.{name}", f"is a time, which is new in each JWT; write {right}"
    header = str(description.get("assertion_key_header", "kid"))
    near = did_you_mean(header, _KEY_HEADERS, similarity=0.6)[14:-1]
    if header not in _KEY_HEADERS and near:
        yield (
            "assertion_key_header",
            f'is not a header of RFC 7515 (it is {shown(header)}); write "{near}"',
        )


def _without_effect(description: Table, own: Collection[str]) -> Mistakes:
    """Yield the data that have no effect because of other data."""
    way = description.get("client_authentication")
    for datum, (problem, is_useless) in _ALONE.items():
        value = description.get(datum)
        # An empty one says that nothing is sent.
        if (datum in own and value) and value != DATA[datum].default and is_useless(description):
            yield datum, f"{problem.replace('{way}', str(way))} (it is {shown(value)})"
