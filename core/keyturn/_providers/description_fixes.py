"""What to write in place of a wrong value in a description, if that is known."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

from keyturn._providers import checks
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.description_hints import ADVICE
from keyturn._providers.description_placeholders import ANY_NAME, braced
from keyturn._providers.description_times import date_pattern, zone
from keyturn._providers.description_words import CONTENT_TYPES, value_for
from keyturn._providers.kinds import kind_of
from keyturn._providers.lifetime_formats import LifetimeFormat, lifetime_format
from keyturn._providers.lifetimes import duration
from keyturn._providers.patterns import pattern_problem
from keyturn._rate_limit import RateLimit, parse_rate_limit

PATH_CHECKS = (checks.path, checks.optional_path)
_LONGEST = 100


def shown(value: object) -> str:
    """Return a value in TOML, without what may be secret; empty for a table."""
    if isinstance(value, Mapping) or value is None:
        return ""
    if isinstance(value, str):
        value = re.sub(r"//[^/@{}]*@", "//…@", value)
        value = re.sub(r"(?<=[?#=]).+", "…", value, flags=re.DOTALL)
        value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    return json.dumps(value, ensure_ascii=False, default=str)


def with_value(message: str, value: str, right: str) -> str:
    """Return a message with the wrong value, and what to write, unless it has these already."""
    value = "" if "(it is " in message else value
    right = "" if re.search(r"[;:.] (?:write|Write) |, or remove it", message) else right
    if right:
        message = re.sub(r" Did you mean .*\?$", "", message)
    ends = (f" (it is {value})" if value else "") + (f"; write {right}" if right else "")
    return f"{message.removesuffix('.')}{ends}" if ends else message


def fix(datum: str, value: Any) -> str:
    """Return what to write in place of a datum's wrong value; empty if that is not known."""
    advice = (words for pattern, words in ADVICE.get(datum, ()) if _fits(pattern, value))
    return next(advice, "") or _fixed(datum, kind_of(datum_types()[datum])[0], value)


def _fixed(datum: str, kind: Any, value: Any) -> str:
    if kind is RateLimit:
        return _rate_limit(value)
    if get_origin(kind) in {None, Literal} and isinstance(value, (list, tuple)):
        return _of_list(datum, value)
    if kind is str and isinstance(value, (bool, int, float)):
        return '""' if value is False else json.dumps(json.dumps(value))
    if kind is float:
        return _seconds(value)
    if isinstance(value, str) and value:
        right = _quoted(_string(datum, kind, value), value)
        return right or (_WHOLE_ADDRESS if DATA[datum].template == "address" else "")
    return _of_others(datum, value)


def _of_others(datum: str, value: Any) -> str:
    if value == "" and get_origin(kind_of(datum_types()[datum])[0]) in {Literal, frozenset}:
        usual = DATA[datum].default
        usual = next(iter(usual)) if isinstance(usual, frozenset) else usual
        return f"nothing: the default is {json.dumps(usual)}"
    if isinstance(value, Mapping) and DATA[datum].template == "address":
        return _CHOSEN
    if isinstance(value, Mapping) and DATA[datum].check in PATH_CHECKS:
        listed = [each for each in value.values() if isinstance(each, str)]
        return json.dumps(listed[0]) if len(listed) == 1 else ""
    if datum in _FIXES_OF_OTHERS:
        return _FIXES_OF_OTHERS[datum](value)
    if datum in _FIXES and isinstance(value, list) and all(isinstance(v, str) for v in value):
        made = [_FIXES[datum](each) for each in value if each.strip()]
        flat = [each for one in made for each in (one if isinstance(one, list) else [one])]
        return _quoted(flat, value) if flat else "nothing, and remove the line"
    return ""


def _fits(pattern: str, value: object) -> bool:
    written = value if isinstance(value, str) else json.dumps(value, default=str)
    return bool(re.fullmatch(pattern, written, re.IGNORECASE))


def _of_list(datum: str, values: Any) -> str:
    """Return what to write in place of a list of one string, or of the parts of a path."""
    if not values or not all(isinstance(each, str) for each in values):
        return ""
    if DATA[datum].check in PATH_CHECKS:
        return json.dumps(".".join(values))
    return (fix(datum, values[0]) or json.dumps(values[0])) if len(values) == 1 else ""


def _seconds(value: object) -> str:
    """Return the seconds of a duration or a time of day, or an empty string."""
    if isinstance(value, dt.time):
        return f"{value.hour * 3600 + value.minute * 60 + value.second}"
    if not isinstance(value, str):
        return ""
    seconds = duration(value.strip())
    if seconds is None and re.fullmatch(r"\s*[0-9]{1,15}(?:\.0*)?\s*", value):
        seconds = float(value)
    return "" if seconds is None else f"{seconds:.0f}"


