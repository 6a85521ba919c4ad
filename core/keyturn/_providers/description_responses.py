"""Mistakes in how a description reads responses: paths, lifetimes and codes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyturn._common.names import did_you_mean
from keyturn._http.error_codes import OAUTH_CODES, RATE_CODES, UNAVAILABLE_CODES
from keyturn._providers.data import DATA
from keyturn._providers.description_fixes import PATH_CHECKS, fix, path, shown, xml_path
from keyturn._providers.description_hints import SEPARATORS
from keyturn._providers.description_words import snake

Table = Mapping[str, Any]
Mistakes = Iterator[tuple[str, str]]

_CODES = OAUTH_CODES | UNAVAILABLE_CODES | RATE_CODES
# Other names of OAuth's error codes.
_CODE_WORDS = {
    "unauthorized": "invalid_client",
    "unauthenticated": "invalid_client",
    "bad_credentials": "invalid_client",
    "invalid_credentials": "invalid_client",
    "invalid_secret": "invalid_client",
    "bad_request": "invalid_request",
    "rate_limit": "slow_down",
    "ratelimited": "slow_down",
    "throttled": "slow_down",
    "unavailable": "temporarily_unavailable",
    "retry": "temporarily_unavailable",
}
_SUCCESS_WORDS = {"", "success", "ok", "none", "no_error", "succeeded"}
_MAY_BE_EMPTY = (
    *("token_type", "authorization_scheme", "grant_type", "scope_name"),
    *("client_id_name", "client_secret_name", "token_field", "lifetime_field"),
)
_IN_MILLISECONDS = (
    *(60_000 * minutes for minutes in (5, 10, 15, 20, 30, 60, 120, 240, 480, 720)),
    *(86_400_000 * days for days in (1, 7, 14, 30, 60, 90, 365)),
)
# No path of JSON has these.
_NO_PATH = r"[/{}*?!,()<>|]|->|::|^@\.|(?:^|\.)-[0-9]|^#\["
_HEADER = r"(?:response\.)?headers?[.:]\s*([A-Za-z][\w-]*)"
_PREFIX = r"(?:^|\.)[A-Za-z][\w-]*:\w|^(?:Envelope|root)\.|\(\)"


def response_mistakes(description: Table) -> Mistakes:
    """Yield mistakes in the data that name the parts of a response."""
    yield from _paths(description)
    yield from _lifetimes(description)
    for datum in _MAY_BE_EMPTY:
        given = description.get(datum)
        if isinstance(given, str) and given and fix(datum, given) == '""':
            what = "a path" if datum.endswith("_field") else "what is sent"
            yield datum, f'must be {what}, or empty (it is {shown(given)}); write ""'
    for datum in ("token_header", "lifetime_header"):
        if re.match(r"(?i)headers?\.", str(description.get(datum, ""))):
            yield datum, "must be the name of a header alone"
    separator = description.get("scope_separator")
    if right := SEPARATORS.get(str(separator).lower(), ""):
        found = f"must be the character itself (it is {shown(separator)})"
        yield "scope_separator", f'{found}; write "{right}"'
    for datum in ("rejected_codes", "success_codes"):
        codes = description.get(datum, ())
        if isinstance(codes, str) and "," in codes:
            yield datum, "must be a list where there are several codes"
    if re.fullmatch("[0-9]{2,}", str(description.get("lifetime_field", ""))):
        right = 'that as missing_lifetime, and lifetime_field = ""'
        yield "lifetime_field", f"must be a path such as data.expires_in; write {right}"


def _paths(description: Table) -> Mistakes:
    """Yield paths in the syntax of other tools."""
    is_xml = description.get("response_format") == "xml"
    for datum in (name for name, each in DATA.items() if each.check in PATH_CHECKS):
        written = description.get(datum)
        if not isinstance(written, str) or not written:
            continue
        if cookie := re.fullmatch(r"(?i)(?:set-)?cookies?\.([\w-]+)", written):
            right = f'token_header = "Set-Cookie.{cookie[1]}"'
            yield datum, f"names a cookie (it is {shown(written)}); write {right} instead"
            continue
        header = f"{datum.removesuffix('_field')}_header"
        if header in DATA and (found := re.fullmatch(_HEADER, written, re.IGNORECASE)):
            right = f'{header} = "{found[1]}"'
            yield datum, f"names a header (it is {shown(written)}); write {right} instead"
        elif is_xml and re.search(_PREFIX, written) and xml_path(written) != written:
            right = json.dumps(xml_path(written))
            problem = "must have local names, below the root element"
            yield datum, f"{problem} (it is {shown(written)}); write {right}"
        elif re.search(_NO_PATH, written) and path(written) != written:
            yield datum, "must be a path such as data.token"


def _lifetimes(description: Table) -> Mistakes:
    """Yield fields where no response can have a lifetime, and a missing lifetime."""
    form, field = description.get("lifetime_format"), description.get("lifetime_field")
    for datum in ("missing_lifetime", "max_margin"):
        if (value := description.get(datum)) in _IN_MILLISECONDS:
            found = f"is in seconds (it is {value:.0f}, which is usual in milliseconds)"
            yield datum, f"{found}; write {value // 1000:.0f}"
    missing = description.get("missing_lifetime")
    if form == "jwt" and field in {"exp", "token.exp", "expires_in", "expires_at"}:
        problem = f"must be the path of a JWT, whose exp is the expiry (it is {shown(field)})"
        yield "lifetime_field", f"{problem}; remove it if the token is that JWT"
    needed = (missing, description.get("lifetime_header"), form == "jwt")
    if field == "" and not any(needed):
        right = "write missing_lifetime too, the seconds to assume"
        yield "lifetime_field", f'leaves no lifetime (it is ""); {right}'


def code_mistakes(description: Table) -> Mistakes:
    """Yield codes that are similar to one of OAuth, and a table with keys and values exchanged."""
    codes = description.get("error_codes", {})
    for own, code in codes.items() if isinstance(codes, Mapping) else ():
        place = f"error_codes.{own}"
        others = code if isinstance(code, (list, tuple)) else [code]
        if isinstance(code, str) and snake(code) in _SUCCESS_WORDS:
            yield place, f"is not an error; write success_codes = [{json.dumps(own)}]"
        elif own in {"*", "default", "any", "4xx"}:
            right = "nothing: keyturn judges other errors by their status"
            yield place, f"must be a code of the platform; write {right}"
        elif own in _CODES and not {*map(str, others)} & _CODES:
            right = ", ".join(f"{json.dumps(str(each))} = {json.dumps(own)}" for each in others)
            yield place, f"has the key and the value exchanged: write {right}"
        elif isinstance(code, str) and code not in _CODES and (near := _near(code)):
            yield place, f"{shown(code)} is not an OAuth error code: write {json.dumps(near)}"


def _near(code: str) -> str:
    """Return the code that a string is similar to, or an empty string."""
    plain = snake(code)
    if plain in _CODES:
        return plain
    near = did_you_mean(code, _CODES, similarity=0.8)[14:-1]
    return _CODE_WORDS.get(plain, near)
