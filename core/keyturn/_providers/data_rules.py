"""Which data of a provider do not go together: what a JSON Schema can say, declared once.

A description is checked by these rules, and so are the settings of `generic`, whose JSON Schema
says them too. Which names may not be sent twice, no schema can say: see `calls.problems`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from keyturn._providers.checks import (
    Check,
    NamingCheck,
    SchemaCheck,
    anchored,
    check,
    in_any_case,
    matches,
    optional_client_header,
)
from keyturn._providers.client_authentication import NEEDED_SETTINGS, SIGNED
from keyturn._providers.data import TokenResponseMapping
from keyturn._providers.request_data import ClientAuthentication
from keyturn._providers.rules import ABSENT, GIVEN, Rule


def _other_than(*values: str) -> Check:
    """Return a check that a string is none of these."""
    rule = check(lambda value: value not in values, f"can't be {' or '.join(values)}")
    return SchemaCheck(rule, {"not": {"enum": [*values]}})


def _no_value(pattern: str) -> Check:
    """Return a check that a pattern is found in none of the values of a table."""
    return SchemaCheck(
        check(
            lambda table: not any(re.search(pattern, each) for each in table.values()),
            "has a value that is sent elsewhere",
        ),
        {"additionalProperties": {"not": {"type": "string", "pattern": pattern}}},
    )


def _no_name(name: str) -> Check:
    """Return a check that a table has no such name, in any case."""
    return SchemaCheck(
        check(lambda table: name not in map(str.lower, table), f"can't have {name}"),
        {"propertyNames": {"not": {"pattern": anchored(in_any_case(name))}}},
    )


_HMAC = ("HS256", "HS384", "HS512")
_ASSERTION = r"\{(?:[^{}]*\|)?assertion(?:[|:][^{}]*)?\}"
_NAMES_ASSERTION = matches(rf"[\s\S]*{_ASSERTION}[\s\S]*", "must name {assertion}")
_WITHOUT_ASSERTION = _no_value(_ASSERTION)
# In the form of `keyturn.toml`.
_REFERENCES = ("env", "file", "keyring", "command")
_IN_BODY = ("form", "json")
_WITH_BODY = ("POST", "PUT", "PATCH")


def _each_value(is_right: Callable[[Any], bool], problem: str, schema: Mapping[str, Any]) -> Check:
    """Return a check of a table's values, which names the first that is wrong."""
    return NamingCheck(
        lambda table: next(
            (f"{name} {problem}" for name, each in table.items() if not is_right(each)), None
        ),
        {"additionalProperties": schema},
    )


def _is_no_reference(value: Any) -> bool:
    is_table = isinstance(value, Mapping) and len(value) == 1
    return not (is_table and {*_REFERENCES} & value.keys())


def _is_flat(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not str(value).endswith(":json}")


_NO_REFERENCES = _each_value(
    _is_no_reference,
    "is a secret reference: use a setting instead, such as {client_secret}",
    {
        "not": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": {"enum": [*_REFERENCES]},
        }
    },
)
_FLAT_SCHEMA = {
    "type": ["string", "number", "boolean"],
    "not": {"type": "string", "pattern": r":json\}$(?!\n)"},
}
_FLAT = _each_value(
    _is_flat, "needs body_format json: it is a list, a table or {…:json}", _FLAT_SCHEMA
)
_FLAT_IN_QUERY = _each_value(
    _is_flat, "is a list, a table or {…:json}, which only a body can have", _FLAT_SCHEMA
)


def _instead(part: str) -> Rule:
    """Return the rule that a header and a path exclude each other."""
    usual = getattr(TokenResponseMapping, f"{part}_field")
    return Rule(
        f"{part}_header",
        f"can't be set beside {part}_field",
        when={f"{part}_field": _other_than("", usual)},
        must_be=ABSENT,
    )


DATA_RULES = (
    Rule(
        "body_format",
        "can't be json with method GET, which has no body",
        when={"method": "GET"},
        must_be=("form", "query"),
    ),
    Rule("body", "can't be sent with method GET", when={"method": "GET"}, must_be=ABSENT),
    Rule(
        "content_type",
        "is required with body, such as application/xml",
        when={"body": GIVEN, "method": _WITH_BODY},
    ),
    Rule(
        "parameters",
        "are not sent beside body: name them in it, or in query",
        when={"body": GIVEN, "body_format": _IN_BODY, "method": _WITH_BODY},
        must_be=ABSENT,
    ),
    Rule("parameters", "can't be secret references", when={}, must_be=_NO_REFERENCES),
    Rule(
        "parameters",
        "need body_format json for lists, tables and {…:json}",
        when={"body_format": ("form", "query"), "method": _WITH_BODY},
        must_be=_FLAT,
    ),
    Rule(
        "parameters",
        "can't be lists, tables or {…:json} with method GET, which has no body",
        when={"method": "GET"},
        must_be=_FLAT_IN_QUERY,
    ),
    Rule(
        "token_headers",
        "Content-Type is sent already: see content_type",
        when={"content_type": GIVEN},
        must_be=_no_name("content-type"),
    ),
    *(
        Rule(
            name,
            "must be the name of a header that keyturn may set",
            when={"client_authentication": "client_secret_headers"},
            must_be=optional_client_header,
        )
        for name in ("client_id_name", "client_secret_name")
    ),
    Rule(
        "assertion_algorithm",
        f"{', '.join(_HMAC)} are for client_secret_jwt only",
        when={
            "client_authentication": tuple(
                way for way in get_args(ClientAuthentication) if way != "client_secret_jwt"
            )
        },
        must_be=_other_than(*_HMAC),
    ),
    Rule(
        "assertion_algorithm",
        f"must be one of {', '.join(_HMAC)} with client_secret_jwt",
        when={"client_authentication": "client_secret_jwt"},
        must_be=("", *_HMAC),
    ),
    *(
        Rule(
            "body",
            f"must name {{assertion}}, the JWT of {way}: it can't be a parameter of this body",
            when={
                "client_authentication": way,
                "method": _WITH_BODY,
                "body": GIVEN,
                "body_format": _IN_BODY,
                "parameters": ABSENT,
                "query": _WITHOUT_ASSERTION,
                "token_headers": _WITHOUT_ASSERTION,
            },
            must_be=_NAMES_ASSERTION,
        )
        for way in SIGNED
    ),
    _instead("token"),
    _instead("lifetime"),
    Rule(
        "lifetime_timezone",
        'is for lifetime_format "date" or a pattern such as %Y-%m-%d',
        when={"lifetime_format": matches(r"(?!date(?![\s\S]))[^%]+", "must have no time zone")},
        must_be="UTC",
    ),
)
# Of credentials that may be absent, as those of `generic`.
CREDENTIAL_RULES = tuple(
    Rule(needed, f"is required for {way}", when={"client_authentication": way})
    for way, needed in NEEDED_SETTINGS.items()
)
