"""Strings of a description that would be sent as they stand, and that were meant otherwise."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from keyturn._providers.description_fixes import shown
from keyturn._providers.description_placeholders import FILTER_KEYS
from keyturn._providers.description_words import RANDOM_WORDS, snake

if TYPE_CHECKING:
    from collections.abc import Iterator

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
# A key as PEM or JWK, and certificates, are headers of a JWT that everybody may read.
_PUBLIC = {"assertion_headers"}


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
    elif template == "uuid" or template in RANDOM_WORDS - {"random"}:
        yield f"is sent as it stands (it is {shown(template)}); write {{uuid}}"