def _string(datum: str, kind: Any, value: str) -> object:
    """Return what to write in place of a string."""
    if DATA[datum].template == "address":
        return address(value)
    if DATA[datum].check in PATH_CHECKS:
        return path(value)
    if get_origin(kind) is Literal:
        return value_for(datum, value.partition(";")[0], get_args(kind))
    if get_origin(kind) is frozenset:
        if re.search(r"[0-9]\s*(?:-|\.\.|to)\s*[0-9]", value):
            return ""
        found = [*map(int, re.findall("[0-9]{3}", value))]
        return found[0] if len(found) == 1 else found
    return _FIXES[datum](value) if datum in _FIXES else ""


def _quoted(made: object, value: object) -> str:
    return json.dumps(made, ensure_ascii=False) if made and made != value else ""


_CHOSEN = (
    '"{environment}/…", and [settings.environment] title = "Environment", '
    'choices = { … = "https://…" }'
)
_WHOLE_ADDRESS = "the whole address, such as https://acme.example/oauth/token"
_SCHEME = r"(?i)^(?:h?t{1,2}ps?|https?|ftps?|wss?)[:;]?/{1,3}(?=[^/])|^//(?=[^/])"


def address(value: str) -> str:
    """Return the address that a wrong one was meant to be, or an empty string."""
    made = re.sub(r"^(?:GET|POST|PUT)\s+", "", value.strip()).strip("<>\"'` ")
    made = re.sub(ANY_NAME, braced, made)
    made = re.sub(r"<([\w-]+)>|(?<=/):(\w+)", braced, made)
    made = re.sub(r"\{([\w.-]+)\}", braced, made)
    made = re.split(r"[?#]", made)[0].replace("\\", "/")
    made = re.sub(_SCHEME, "https://", made)
    made = re.sub(r"//[^/@{}]*@", "//", made)
    if not re.match(r"https://|\{|/|\.", made):
        made = f"https://{made}"
    is_whole = "." in made or made.startswith(("{", "https://{"))
    return made if checks.address(made) is None and is_whole else ""


def path(value: str) -> str:
    """Return the path that a wrong one was meant to be, or an empty string."""
    made = re.sub(r"^\$(?:response\.)?body#?/?|^#/", "", value.strip())
    made = re.sub(r"^[#$]\[\s*(?:payload\.)?(\w.*)\]$", r"\1", made)
    made = re.sub(r"^\w+ (?=\{)", "", re.sub(r"\[\?[^\]]*\]", ".0", made))
    made = re.split(r"\s*\|+\s*|\s+or\s+", made.strip("{}<> "))[0].replace("text()", "")
    made = re.sub(r"\.get\(\s*(['\"])([\w.-]+)\1[^()]*\)", r".\2", made)
    made = re.sub(r"\[\s*(?:\*|-[0-9]+)?\s*\]|(?<=\.)(?:\*|-[0-9]+)(?=\.|$)", ".0", made)
    made = re.sub(r"\[\s*['\"]?([^\]'\"]*)['\"]?\s*\]", r".\1", made)
    made = re.sub(r"[()`'\"]", "", re.sub(r"->|::|\?|[!/,]|\.{2,}", ".", made)).removeprefix("$")
    made = re.sub(r"\.{2,}", ".", re.sub(r"^\.*@(?=\.)", "", made)).strip(".")
    return made if checks.path(made) is None else ""


def xml_path(value: str) -> str:
    """Return a path of XML without prefixes of names, and without the root element."""
    made = re.sub(r"(?:(?<=\.)|^)[A-Za-z][\w-]*:(?=\w)", "", path(value))
    return re.sub(r"^(?:Envelope|root|xml)\.", "", made)


_RATE_REGEX = re.compile(
    r"([0-9]+)\s*(?:\D*?(?:/|per|a|each|every|in)\s*(?:1\s*)?|[rtq]p)(s|m|h|d)"
)


def _rate_limit(value: Any) -> str:
    if not value or _fits("none|no|off|unlimited|infinite|false|0", value):
        return "nothing: without rate_limit there is none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f'"{value}/min", if that is the limit for a minute'
    if isinstance(value, str) and (found := _RATE_REGEX.search(value.lower())):
        count, unit = int(found[1]), {"s": "s", "m": "min", "h": "h"}.get(found[2])
        if unit is None:
            return f"{{ per_minute = {count / 1440:.3g}, burst = {count} }}"
        burst = re.search(r"burst\D*([0-9]+)", value.lower())
        made = f"{count}/{unit}" + (f" burst {burst[1]}" if burst else "")
        return json.dumps(made) if parse_rate_limit(made) else ""
    return '"3/min burst 20", or { per_minute = 3, burst = 20 }'


def domain(value: str) -> str:
    """Return the domain that a wrong one was meant to be."""
    made = re.sub(r"^(?:\w+:)?//|^\{[^}]*\}(?=\.)|^\*?\.|[:/].*$", "", value.strip().lower())
    return re.sub(r"^\*?\.", "", made)


