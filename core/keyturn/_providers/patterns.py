"""Patterns and formats of described settings, with the same meaning in Python and in JavaScript.

A pattern must match the whole value, which is one line. Syntax that the two languages interpret
differently is refused (ECMA-262 section 22.2.1 with the flag `u`, which JSON Schema asks for).
"""

from __future__ import annotations

import re
from typing import Any

from keyturn._providers.checks import (
    Check,
    SchemaCheck,
    between,
    matches,
    one_line,
    schema_of,
)

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
# JSON Schema's own formats (draft 2020-12, section 7.3): a pattern, and what is wanted.
_FORMATS = {
    "uuid": (
        "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        "must be a UUID such as 123e4567-e89b-12d3-a456-426614174000",
    ),
    "email": (
        (
            r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
            rf"@{_LABEL}(?:\.{_LABEL})+"
        ),
        "must be an email address such as shop@acme.example",
    ),
    "uri": (
        r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+",
        "must be a URI such as https://acme.example/api or urn:acme:api",
    ),
    "hostname": (
        rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*",
        "must be a host name such as shop.acme.example",
    ),
    "date": (
        (
            "(?!0000)(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
            "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
            f"|{_LEAP_YEAR}-02-29)"
        ),
        "must be a date such as 2027-01-31",
    ),
}
FORMATS = (*_FORMATS,)
# What may follow a backslash, and groups that both languages have.
_ESCAPED = r"\\(?:[$()*+./?\[\\\]^{|}]|[dwnrtfv]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})"
_TOKEN_REGEX = re.compile(
    rf"(?P<class>\[\^?(?!\])(?:{_ESCAPED}|\\-|[^\[\]\\])+\])|{_ESCAPED}"
    r"|\((?:\?(?::|=|!|<=|<!)|(?!\?))|(?:\{[0-9]+(?:,[0-9]*)?\}|[*+?])\??(?!\+)|[^\\\[\](){}*+?]|\)"
)
_CLASSES = {r"\d": "0-9", r"\w": "A-Za-z0-9_"}
_CLASS_REGEX = re.compile(r"\\(.)", re.DOTALL)


def pattern_problem(pattern: str) -> str | None:
    """Return what is wrong with a pattern, or None."""
    at = 0
    while at < len(pattern):
        token = _TOKEN_REGEX.match(pattern, at)
        if token is None or re.search(r"--|&&|~~|\|\|", token["class"] or ""):
            shown = pattern[at : at + 8]
            return f"can't have {shown!r}, which Python and JavaScript interpret differently"
        at = token.end()
    try:
        re.compile(_portable(pattern))
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a valid regular expression: {error}"
    return None


def _portable(pattern: str) -> str:
    """Return a pattern with ASCII classes instead of those whose meaning differs."""

    def token(found: re.Match[str]) -> str:
        if found["class"]:
            return _CLASS_REGEX.sub(lambda each: _CLASSES.get(each[0], each[0]), found[0])
        characters = _CLASSES.get(found[0])
        return f"[{characters}]" if characters else found[0]

    return _TOKEN_REGEX.sub(token, pattern)


def text_check(
    *, pattern: str | None, form: str | None, least: int | None, most: int | None
) -> Check | None:
    """Return the check of a string's pattern, format and length, or None without any of them."""
    rules: list[Check] = [one_line]
    if least is not None or most is not None:
        rules.append(_length(least or 0, most))
    if form is not None:
        wanted, problem = _FORMATS[form]
        check = matches(wanted, problem)
        rules.append(SchemaCheck(check, {**schema_of(check), "format": form}))
    if pattern is not None:
        rules.append(matches(_portable(pattern), f"must match the pattern {pattern}"))
    return _together(*rules) if len(rules) > 1 else None


def number_check(least: int | None, most: int | None) -> Check | None:
    """Return the check of an integer's bounds, or None without any."""
    if least is not None:
        return between(least, most)
    if most is None:
        return None
    problem = f"must be {most} or less"
    return SchemaCheck(lambda number: None if number <= most else problem, {"maximum": most})


def _length(least: int, most: int | None) -> Check:
    words = f"must have {least} or more characters"
    if most is not None:
        words = f"must have {f'{least} to ' if least else 'at most '}{most} characters"

    def problem(value: Any) -> str | None:
        length = len(value if isinstance(value, str) else value.reveal())
        return None if least <= length and (most is None or length <= most) else words

    # A pattern too: a form may leave an optional setting blank, which `minLength` would refuse.
    schema = {"pattern": rf"^[\s\S]{{{least}}}", "minLength": least, "maxLength": most}
    return SchemaCheck(problem, {name: each for name, each in schema.items() if each})


def _together(*rules: Check) -> Check:
    """Return a check by several rules, which names the first problem."""
    schema = {name: each for rule in rules for name, each in schema_of(rule).items()}
    patterns = [schema_of(rule)["pattern"] for rule in rules if "pattern" in schema_of(rule)]
    schema["pattern"] = f"^{''.join(f'(?={pattern})' for pattern in patterns)}"

    def problem(value: Any) -> str | None:
        return next(filter(None, (rule(value) for rule in rules)), None)

    return SchemaCheck(problem, schema)
