"""The formats of a token's lifetime, and their checks."""

from __future__ import annotations

import re
from typing import Literal, get_args

from keyturn._common.names import did_you_mean
from keyturn._common.zones import timezone_problem
from keyturn._providers.checks import SchemaCheck, anchored

LifetimeFormat = Literal[
    "seconds",
    "decimal",
    "milliseconds",
    "minutes",
    "epoch",
    "epoch_milliseconds",
    "date",
    "jwt",
    "duration",
    "hh:mm",
    "hh:mm:ss",
    "d:hh:mm",
    "d:hh:mm:ss",
    "http_date",
]
# Directives of `strptime` that keyturn reads: numbers, names and offsets, each once; a year, a
# month and a day are required.
_STRPTIME_PATTERN = (
    r"(?![\s\S]*(%[A-Za-z])[\s\S]*\1)(?=[\s\S]*%[Yy])(?=[\s\S]*%(?:j|[mbB][\s\S]*%d|d[\s\S]*%[mbB]))"
    r"(?:[^%]|%[YymbBdjaAHIMSfpz%])+"
)


def _format_problem(form: str) -> str | None:
    """Check the name of a format, or a pattern of `strptime`."""
    known = get_args(LifetimeFormat)
    if form in known:
        return None
    if "%" not in form:
        question = did_you_mean(form, known)
        return f"must be one of {', '.join(known)}, or a pattern such as %Y-%m-%d.{question}"
    if re.fullmatch(_STRPTIME_PATTERN, form):
        return None
    return (
        "must have a year (%Y), a month (%m, %b) and a day (%d), each once, and of the other "
        "directives only %H %I %M %S %f %p %j %a %z"
    )


lifetime_format = SchemaCheck(
    _format_problem,
    {"pattern": anchored(f"{'|'.join(get_args(LifetimeFormat))}|{_STRPTIME_PATTERN}")},
)


_AREAS = "Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific"
lifetime_timezone = SchemaCheck(
    timezone_problem, {"pattern": anchored(rf"UTC|(?:{_AREAS})/[A-Za-z0-9_+/-]+")}
)
