"""What to write in place of a wrong value in a description, if that can be said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, get_args, get_origin

from keyturn._http.steps import STEP_NAMES
from keyturn._providers import checks
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.description_words import CONTENT_TYPES, snake, value_for
from keyturn._providers.kinds import kind_of
from keyturn._providers.lifetimes import LifetimeFormat, lifetime_format
from keyturn._providers.patterns import pattern_problem
from keyturn._rate_limit import RateLimit, parse_rate_limit

PATH_CHECKS = (checks.path, checks.optional_path)
_LONGEST = 100
_RATE_REGEX = re.compile(r"([0-9]+)\D*?(?:/|per|a|each|every|in)\s*(?:1\s*)?(s|m|h)")
# How other tools write a placeholder; a name that is any name, or that must be a setting's.
_ANY_NAME = r"\$\{\s*([\w.-]+)\s*\}|#\{\s*([\w.-]+)\s*\}|%\(([\w.-]+)\)s|\{\{\s*([\w.-]+)\s*\}\}"
_KNOWN_NAME = r"<([\w-]+)>|\[([\w-]+)\]|%(\w+)%|\$(\w+)|(?<=/):(\w+)|@(\w+)@"
# What others write before the name of a setting.
_HEADS = {"", "settings", "setting", "config", "connection", "env", "self", "inputs", "vars"} | {
    "values",
    "value",
}
# What stands before a path that is no setting.
_PATH_HEADS = {*STEP_NAMES, "token", "request"}
_IN_BRACES = r"(?<!\{)\{([^{}\[]*)(\[[^{}]*\])?\}(?!\})"


def shown(value: object) -> str:
    """Return a value as TOML has it, without what may be secret; empty for a table."""
    if isinstance(value, Mapping) or value is None:
        return ""
    if isinstance(value, str):
        value = re.sub(r"//[^/@{}]*@", "//…@", value)
        value = re.sub(r"(?<=[?#=]).+", "…", value, flags=re.DOTALL)
        value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    return json.dumps(value, ensure_ascii=False, default=str)


def with_value(message: str, value: str, right: str) -> str:
    """Return a message with the wrong value, and what to write."""
    if right:
        message = re.sub(r" Did you mean .*\?$", "", message)
    ends = (f" (it is {value})" if value else "") + (f"; write {right}" if right else "")
    return f"{message.removesuffix('.')}{ends}" if ends else message


def fix(datum: str, value: Any) -> str:
    """Return what to write in place of a datum's wrong value; empty if that can't be said."""
    kind = kind_of(datum_types()[datum])[0]
    if kind is RateLimit:
        return _rate_limit(value)
    if kind is str and isinstance(value, (bool, int, float)):
        return json.dumps(json.dumps(value))
    if isinstance(value, str) and value:
        return _quoted(_string(datum, kind, value), value)
    if datum in _FIXES_OF_OTHERS:
        return _FIXES_OF_OTHERS[datum](value)
    if datum in _FIXES and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return _quoted([_FIXES[datum](each) for each in value], value)
    return ""


def _string(datum: str, kind: Any, value: str) -> object:
    """Return what to write in place of a string."""
    if DATA[datum].template == "address":
        return address(value)
    if DATA[datum].check in PATH_CHECKS:
        return path(value)
    if get_origin(kind) is Literal:
        return value_for(datum, value, get_args(kind))
    if kind in {int, float} or get_origin(kind) is frozenset:
        if get_origin(kind) is frozenset and len(several := re.findall("[0-9]+", value)) > 1:
            return [*map(int, several)]
        found = re.fullmatch(r"\s*([0-9]{1,15})(?:\.0*)?\s*(?:s|secs?|seconds?)?\s*", value)
        return found and int(found[1])
    return _FIXES[datum](value) if datum in _FIXES else ""


def _quoted(made: object, value: object) -> str:
    return json.dumps(made, ensure_ascii=False) if made and made != value else ""


def address(value: str) -> str:
    """Return the address that a wrong one was meant to be, or an empty string."""
    made = re.sub(_ANY_NAME, _braced, value.strip())
    made = re.sub(r"<([\w-]+)>|(?<=/):(\w+)", _braced, made)
    made = re.sub(r"\{([\w.-]+)\}", _braced, made)
    made = re.split(r"[?#]", made)[0]
    made = re.sub(r"(?i)^(?:https?:)?/{1,2}(?=[^/])", "https://", made)
    made = re.sub(r"//[^/@{}]*@", "//", made)
    if not re.match(r"https://|\{", made):
        made = f"https://{made}"
    return made if checks.address(made) is None and "." in made else ""


def path(value: str) -> str:
    """Return the path that a wrong one was meant to be, or an empty string."""
    made = re.sub(r"\[\s*['\"]?([^\]'\"]*)['\"]?\s*\]", r".\1", value.strip())
    made = re.sub(r"->|::|/|\.{2,}", ".", made).removeprefix("$").strip(".")
    made = re.sub(r"\.{2,}", ".", made)
    return made if checks.path(made) is None else ""


def _braced(found: re.Match[str]) -> str:
    name = next(filter(None, found.groups()))
    if name.partition(".")[0] in _PATH_HEADS:
        return f"{{{name}}}"
    return f"{{{snake(name.rpartition('.')[2])}}}"


def placeholder(template: str, names: Collection[str]) -> tuple[str, str]:
    """Return a placeholder in another form than `{name}`, and the right one; or two empty strings.

    Args:
        template: The template.
        names: The settings.
    """
    for found in re.finditer(_ANY_NAME, template):
        right = _braced(found)
        # `{{` and `}}` are braces, unless they hold the name of a setting.
        if not found[0].startswith("{{") or right[1:-1] in names:
            return found[0], right
    for found in re.finditer(_KNOWN_NAME, template):
        if (right := _braced(found))[1:-1] in names:
            return found[0], right
    for found in re.finditer(_IN_BRACES, template):
        head, _, last = found[1].rpartition(".")
        name = snake(last)
        if found[1] not in names and name in names and head.lower() in _HEADS:
            return found[0], f"{{{name}{found[2] or ''}}}"
    return "", ""


def _rate_limit(value: Any) -> str:
    if isinstance(value, str):
        found = re.search(
            r"([0-9]+)\D*?(?:/|per|a|each|every|in)\s*(?:1\s*)?(s|m|h)", value.lower()
        )
        burst = re.search(r"burst\D*([0-9]+)", value.lower())
        unit = {"s": "s", "m": "min", "h": "h"}
        made = f"{found[1]}/{unit[found[2]]}" if found else ""
        made += f" burst {burst[1]}" if made and burst else ""
        return json.dumps(made) if made and parse_rate_limit(made) else ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f'"{value}/min", if that is a minute\'s'
    return '"3/min burst 20", or { per_minute = 3, burst = 20 }'


def domain(value: str) -> str:
    """Return the domain that a wrong one was meant to be."""
    made = re.sub(r"^(?:\w+:)?//|^\*?\.|[:/].*$", "", value.strip().lower())
    return re.sub(r"^\*?\.", "", made)


def _header(value: str) -> str:
    value = re.sub(r"(?i)^headers?\.", "", value)
    return value.partition(":")[0].strip() if ":" in value else re.sub(r"\s+", "-", value.strip())


def _scheme(value: str) -> str:
    return re.sub(r"\s*[{<$].*$", "", value.strip()).rstrip(": ")


def _algorithm(value: str) -> str:
    made = re.sub(r"[-_\s]", "", value).upper()
    named = {"EDDSA": "EdDSA", "ED25519": "Ed25519", "SHA256WITHRSA": "RS256", "RSASHA256": "RS256"}
    return named.get(made, made if DATA["assertion_algorithm"].check(made) is None else "")  # type: ignore[misc]


def _lifetime_format(value: str) -> str:
    made = date_pattern(value)
    if made and lifetime_format(made) is None:
        return made
    return value_for("lifetime_format", value, get_args(LifetimeFormat))


# As other languages write the parts of dates; a minute stands after a colon.
_DATE_PARTS = {
    "yyyy": "%Y",
    "yy": "%y",
    "mm": "%m",
    "dd": "%d",
    "hh": "%H",
    ":mm": ":%M",
    "ss": "%S",
    "sss": "%f",
}


def date_pattern(value: str) -> str:
    """Return a pattern of `strptime` for one such as `YYYY-MM-DD HH:mm`, or an empty string."""
    if not re.search("(?i)yyyy.*mm.*dd|dd.*mm.*yyyy", value):
        return ""
    made = re.sub(r"['\[\]]", "", value)
    parts = "(?i)yyyy|yy|:mm|mm|dd|hh|sss|ss"
    return re.sub(parts, lambda found: _DATE_PARTS[found[0].lower()], made)


def pattern(value: str) -> str:
    """Return what to write in place of a pattern that not every form reads in the same way."""
    if pattern_problem(value) is None:
        return ""
    made = re.sub(r"\(\?P?<\w+>", "(?:", value)
    made = re.sub(r"\\[AzZ]", "", made)
    made = re.sub(r"\{,([0-9]+)\}", r"{0,\1}", made)
    made = re.sub(r"([*+?}])\+", r"\1", made)
    if pattern_problem(made) is None:
        return json.dumps(made) if made else ""
    if made.count("(") == made.count(")") and made.count("[") == made.count("]"):
        return ""
    return "a backslash before each bracket that stands for itself, and close the others"


def _authorization_value(value: str) -> str:
    made, count = re.subn(r"\$?\{+ *token *\}+|%s|\{\}|<[\w-]+>", "{token}", value.strip())
    return made if count else f"{made} {{token}}"


def _numbers(value: Any) -> str:
    listed = value if isinstance(value, list) else []
    numbers = [int(each) for each in map(str, listed) if re.fullmatch("[0-9]{3}", each)]
    return json.dumps(numbers) if numbers and len(numbers) == len(listed) else ""


def _codes(value: Any) -> str:
    listed = value if isinstance(value, list) else [value]
    return json.dumps([each if isinstance(each, str) else json.dumps(each) for each in listed])


_FIXES: dict[str, Callable[[str], Any]] = {
    "api_domains": domain,
    "media_types": lambda value: value.partition(";")[0].strip().lower(),
    "authorization_header": _header,
    "authorization_scheme": _scheme,
    "assertion_algorithm": _algorithm,
    "name": lambda value: re.sub(r"[^A-Za-z0-9._-]+", "-", value.strip()).strip("-._").lower(),
    "lifetime_format": _lifetime_format,
    "content_type": lambda value: value_for("content_type", value, CONTENT_TYPES),
    "token_header": _header,
    "lifetime_header": _header,
    "authorization_query": lambda value: re.split(r"[=&]", value.strip("?& "))[0].replace(" ", "_"),
    "rejected_codes": lambda value: re.findall(r"[^,\s]+", value),
    "authorization_value": _authorization_value,
}
# Of values that are no strings.
_FIXES_OF_OTHERS: dict[str, Callable[[Any], str]] = {
    "rejected_status": _numbers,
    "token_status": _numbers,
    "rejected_codes": _codes,
    "body": lambda _: "parameters, with body_format, for what is no string",
    "authorization_query": lambda value: next(map(json.dumps, value), ""),
}
