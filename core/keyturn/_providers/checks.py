"""Checks of values of the right type.

A check returns what is wrong with a value, or None; None itself is not checked. A `SchemaCheck`
has an equivalent JSON Schema. Its patterns mean the same in Python and in JavaScript with the flag
`u`: no class for spaces or digits, and an end that no newline may follow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from keyturn._http.error_codes import CODE_PATTERN, is_code
from keyturn._http.keys import UNREADABLE, jwk_of, private_key_problem
from keyturn._http.urls import (
    DOMAIN_PROBLEM,
    domain_pattern,
    domain_problem,
    url_pattern,
    url_problem,
)
from keyturn._secret import Secret

Check = Callable[[Any], str | None]

# One value of a scope (RFC 6749 section 3.3).
SCOPE_VALUE_PATTERN = r"[\x21\x23-\x5b\x5d-\x7e]+"
# Characters that are invisible or end a line: Unicode's categories C and Z in its first plane,
# without unassigned and private ones, and without the space itself.
_INVISIBLE = (
    r"\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\udfff\ufeff\ufff9-\ufffb"
)
ONE_LINE_PATTERN = rf"(?! )[^{_INVISIBLE}]*[^{_INVISIBLE} ]"
_SPACE = r"[ \t\r\n]"
_HEADER_NAME_PATTERN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"

# Only the HTTP client may set the headers that frame or route a request (RFC 9110 sections 7.2
# and 8.6, RFC 9112).
_FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def anchored(pattern: str) -> str:
    """Return a pattern for whole strings; a `$` alone may have a newline after it in Python."""
    return rf"^(?:{pattern})$(?!\n)"


class SchemaCheck:
    """A check with an equivalent in the JSON Schema of a setting.

    Args:
        rule: Returns what is wrong with a value, or None.
        schema: The equivalent JSON Schema keywords.
    """

    def __init__(self, rule: Check, schema: Mapping[str, Any]) -> None:
        self._rule = rule
        self.schema = schema

    def __call__(self, value: Any) -> str | None:
        """Return what is wrong with a value, or None."""
        return self._rule(value)


class NamingCheck(SchemaCheck):
    """A check with a message that names what is wrong, which a rule's own problem does not."""


def schema_of(rule: Any) -> Mapping[str, Any]:
    """Return the JSON Schema keywords that are equivalent to a check; empty if it has none."""
    return rule.schema if isinstance(rule, SchemaCheck) else {}


def check(is_right: Callable[[Any], object], problem: str) -> Check:
    """Return a check that reports `problem` for each invalid value."""
    return lambda value: None if is_right(value) else problem


def matches(pattern: str, problem: str) -> Check:
    """Return a check of strings and secrets by a regular expression for the whole string.

    Args:
        pattern: A pattern with the same meaning in Python and in JavaScript, such as `[0-9]`
            rather than the class for digits; without `^` and `$`.
        problem: What is wrong with any other string, without showing it.
    """

    # `re` compiles it when it is first needed.
    def is_right(value: str | Secret) -> object:
        return re.fullmatch(pattern, value.reveal() if isinstance(value, Secret) else value)

    return SchemaCheck(check(is_right, problem), {"pattern": anchored(pattern)})


def _is_line(value: str | Secret) -> object:
    """Return whether `ONE_LINE_PATTERN` matches, which takes a millisecond to compile."""
    text = value.reveal() if isinstance(value, Secret) else value
    if text.isascii():
        return text.isprintable() and text.strip(" ") == text and text
    return re.fullmatch(ONE_LINE_PATTERN, text)


def each_matches(pattern: str, problem: str) -> Check:
    """Return a check of several strings, such as scope values, by a regular expression for each.

    Args:
        pattern: As for `matches`; what it matches has no space.
        problem: What is wrong with any other strings, without showing them.
    """
    listed = rf"{_SPACE}*(?:{pattern})(?:{_SPACE}+(?:{pattern}))*{_SPACE}*"

    def is_right(values: tuple[str, ...]) -> object:
        return values and all(re.fullmatch(pattern, each) for each in values)

    return SchemaCheck(
        check(is_right, problem),
        {
            "pattern": anchored(listed),
            "items": {"type": "string", "pattern": anchored(pattern)},
            "minItems": 1,
        },
    )