def slug(value: str) -> str:
    """Return the label of a host name that a wrong one was meant to be."""
    return re.sub(r"[^a-z0-9]+", "-", value.strip().lower()).strip("-")


def _token_header(value: str) -> str:
    cookie = re.fullmatch(r"(?i)(?:headers?\.)?(?:set-)?cookies?(?:\W+([\w-]+)\W*)?", value.strip())
    return f"Set-Cookie.{cookie[1] or 'NAME'}" if cookie else _header(value)


def _header(value: str) -> str:
    value = re.sub(r"(?i)^headers?\.", "", value)
    return value.partition(":")[0].strip() if ":" in value else re.sub(r"\s+", "-", value.strip())


def _scheme(value: str) -> str:
    return re.sub(r"\s*[{<$].*$", "", value.strip()).rstrip(": ")


def _content_type(value: str) -> str:
    made = re.sub(r"(?i)^content-type:\s*", "", value)
    right = value_for("content_type", made, CONTENT_TYPES)
    return right or (made if checks.content_type(made) is None else "")


def _media_types(value: str) -> object:
    made = [_media_type(each.strip()) for each in value.split(",")]
    return made if len(made) > 1 and all(made) else made[0]


def _media_type(value: str) -> str:
    made = value.partition(";")[0].strip().lower()
    if made in {"any", "all", "text/*", "*/*", "application/*"}:
        return "*"
    return made if "/" in made else value_for("content_type", made, CONTENT_TYPES)


def _algorithm(value: str) -> str:
    made = re.sub(r"^(?:RSASHA|RSA|SHA)-?(?=[0-9]{3}$)", "RS", re.sub(r"[-_\s]", "", value).upper())
    named = {"EDDSA": "EdDSA", "ED25519": "Ed25519", "SHA256WITHRSA": "RS256", "RSASHA256": "RS256"}
    return named.get(made, made if DATA["assertion_algorithm"].check(made) is None else "")  # type: ignore[misc]


def _lifetime_format(value: str) -> str:
    made = date_pattern(value)
    if made and lifetime_format(made) is None:
        return made
    return value_for("lifetime_format", value, get_args(LifetimeFormat))


def pattern(value: str) -> str:
    """Return what to write in place of a pattern that Python and JavaScript read differently."""
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
    return "a backslash before each literal bracket, and close the others"


def _authorization_value(value: str) -> str:
    place = r"\$?\{+ *token *(?:\}+|$)|%s|\{\}|<[\w-]+>|\b(?:access_)?token(?=\}?$)"
    made, count = re.subn(place, "{token}", value.strip())
    return made if count else f"{made.partition(' ')[0]} {{token}}"


def _written(value: object) -> str:
    return json.dumps(value, default=str)


def _numbers(value: Any, least: int, most: int) -> str:
    listed = value if isinstance(value, list) else []
    numbers = [int(each) for each in map(str, listed) if re.fullmatch("[0-9]{3}", each)]
    fit = [each for each in numbers if least <= each <= most]
    return json.dumps(fit) if fit and len(numbers) == len(listed) else ""


def _codes(value: Any) -> str:
    values = [*value.values()] if isinstance(value, Mapping) else value
    listed = values if isinstance(values, list) else [values]
    return json.dumps([each if isinstance(each, str) else _written(each) for each in listed])


_FIXES: dict[str, Callable[[str], Any]] = {
    "api_domains": lambda value: [domain(each) for each in re.split(r"[,;\s]+", value) if each],
    "media_types": _media_types,
    "authorization_header": _header,
    "authorization_scheme": _scheme,
    "assertion_algorithm": _algorithm,
    "name": lambda value: re.sub(r"[^A-Za-z0-9._-]+", "-", value.strip()).strip("-._").lower(),
    "lifetime_format": _lifetime_format,
    "content_type": _content_type,
    "token_header": _token_header,
    "client_id_name": _header,
    "client_secret_name": _header,
    "lifetime_timezone": zone,
    "lifetime_header": _header,
    "authorization_query": lambda value: re.split(r"[=&]", value.strip("?& "))[0].replace(" ", "_"),
    "success_codes": lambda value: re.findall(r"[^,\s]+", value),
    "rejected_codes": lambda value: re.findall(r"[^,\s]+", value),
    "authorization_value": _authorization_value,
}
# Of values that are no strings.
_FIXES_OF_OTHERS: dict[str, Callable[[Any], str]] = {
    "rejected_status": lambda value: _numbers(value, 400, 599),
    "token_status": lambda value: _numbers(value, 200, 299),
    "rejected_codes": _codes,
    "success_codes": _codes,
    "body": lambda _: "parameters, with body_format, for a value that is not a string",
    "authorization_query": lambda value: (
        next(map(_written, [*value]), "") if isinstance(value, (list, Mapping)) else ""
    ),
}
