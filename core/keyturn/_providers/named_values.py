"""Values that a provider's data declare by a name, which templates may name: `[values]`.

Each is a template with an encoding, a digest, an HMAC or a signature, or it is the time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

from keyturn._common.names import did_you_mean
from keyturn._common.zones import timezone_problem
from keyturn._http.composed import Composed, Digest, RequestPart
from keyturn._http.times import Time, time_problem
from keyturn._http.values import DynamicValue, RandomId, Value
from keyturn._providers import later, templates
from keyturn._providers.kinds import choice_problem, fields_of
from keyturn._providers.lifetimes import duration

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from keyturn._providers.datum import TemplateUse
    from keyturn._providers.settings import Settings

ENCODINGS = (
    *("base64", "base64url", "hex", "hex_upper", "url", "lower"),
    *("bytes", "from_base64", "from_hex"),
)
DIGESTS = tuple(each for each in get_args(Digest) if each)
KEYS = ("hmac_key", "signing_key")
_TEMPLATE_KEYS = ("template", "encoding", "digest", *KEYS)
TEMPLATES = ("template", *KEYS)
_TIME_KEYS = ("time", "offset", "timezone")
_NAME_PATTERN = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
_RESERVED = frozenset({"uuid", "assertion", "request", "token", "previous", "discovery"})
_REQUEST: Mapping[str, Value | None] = MappingProxyType(
    {
        f"request.{part}": RequestPart(part)
        for part in ("method", "url", "path", "query", "target", "body")
    }
)
REQUEST_NAMES = (*_REQUEST,)
# Names that make a value vary from request to request; "" is the time.
_VARYING = frozenset({"", "uuid", *_REQUEST})
_ASSERTION = (
    "the JWT of private_key_jwt and client_secret_jwt, which is for token_headers, query, body and "
    "parameters"
)
_NO_NAMES: Mapping[str, Value | None] = MappingProxyType({})


def named_values(
    values: Mapping[str, Mapping[str, Any]],
    settings: Settings,
    names: Mapping[str, Value | None] = _NO_NAMES,
) -> dict[str, Value | None]:
    """Return the values by their names; one that needs an absent setting is None.

    Args:
        values: The datum `values`.
        settings: The settings.
        names: Further values that the templates may name.
    """
    known: dict[str, Value | None] = {**_REQUEST, "uuid": RandomId()}
    for name in _names_of(values):
        if name in names:
            known[name] = names[name]
        elif name not in known and (_is_of_token(name) or "." in name):
            known[name] = None  # API requests have the token, and token requests other steps
    for name, table in values.items():
        known[name] = _value(name, table, settings, known)
    return Names({name: known[name] for name in values}, names)


class Names(dict[str, "Value | None"]):
    """Values by their names, with those of another mapping added."""

    def __init__(self, own: Mapping[str, Value | None], others: Mapping[str, Value | None]) -> None:
        super().__init__(own)
        self._others = others

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._others

    def __missing__(self, name: str) -> Value | None:
        return self._others[name]


def _value(
    name: str, table: Mapping[str, Any], settings: Settings, names: Mapping[str, Value | None]
) -> Value | None:
    if "time" in table:
        return Time(table["time"], _offset(table) or 0.0, table.get("timezone", "UTC"))
    content = templates.render(table["template"], settings, names)
    given = next((each for each in KEYS if each in table), "")
    key = templates.render(table[given], settings, names) if given else None
    if content is None or (given and key is None):
        return None
    if not isinstance(content, DynamicValue) and len(table) == 1:
        return content
    digest, is_signed = table.get("digest", ""), given == "signing_key"
    usual = "base64" if is_signed else "hex" if digest else ""
    kind = Composed
    if is_signed:
        kind = later.signatures().Signed
    return kind(
        parts=(content,),
        name=name,
        digest=digest,
        key=key,
        encoding=table.get("encoding", usual),
    )


def _offset(table: Mapping[str, Any]) -> float | None:
    offset = str(table.get("offset", "0s"))
    seconds = duration(offset.removeprefix("-"))
    return -seconds if seconds is not None and offset.startswith("-") else seconds


def problems(
    values: Mapping[str, Any], settings: type[Settings], names: Container[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield the path of each value with a mistake, and what is wrong with it.

    Args:
        values: The datum `values`.
        settings: The settings class.
        names: The names that templates may contain besides settings and earlier values.
    """
    known: set[str] = {"uuid", *_REQUEST}
    for name, table in values.items():
        path = f"values.{name}"
        if (
            not re.fullmatch(_NAME_PATTERN, name)
            or name in _RESERVED
            or name in fields_of(settings)
        ):
            yield path, "can't be the name of a value: a setting has it, or it has another meaning"
        else:
            for key, value in table.items():
                keys = _TIME_KEYS if "time" in table else _TEMPLATE_KEYS
                wrong = (
                    _problem(key, value, settings, known, names)
                    if key in keys
                    else f"is not known.{did_you_mean(key, keys)}"
                )
                if wrong:
                    yield f"{path}.{key}", wrong
            yield from _key_problems(path, table)
        known.add(name)