def any_matches(pattern: str, problem: str) -> Check:
    """Return a check that one of several strings matches a regular expression; see `matches`."""
    listed = rf"(?:^|{_SPACE})(?:{pattern})(?:{_SPACE}|$)"

    def is_right(values: tuple[str, ...]) -> object:
        return any(re.fullmatch(pattern, each) for each in values)

    return SchemaCheck(
        check(is_right, problem),
        {"pattern": listed, "contains": {"type": "string", "pattern": anchored(pattern)}},
    )


def between(least: int, most: int | None = None, *, unit: str = "") -> Check:
    """Return a check of numbers from `least` to `most`, both included; None is no maximum."""
    schema = {"minimum": least} | ({} if most is None else {"maximum": most})
    words = f"must be {least} or more" if most is None else f"must be from {least} to {most}"

    def is_right(number: float) -> bool:
        return least <= number and (most is None or number <= most)

    return SchemaCheck(check(is_right, f"{words}{unit and ' '}{unit}"), schema)


def each_between(least: int, most: int) -> Check:
    """Return a check of one or more integers, from `least` to `most`, both included."""
    schema = {"minimum": least, "maximum": most}

    def is_right(given: int | frozenset[int]) -> bool:
        numbers = {given} if isinstance(given, int) else given
        return bool(numbers) and all(least <= each <= most for each in numbers)

    return SchemaCheck(
        check(is_right, f"must be from {least} to {most}"),
        {**schema, "items": {"type": "integer", **schema}, "minItems": 1},
    )


def each(rule: Check) -> Check:
    """Return a check of several strings by a rule for one; it names the first invalid one."""
    return lambda values: next((f"{each!r} {rule(each)}" for each in values if rule(each)), None)


# Neither JSONPath, such as `$.data[0]`, nor a JSON pointer, such as `/data/0`.
_PATH = r"(?!\$\.|/)[^. \t\r\n\[\]]+(?:\.[^. \t\r\n\[\]]+)*"
required = matches(r"[\s\S]+", "must not be empty")
path = matches(_PATH, "must be a path such as data.token")
optional_path = matches(f"(?:{_PATH})?", "must be a path such as data.token")
_MEDIA_TYPE = r"\*|[A-Za-z0-9!#&^_.+-]+/[A-Za-z0-9!#&^_.+-]+"
content_type = matches(
    r"(?:[A-Za-z0-9!#&^_.+-]+/[A-Za-z0-9!#&^_.+-]+(?:; *[A-Za-z0-9!#&^_.+-]+=[\x21\x23-\x7e]+)*)?",
    "must be a content type such as application/xml; charset=utf-8",
)
_MEDIA_TYPE_PROBLEM = "must be a content type such as text/plain, or *"
positive = SchemaCheck(check(lambda number: number > 0, "must be above 0"), {"exclusiveMinimum": 0})
one_line = SchemaCheck(
    check(_is_line, "must be one line, without spaces around it"),
    {"pattern": anchored(ONE_LINE_PATTERN)},
)
scope = each_matches(
    SCOPE_VALUE_PATTERN,
    "must have one or more scope values of visible ASCII characters (RFC 6749 section 3.3)",
)
_private_key = matches(
    rf"{_SPACE}*(?:-----BEGIN [\s\S]*PRIVATE KEY-----[\s\S]*|\{{[\s\S]*\}}{_SPACE}*)",
    "must be a private key as PEM, from -----BEGIN to the last line, or as JWK",
)
# How many characters PEM certificates may have, in a setting as in a file.
path_or_pem = matches(
    rf"{ONE_LINE_PATTERN}|{_SPACE}*(?=[\s\S]{{0,1000000}}(?![\s\S]))[\s\S]*-----BEGIN [\s\S]*",
    "must be the path of a PEM file, in one line, or the contents of one",
)


def _key_problem(key: Secret) -> str | None:
    """Check that a private key looks like one, and is not too large; it is parsed later."""
    problem = private_key_problem(key.reveal())
    is_readable = problem != UNREADABLE or jwk_of(key.reveal()) is not None
    return _private_key(key) or (problem if is_readable else None)


private_key = SchemaCheck(_key_problem, schema_of(_private_key))


