"""Strings of a description that would be sent as they stand, and that were meant otherwise."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from keyturn._providers.description_fixes import shown
from keyturn._providers.description_placeholders import FILTER_KEYS
from keyturn._providers.description_words import RANDOM_WORDS, snake

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

# The forms of credentials that their issuers document, and of those that are random.
_ISSUED = (
    r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?|[sr]k_(?:live|test)_\w+|gh[opsru]_\w{20,}|glpat-[\w-]+"
    r"|xox[abeoprs]-[\w-]+|A[KS]IA[A-Z0-9]{12,}|shp(?:at|ca|pa|ss)_\w+|SG\.[\w-]+\.[\w-]+"
    r"|AIza[\w-]{30,}|-----BEGIN [\s\S]*"
)
_RANDOM = (
    r"(?=.*[0-9])(?=.*[a-fA-F])[0-9a-fA-F]{32,}"
    r"|(?=.*[A-Z])(?=.*[a-z])(?=(?:.*[0-9]){3})[A-Za-z0-9_+/-]{24,}={0,2}"
)
_SECRET = re.compile(rf"(?:(?:Bearer|Basic|Token) +)?(?:{_ISSUED}|{_RANDOM})")
SECRET_LIKE = "looks like a secret"  # noqa: S105 - what a message says
_NAME = r"([A-Za-z]\w*)"
_CALL = re.compile(r"\b(\w+)\(([^()]*\{\w+\}[^()]*)\)")
# Templates of addresses, whose names are sent as they stand.
_ADDRESSES = ("token_url", "api_url", "revocation_url", "token_endpoint")
OVERRIDES = frozenset({"token_url", "api_url", "revocation_url"})
# What others write in place of a value that their reader fills in.
_UNFINISHED = re.compile(
    r"<[\w .-]+>|(?i:change_?me|replace_?me|todo|tbd|fixme|x{4,}|your[-_ ](?:\w+[-_ ]?)+"
    r"|insert[-_ ].*[-_ ]here)"
)
_QUALIFIED = r"(?:vars?|locals?|env|secrets?|settings?|config|inputs?|params?|self)\.(\w+)"
# A key as PEM or JWK, and certificates, are headers of a JWT that everybody may read.
_PUBLIC = {"assertion_headers"}


def unfinished(text: str) -> bool:
    """Return whether a string stands for a value that its reader fills in."""
    return bool(_UNFINISHED.fullmatch(text))


def name_mistakes(place: str, template: str, names: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with a string that is a name without braces.

    Args:
        place: As for `literal_mistakes`.
        template: The string.
        names: The settings, the values, and what else may be named there.
    """
    datum, _, key = place.partition(".")
    if datum == "assertion_audience" and re.fullmatch(r"\w+_(?:url|endpoint)|issuer", template):
        right = "remove it: the default is the address of the token endpoint"
        yield f"is the name of an address (it is {shown(template)}); {right}"
    elif template in _ADDRESSES:
        yield f"is the name of an address (it is {shown(template)}); write the address itself"
    elif (found := re.fullmatch(_QUALIFIED, template)) and found[1] in names:
        yield f"is a reference of another tool (it is {shown(template)}); write {{{found[1]}}}"
    elif override := _override(datum, template, names):
        empty = "which is empty unless a connection has another address"
        yield f"names {{{override}}}, {empty}: write the address itself"
    elif template in names and _is_named_so(datum, key, template):
        written = "token" if template == "access_token" else template
        yield f"is the name of what is sent (it is {shown(template)}); write {{{written}}}"
    elif (found := re.fullmatch(r"([\w-]+): *\S.*", template)) and found[1].lower() == key.lower():
        yield "begins with its own name: write the value alone"


def _override(datum: str, template: str, names: Collection[str]) -> str:
    """Return the setting of another address that a template names, or an empty string."""
    found = re.search(r"\{(\w+_url)\}", template)
    is_one = found and not datum.endswith("_url") and found[1] in OVERRIDES & {*names}
    return found[1] if found and is_one else ""


def _is_named_so(datum: str, key: str, name: str) -> bool:
    """Return whether a parameter, a header or a claim has the name of the value that it has."""
    plain = snake(key).removeprefix("x_")
    if datum == "values":
        return key.endswith(".template") and key != f"{name}.template"
    is_issuer = datum == "assertion_claims" and key in {"iss", "sub"}
    return is_issuer or plain == name or plain.endswith(f"_{name}") or name.endswith(f"_{plain}")


def literal_mistakes(place: str, template: str) -> Iterator[str]:
    """Yield what is wrong with a string that may have placeholders.

    Args:
        place: Its datum, and its name in the datum's table if there is one.
        template: The string.
    """
    datum, _, key = place.partition(".")
    variable = rf"[$:]{_NAME}" if not datum.endswith("_url") else rf".*/[:$]{_NAME}/.*"
    if found := re.fullmatch(variable, template):
        name = snake(found[1])
        written = f"has {template[found.start(1) - 1 : found.end(1)]}, which is no placeholder"
        yield f'{written}: write {{{name}}}, and describe it: [settings.{name}] title = "…"'
    elif datum not in _PUBLIC and _SECRET.fullmatch(template):
        name = snake(key or datum)
        where = f'[settings.{name}_value] kind = "secret", title = "…"'
        public = "the default of a setting if everybody may know it"
        yield f"{SECRET_LIKE}; write {{{name}_value}}, and {where}, or {public}"
    elif (text := re.fullmatch(r"[fF](['\"])(.*)\1", template)) and "{" in template:
        yield f"is a string of Python (it is {shown(template)}); write {json.dumps(text[2])}"
    elif (call := _CALL.search(template)) and not re.match(r"(?i)basic\s", template):
        if made := FILTER_KEYS.get(call[1].lower()):
            value = f"[values.{snake(call[1])}] template = {json.dumps(call[2])}, {made}"
            yield f"has {call[1]}(…), which is sent as it stands: write a value, such as {value}"
    elif unfinished(template):
        name = snake(key or datum)
        right = f'write {{{name}}}, and describe it: [settings.{name}] title = "…"'
        yield f"stands for another value (it is {shown(template)}); {right}"
    elif datum != "values" and re.search(r"\} +\|\| | \|\| +(?:https?://)?\{", template):
        right = "write {a|b} for the first one that is set, or the default of a setting"
        yield f"has ||, which is sent as it stands (it is {shown(template)}); {right}"
    elif template == "uuid" or template in RANDOM_WORDS - {"random"}:
        yield f"is sent as it stands (it is {shown(template)}); write {{uuid}}"