def _key_problems(path: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    keys = [each for each in KEYS if each in table]
    if len(keys) > 1:
        yield f"{path}.hmac_key", "can't be set beside signing_key"
    elif keys and "digest" not in table:
        yield f"{path}.digest", f"is required with {keys[0]}: one of {', '.join(DIGESTS)}"
    elif keys == ["signing_key"] and table["digest"] == "md5":
        yield f"{path}.digest", "must be one of sha1, sha256, sha384, sha512 with signing_key"


def _problem(
    key: str, value: Any, settings: type[Settings], known: set[str], names: Container[str]
) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if key in TEMPLATES:
        wrong = templates.problem(value, settings, "token_request", Either(known, names))
        return f"{value!r} {wrong}" if wrong else None
    if key in {"encoding", "digest"}:
        return choice_problem(value, ENCODINGS if key == "encoding" else DIGESTS)
    if key == "offset":
        is_duration = _offset({"offset": value}) is not None
        return None if is_duration else "must be a duration such as 7d, -1h or 1d12h"
    return time_problem(value) if key == "time" else timezone_problem(value)


class Either:
    """A container of the members of several containers."""

    def __init__(self, *containers: Container[Any]) -> None:
        self._containers = containers

    def __contains__(self, name: object) -> bool:
        return any(name in each for each in self._containers)


def template_problem(
    template: str,
    settings: type[Settings],
    use: TemplateUse,
    values: Mapping[str, Any],
    *,
    is_header: bool = False,
    names: Container[str] = (),
) -> str | None:
    """Return what is wrong with a template that may name values; see `templates.problem`.

    Args:
        template: The template.
        settings: The settings class.
        use: Its purpose.
        values: The datum `values`.
        is_header: Whether it is for a header, which is rendered for each request.
        names: Further names that it may contain.
    """
    used = templates.names_in(template)
    if "assertion" in used and not any(
        "assertion" in each for each in (names, values, fields_of(settings))
    ):
        return f"names {{assertion}}, {_ASSERTION}"
    for name in sorted(used & values.keys()):
        behind = names_behind(name, values)
        is_varying = not is_header and not behind.isdisjoint(_VARYING)
        if use != "api_request" and any(map(_is_of_token, behind)):
            return f"names {{{name}}}, which is made of the token: only API requests may name it"
        if use == "address":
            return f"names {{{name}}}, a value, which can't be in an address"
        if use == "api_request" and is_varying:
            return f"names {{{name}}}, which would be the same for all requests with one token"
        if not is_header and not behind.isdisjoint(_REQUEST):
            return f"names {{{name}}}, which is made of the request: only headers may name it"
    return templates.problem(template, settings, use, Either(values, names))


def templates_in(values: Mapping[str, Any]) -> list[str]:
    """Return the templates of values."""
    tables = [table for table in values.values() if isinstance(table, Mapping)]
    return [str(table[key]) for table in tables for key in TEMPLATES if key in table]


def _names_of(values: Mapping[str, Any]) -> frozenset[str]:
    return frozenset[str]().union(*map(templates.names_in, templates_in(values)))


def _is_of_token(name: str) -> bool:
    return name == "token" or name.startswith("token.")


def varying(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the values that vary from request to request."""
    return frozenset(name for name in values if not names_behind(name, values).isdisjoint(_VARYING))


def names_behind(name: str, values: Mapping[str, Any]) -> frozenset[str]:
    """Return a name in a template, and all names that it depends on if it is a value's."""
    table, found = values.get(name), {name}
    if isinstance(table, Mapping):
        found |= {""} if "time" in table else set[str]()
        earlier = dict(values)
        del earlier[name]
        for key in TEMPLATES:
            for each in templates.names_in(str(table.get(key, ""))):
                found |= names_behind(each, earlier)
    return frozenset(found)