def _address(template: str) -> str | None:
    """Check the template of an address for mistakes that no setting can correct."""
    # A setting at the beginning of an address is a whole address; any other is part of a name.
    sample = re.sub(r"^\{[^{}]*\}", "https://a.example", template)
    return url_problem(re.sub(r"\{[^{}]*\}", "a", sample)) if template else None


def _header_name(name: str) -> str | None:
    """Check that a string can be the name of a header."""
    if not re.fullmatch(_HEADER_NAME_PATTERN, name):
        return "must be the name of a header"
    return "is set by the HTTP client" if name.lower() in _FRAMING else None


def _headers(values: Mapping[str, str]) -> str | None:
    """Check that names and values are valid in headers."""
    for name, value in values.items():
        if not (value.isprintable() and value.isascii()):
            return f"the value of {name!r} must have visible ASCII characters and spaces only"
    if len({name.lower() for name in values}) < len(values):
        return "has a header twice: names of headers are case-insensitive"
    return each(_header_name)(values)


def _codes(values: Mapping[str, str]) -> str | None:
    """Check that the values of a table are OAuth error codes."""
    return each(check(is_code, "is not an error code of RFC 6749 section 5.2"))(values.values())


def in_any_case(word: str) -> str:
    """Return the pattern of a word in upper or lower case."""
    return "".join(f"[{each.upper()}{each}]" if each.isalpha() else each for each in word)


_HEADER_NAME = anchored(
    rf"(?!(?:{'|'.join(map(in_any_case, sorted(_FRAMING)))})(?![\s\S])){_HEADER_NAME_PATTERN}"
)
header_name = SchemaCheck(_header_name, {"pattern": _HEADER_NAME})
# Of a response.
optional_header_name = matches(f"(?:{_HEADER_NAME_PATTERN})?", "must be the name of a header")
token_header = matches(
    rf"(?![Ss][Ee][Tt]-[Cc][Oo][Oo][Kk][Ii][Ee](?:\.?(?![\s\S])))(?:{_HEADER_NAME_PATTERN})?",
    "must be the name of a header, or Set-Cookie.NAME for a cookie",
)
headers = SchemaCheck(
    _headers,
    {
        "propertyNames": {"pattern": _HEADER_NAME},
        "additionalProperties": {"type": "string", "pattern": anchored(r"[\x20-\x7e]*")},
    },
)
_OWN_HEADERS = r"(?!(?:alg|b64|crit)(?![\s\S]))[\s\S]+"
assertion_headers = SchemaCheck(
    each(matches(_OWN_HEADERS, "can't be alg, b64 or crit")),
    {"propertyNames": {"pattern": anchored(_OWN_HEADERS)}},
)
optional_client_header = SchemaCheck(
    lambda name: _header_name(name) if name else None, {"pattern": f"^$(?!\\n)|{_HEADER_NAME}"}
)
codes = SchemaCheck(
    _codes,
    {"additionalProperties": {"type": "string", "pattern": anchored(CODE_PATTERN)}},
)
tables = SchemaCheck(
    lambda values: next(
        (
            f"{name} must be a table with template or time"
            for name, each in values.items()
            if not (isinstance(each, Mapping) and ("template" in each) != ("time" in each))
        ),
        None,
    ),
    {
        "additionalProperties": {
            "type": "object",
            "oneOf": [{"required": ["template"]}, {"required": ["time"]}],
        }
    },
)
header_value_template = matches(
    r"(?:(?=.*\{)[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?",
    "must name the token, as {token}, and have visible ASCII characters, with spaces between them",
)
domains = SchemaCheck(
    each(domain_problem), schema_of(each_matches(domain_pattern(), DOMAIN_PROBLEM))
)
# Any placeholder may be a whole domain.
domain_templates = each(
    lambda value: domain_problem(re.sub(r"\{[^{}]*\}", "a.example", str(value)))
)
media_types = SchemaCheck(
    each(matches(_MEDIA_TYPE, _MEDIA_TYPE_PROBLEM)),
    schema_of(each_matches(_MEDIA_TYPE, _MEDIA_TYPE_PROBLEM)),
)
address = SchemaCheck(_address, {"pattern": anchored(f"(?:{url_pattern(r'[^{}]*')})?")})
