"""Mistakes in how a description reads responses: paths, lifetimes and codes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from keyturn._common.names import did_you_mean
from keyturn._http.error_codes import OAUTH_CODES, RATE_CODES, UNAVAILABLE_CODES
from keyturn._providers.data import DATA
from keyturn._providers.description_fixes import PATH_CHECKS, fix, path, shown, xml_path
from keyturn._providers.description_hints import SEPARATORS
from keyturn._providers.description_steps import is_code, without_prefix
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
_EMPTY_CODE = "has an empty code, which always means success; write the platform's code"
_MAY_BE_EMPTY = (
    *("token_type", "authorization_scheme", "grant_type", "scope_name"),
    *("client_id_name", "client_secret_name", "token_field", "lifetime_field"),
)
_IN_MILLISECONDS = (
    *(60_000 * minutes for minutes in (5, 10, 15, 20, 30, 60, 120, 240, 480, 720)),
    *(86_400_000 * days for days in (1, 7, 14, 30, 60, 90, 365)),
)
# In minutes, and in seconds too short for any token.
_IN_MINUTES = (5, 10, 15, 20, 30, 60)
_TIME = r"(?:^|[a-z._])[eE]xpir(?:es?|y|ation)_?(?:[aA]t|[oO]n|[dD]ate|[tT]imestamp)$"
_UNITS = {
    r"(?:_ms|(?<=[a-z])Ms|[mM]illi(?:s|_?[sS]econds))$": "milliseconds",
    r"(?:_|(?<=[a-z])(?=M))[mM]in(?:ute)?s$": "minutes",
}
# No path of JSON has these.
_NO_PATH = r"[/{}*?!,()<>|'\"`]|->|::|^@\.|(?:^|\.)-[0-9]|^#\["
_HEADER = r"(?:response\.)?headers?[.:]\s*([A-Za-z][\w-]*)"
_PREFIX = r"(?:^|\.)[A-Za-z][\w-]*:\w|^(?:Envelope|root)\.|\(\)"


def response_mistakes(description: Table) -> Mistakes:
    """Yield mistakes in the data that name the parts of a response."""
    yield from _paths(description)
    yield from _other_fields(description)
    yield from _prefixes(description)
    yield from _lifetimes(description)
    yield from _forms(description)
    for datum in _MAY_BE_EMPTY:
        given = description.get(datum)
        if isinstance(given, str) and given and fix(datum, given) == '""':
            what = "a path" if datum.endswith("_field") else "what is sent"
            yield datum, f'must be {what}, or empty (it is {shown(given)}); write ""'
    for datum in ("token_header", "lifetime_header"):
        if re.match(r"(?i)headers?\.", str(description.get(datum, ""))):
            yield datum, "must be the name of a header alone"
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
        elif without_prefix(written) != written:
            continue  # see `_prefixes`
        elif re.search(_NO_PATH, written) and path(written) != written:
            yield datum, "must be a path such as data.token"


def _other_fields(description: Table) -> Mistakes:
    """Yield paths of a field that always has another meaning (RFC 6749 section 5.1)."""
    token = description.get("token_field", DATA["token_field"].default)
    if token in ("token_type", "expires_in"):
        yield "token_field", f"is the path of another field (it is {shown(token)}); write another"
    is_jwt = description.get("lifetime_format") == "jwt"
    if token and token == description.get("lifetime_field") and not is_jwt:
        right = 'write lifetime_format = "jwt" too if the token has its expiry, or another'
        yield "lifetime_field", f"is the path of the token (it is {shown(token)}); {right}"


def _prefixes(description: Table) -> Mistakes:
    """Yield paths that begin with a name of the response itself."""
    is_apart = any(description.get(each) for each in ("missing_lifetime", "lifetime_header"))
    is_apart = is_apart or description.get("lifetime_format") == "jwt"
    others = {"token_field": "lifetime_field", "lifetime_field": "token_field"}
    for datum in (name for name, each in DATA.items() if each.check in PATH_CHECKS):
        written = description.get(datum)
        if not isinstance(written, str) or (rest := without_prefix(written)) == written:
            continue
        right = without_prefix(path(written)) or rest
        problem = f"begins with a name of the response itself (it is {shown(written)})"
        problem += f"; write {json.dumps(right)}"
        other, prefix = others.get(datum, ""), written[: -len(rest)]
        if is_code(written):
            yield datum, problem
        elif other and other not in description and not is_apart:
            # Where a platform has such a field, both are in it.
            usual = json.dumps(f"{prefix}{DATA[other].default}")
            yield datum, f"{problem}, or {other} = {usual} too if the response has that field"


def _forms(description: Table) -> Mistakes:
    """Yield separators, codes and types that no response has in this form."""
    separator = str(description.get("scope_separator", ""))
    escape = re.fullmatch("(?:%[0-9A-Fa-f]{2})+", separator)
    if right := unquote(separator) if escape else SEPARATORS.get(separator.lower(), ""):
        found = f"must be the character itself (it is {shown(separator)})"
        yield "scope_separator", f"{found}; write {json.dumps(right)}"
    for datum in ("rejected_codes", "success_codes"):
        codes = description.get(datum, ())
        if isinstance(codes, str) and "," in codes:
            yield datum, "must be a list where there are several codes"
        elif isinstance(codes, list) and any(", " in str(each) for each in codes):
            right = json.dumps(re.split(", *", ", ".join(map(str, codes))))
            yield datum, f"has several codes in one string; write {right}"
        elif isinstance(codes, (list, tuple)) and "" in codes:
            yield datum, f"{_EMPTY_CODE}, or remove it"
    domains = description.get("api_domains")
    listed = domains if isinstance(domains, list) and "api_url_field" in description else []
    for domain in listed:
        if re.fullmatch("[a-z]{2,}", str(domain)) and domain != "localhost":
            problem = f"{shown(domain)} is a top-level domain, with hosts of others"
            yield "api_domains", f'{problem}; write one of the platform, such as "acme.{domain}"'
    kind = description.get("token_type")
    if isinstance(kind, str) and (word := re.match(r"\s*([\w-]+):?\s*[{<$%]", kind)):
        problem = f"must be one word, as the response has it (it is {shown(kind)})"
        yield "token_type", f"{problem}; write {json.dumps(word[1])}"


def _lifetimes(description: Table) -> Mistakes:
    """Yield fields where no response can have a lifetime, and a missing lifetime."""
    form, field = description.get("lifetime_format"), description.get("lifetime_field")
    for datum in ("missing_lifetime", "max_margin"):
        if (value := description.get(datum)) in _IN_MILLISECONDS:
            found = f"is in seconds (it is {value:.0f}, which is usual in milliseconds)"
            yield datum, f"{found}; write {value // 1000:.0f}"
    missing = description.get("missing_lifetime")
    if missing in _IN_MINUTES and form == "minutes":
        right = f"{missing * 60:.0f}"
        yield "missing_lifetime", f"is in seconds (it is {missing:.0f}); write {right}"
    if form is None and re.search(_TIME, str(field)):
        right = 'lifetime_format = "epoch" or "date", or "seconds" if it is a number of seconds'
        yield "lifetime_field", f"has the name of a time (it is {shown(field)}); write {right}"
    for pattern, unit in _UNITS.items() if form is None else ():
        if re.search(pattern, str(field)):
            right = f'write lifetime_format = "{unit}", or "seconds" if it has these'
            yield "lifetime_field", f"has the name of a unit (it is {shown(field)}); {right}"
    if form == "jwt" and re.fullmatch(r"(?:[^.]+\.)*exp|expires_(?:in|at)", str(field)):
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
        elif not own:
            yield "error_codes", f"{_EMPTY_CODE}, or remove it"
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
