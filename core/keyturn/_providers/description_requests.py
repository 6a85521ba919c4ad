"""Mistakes in the requests of a description: the grant, headers and bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyturn._providers.data import DATA
from keyturn._providers.description_fixes import shown
from keyturn._providers.description_hints import SECRET_NAME
from keyturn._providers.description_words import snake
from keyturn._providers.templates import names_in

Table = Mapping[str, Any]
Mistakes = Iterator[tuple[str, str]]

_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_GRANTS = {
    "client_credentials": "client_credentials",
    "urn_ietf_params_oauth_grant_type_client_credentials": "client_credentials",
    "jwt_bearer": _JWT,
    "jwt": _JWT,
    "token_exchange": "urn:ietf:params:oauth:grant-type:token-exchange",
    "saml2_bearer": "urn:ietf:params:oauth:grant-type:saml2-bearer",
}
# Grants, and the further parameters that each needs.
_NEEDS = {
    "authorization_code": "code",
    "refresh_token": "refresh_token",
    "password": "password",
    "urn:ietf:params:oauth:grant-type:device_code": "device_code",
}
_OF_USERS = {"implicit", "authorization_code", "device_code", "device", "pkce"}
# In TOML, what stands below the line of a table is in it. Other data may be names of parameters.
_NO_NAMES = {each for each in DATA if "_" in each} - {"token_type", "grant_type", "token_url"}
# Headers of HTTP by their names without separators, as code has them.
_HEADERS = {
    each.replace("-", "").lower(): each
    for each in ("Content-Type", "Accept-Language", "Accept-Encoding", "User-Agent")
}
# A doubled brace, or a placeholder.
_PLACED = r"\{\{|\}\}|\{\w[\w.|@#-]*(?:\[[\w.-]+\])?(?::json)?\}"


def grant_mistakes(description: Table) -> Mistakes:
    """Yield a grant that is misspelled, that needs a user, or that lacks a parameter."""
    grant = description.get("grant_type")
    if not isinstance(grant, str) or not grant:
        return
    found = f"(it is {shown(grant)})"
    right = _GRANTS.get(snake(grant), grant)
    if parts := re.match(r"(\w+)[&;?]\w+=", grant):
        right = f"{json.dumps(parts[1])}, and the others in parameters"
        yield "grant_type", f"has further parameters {found}; write {right}"
    elif re.search("[{}$<>]", grant):
        yield (
            "grant_type",
            f'is not a template {found}; write parameters.grant_type, and grant_type = ""',
        )
    elif right != grant:
        spelling = (
            'a grant of the platform with this name belongs in parameters, with grant_type = ""'
        )
        yield (
            "grant_type",
            f"is similar to an OAuth grant type: {spelling} {found}; write {json.dumps(right)}",
        )
    elif snake(grant) in _OF_USERS or grant in _NEEDS:
        needed = _NEEDS.get(grant, "code")
        if needed in _sent(description):
            return
        what = "belongs to a grant with a user" if snake(grant) in _OF_USERS else "needs more"
        other = f'"client_credentials", or {needed} in parameters'
        yield "grant_type", f"{what} {found}; write {other}"


def _sent(description: Table) -> set[str]:
    """Return the names of the parameters of a token request."""
    sent = {str(description.get(name)) for name in ("client_id_name", "client_secret_name")}
    for table in ("parameters", "query"):
        given = description.get(table)
        sent |= {*map(str, given)} if isinstance(given, Mapping) else set()
    return sent | {*re.findall(r"\w+", str(description.get("body")))}


def header_mistakes(description: Table) -> Mistakes:
    """Yield headers and parameters that are written as lists, or that contain secrets."""
    is_json = description.get("body_format") == "json"
    encoded = ("query", "api_query", *([] if is_json else ["parameters"]))
    for table in ("token_headers", "api_headers", "parameters", "query", "api_query"):
        given = description.get(table)
        if not isinstance(given, Mapping):
            continue
        named = given.get("name", given.get("key"))
        if isinstance(named, str) and {*given} in ({"name", "value"}, {"key", "value"}):
            right = f"{table} = {{ {json.dumps(named)} = … }}"
            yield table, f"is a table with a name and a value; write {right}"
            continue
        for name, value in given.items():
            if name in _NO_NAMES:
                yield f"{table}.{name}", f"is a key of the description: write it above [{table}]"
            elif isinstance(value, str):
                problem = _value_problem(table, str(name), value)
                if problem := problem or (_encoded(value) if table in encoded else ""):
                    yield f"{table}.{name}", problem


def _encoded(value: str) -> str:
    """Return what is wrong with a value that is encoded when it is sent, or an empty string."""
    if value.strip() and value != value.strip():
        return "must have no spaces or ends of lines around its value; remove them"
    if re.search("%[0-9A-F]{2}", value):
        return "is encoded again when it is sent; write it without %"
    return ""


def _value_problem(table: str, name: str, value: str) -> str:
    """Return what is wrong with the value of a header or a parameter, or an empty string."""
    if table.endswith("_headers") and value != value.strip() and value.isprintable():
        return "must have no spaces around its value; remove them"
    standard = _HEADERS.get(re.sub("[-_]", "", name).lower(), name)
    if table.endswith("_headers") and standard.lower() != name.lower():
        return f"is not a header of HTTP; write {standard}"
    if re.match(r"(?i)basic\s", value) and {"client_secret", "password"} & names_in(value):
        right = 'client_authentication = "client_secret_basic", or a value with encoding = "base64"'
        return f"is not encoded in Base64; write {right}"
    if found := re.search(r"\{\{ *\w+\([^{}\"']*\) *\}\}", value):
        return f"has {found[0]}, which is sent unchanged; write the name of a value in [values]"
    if SECRET_NAME.fullmatch(snake(name)) and value and not re.search(r"[{}$<]", value):
        right = f'{{{snake(name)}}}, and [settings.{snake(name)}] kind = "secret", title = "…"'
        return f"is a secret, which is a setting of each connection; write {right}"
    return ""


def authorization_mistakes(description: Table) -> Mistakes:
    """Yield names of headers where their value is meant, and the reverse."""
    header = str(description.get("authorization_header", DATA["authorization_header"].default))
    value = str(description.get("authorization_value", ""))
    if "{" in value and value.lower().startswith(f"{header}:".lower()):
        right = json.dumps(value[len(header) + 1 :].strip())
        yield "authorization_value", f"begins with the name of the header; write {right}"
    scheme = str(description.get("authorization_scheme", ""))
    if re.fullmatch(r"[\w-]+[:=]", scheme):
        right = f'authorization_value = "{scheme}{" " if ":" in scheme else ""}{{token}}" instead'
        right = f"{json.dumps(scheme[:-1])}, or {right}" if ":" in scheme else right
        problem = "is sent with a space after it"
        yield "authorization_scheme", f"{problem} (it is {shown(scheme)}); write {right}"
    given = description.get("values")
    values = given if isinstance(given, Mapping) else {}
    named = " ".join([value, *(str(each) for name, each in values.items() if str(name) in value)])
    if "{" in value and "token" not in named:
        right = 'such as "Bearer {token}", or remove it'
        yield "authorization_value", f"must name the token (it is {shown(value)}); write {right}"
    if description.get("client_authentication", "client_secret_post") == "client_secret_post":
        for datum in ("client_id_name", "client_secret_name"):
            name = str(description.get(datum, ""))
            if name.lower().startswith("x-"):
                right = 'write client_authentication = "client_secret_headers" too'
                yield datum, f"is the name of a header (it is {shown(name)}); {right}"


def body_mistakes(description: Table) -> Mistakes:
    """Yield bodies that do not match their content type."""
    body = description.get("body")
    form = description.get("body_format", "form")
    yield from _content_type(description, form)
    if not isinstance(body, str) or not body:
        return
    given = str(description.get("content_type"))
    is_json = "/json" in given or "+json" in given
    if is_json and re.match(r'\s*\{\s*"', body):
        yield "body", "is a template; write {{ and }} for literal braces"
    elif is_json and (problem := _json_problem(body)):
        yield "body", f"is not valid JSON: {problem}"
    elif "xml" in given and (problem := _xml_problem(body)):
        yield "body", f"is not valid XML: {problem}"


def _content_type(description: Table, form: object) -> Mistakes:
    headers = description.get("token_headers")
    named = {"content_type": description.get("content_type")}
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        named |= {f"token_headers.{name}": value} if str(name).lower() == "content-type" else {}
    has_form = (
        form == "form"
        and description.get("method") != "GET"
        and description.get("grant_type", form)
        and not description.get("body")
    )
    for path, value in named.items():
        kind = str(value).partition(";")[0].strip().lower()
        if kind == "multipart/form-data" and has_form:
            yield (
                path,
                f"is not sent: keyturn has no multipart (it is {shown(value)}); write nothing",
            )
        elif kind == "application/json" and has_form and "body_format" not in description:
            right = f'body_format = "json" {"too" if path != "content_type" else "instead"}'
            problem = "contradicts body_format, which is form by default"
            yield path, f"{problem} (it is {shown(value)}); write {right}"


def _sample(body: str) -> str:
    """Return a body with a number in place of each placeholder."""
    return re.sub(_PLACED, lambda found: {"{{": "{", "}}": "}"}.get(found[0], "1"), body)


def _json_problem(body: str) -> str:
    try:
        json.loads(_sample(body))
    except ValueError as error:
        return str(error).partition(" (char")[0]
    unquoted = re.search(r'(?<!["{])(\{(?:client_id|client_secret|username|password)\})', body)
    return f'a string has quotes; write "{unquoted[1]}"' if unquoted else ""


def _xml_problem(body: str) -> str:
    from xml.parsers import expat  # few descriptions need it

    try:
        expat.ParserCreate().Parse(_sample(body), True)  # noqa: FBT003 - its signature
    except expat.ExpatError as error:
        return str(error)
    return ""
