"""What to write in place of a wrong value in a description, if that can be said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, get_args, get_origin

from keyturn._providers import checks
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.description_words import snake, value_for
from keyturn._providers.kinds import kind_of
from keyturn._rate_limit import RateLimit, parse_rate_limit

PATH_CHECKS = (checks.path, checks.optional_path)
_LONGEST = 100
_RATE_REGEX = re.compile(r"([0-9]+)\D*?(?:/|per|a|each|every|in)\s*(?:1\s*)?(s|m|h)")
# How other tools write a placeholder; a name that is any name, or that must be a setting's.
_ANY_NAME = r"\$\{\s*([\w.-]+)\s*\}|#\{\s*([\w.-]+)\s*\}|%\(([\w.-]+)\)s|\{\{\s*([\w.-]+)\s*\}\}"
_KNOWN_NAME = r"<([\w-]+)>|\[([\w-]+)\]|%(\w+)%|\$(\w+)|(?<=/):(\w+)|@(\w+)@"
# What others write before the name of a setting.
_HEADS = {"", "settings", "setting", "config", "connection", "env", "self", "inputs", "vars"}
_IN_BRACES = r"(?<!\{)\{([^{}\[]*)(\[[^{}]*\])?\}(?!\})"


def shown(value: object) -> str:
    """Return a value as TOML has it, without what may be secret; empty for a table."""
    if isinstance(value, Mapping) or value is None:
        return ""
    if isinstance(value, str):
        value = re.sub(r"//[^/@{}]*@", "//…@", value)
        value = re.sub(r"(?<=[?#]).+", "…", value, flags=re.DOTALL)
        value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    return json.dumps(value, ensure_ascii=False, default=str)


def fix(datum: str, value: Any) -> str:
    """Return what to write in place of a datum's wrong value; empty if that can't be said."""
    kind = kind_of(datum_types()[datum])[0]
    if kind is RateLimit:
        return _rate_limit(value)
    if kind is str and isinstance(value, (bool, int, float)):
        return json.dumps(json.dumps(value))
    if isinstance(value, str):
        return _quoted(_string(datum, kind, value), value)
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


def _domain(value: str) -> str:
    made = re.sub(r"^(?:\w+:)?//|^\*?\.|[:/].*$", "", value.strip().lower())
    return re.sub(r"^\*?\.", "", made)


def _header(value: str) -> str:
    return value.partition(":")[0].strip() if ":" in value else re.sub(r"\s+", "-", value.strip())


def _scheme(value: str) -> str:
    return re.sub(r"\s*[{<$].*$", "", value.strip()).rstrip(": ")


def _algorithm(value: str) -> str:
    made = re.sub(r"[-_\s]", "", value).upper()
    named = {"EDDSA": "EdDSA", "ED25519": "Ed25519", "SHA256WITHRSA": "RS256", "RSASHA256": "RS256"}
    return named.get(made, made if DATA["assertion_algorithm"].check(made) is None else "")  # type: ignore[misc]


_FIXES: dict[str, Callable[[str], str]] = {
    "api_domains": _domain,
    "media_types": lambda value: value.partition(";")[0].strip().lower(),
    "authorization_header": _header,
    "authorization_scheme": _scheme,
    "assertion_algorithm": _algorithm,
    "name": lambda value: re.sub(r"[^A-Za-z0-9._-]+", "-", value.strip()).strip("-._").lower(),
    "lifetime_format": lambda value: value_for(
        "lifetime_format",
        value,
        ("seconds", "decimal", "milliseconds", "epoch", "epoch_milliseconds", "date", "http_date"),
    ),
}
