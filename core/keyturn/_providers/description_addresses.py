"""Mistakes in the addresses of a description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyturn._providers.description_fixes import shown
from keyturn._providers.description_literals import OVERRIDES
from keyturn._providers.description_words import snake

Table = Mapping[str, Any]
Mistakes = Iterator[tuple[str, str]]

# What documentation has in place of the user's own part of a host.
_UNFINISHED = (
    r"//(?:\w+\.)?(your-?(?:domain|tenant|company|org|organization|instance|subdomain|store|shop"
    r"|site|account|region|server|host|project))(?:[./:]|$)"
)


def address_mistakes(description: Table, names: Table) -> Mistakes:
    """Yield the addresses that are invalid with any settings."""
    reported: set[str] = set()
    for datum in sorted(OVERRIDES):
        url = description.get(datum)
        if not isinstance(url, str):
            continue
        for place in re.finditer(r"\{(\w+)\}", url):
            problem = _in_address(place, description, names)
            if problem and problem not in reported:  # one mistake in a setting is reported once
                reported.add(problem)
                yield datum, f"{problem} (it is {shown(url)})"
        yield from ((datum, each) for each in _text_problems(url))
        if datum == "revocation_url" and url and url == description.get("token_url"):
            yield datum, "is the token endpoint, which revokes nothing: write another, or remove it"
    found = re.search(r".\{(discovery|previous)\.[^}]*\}", str(description.get("token_url")))
    if found:
        right = found[0][1:]
        yield "token_url", f'may only begin with a value of another step; write "{right}"'


def _in_address(found: re.Match[str], description: Table, names: Table) -> str:
    """Return what is wrong with the place of a setting in an address, or an empty string."""
    name, is_first = found[1], found.start() == 0
    tables = description.get("settings")
    given = tables.get(name) if isinstance(tables, Mapping) else None
    table: Table = given if isinstance(given, Mapping) else {}
    kind = table.get("kind", "text") if table else ""
    if name in OVERRIDES and name in names:
        return (
            f"names {{{name}}}, which replaces an address as a whole: write the address itself, or "
            'describe a setting, such as [settings.url] kind = "url"'
        )
    if kind == "url" and not is_first:
        return (
            f"names {{{name}}}, which is a whole address: write {{{name}}} at the beginning, or "
            f'kind = "domain" in [settings.{name}]'
        )
    is_in_host = not is_first and "/" not in found.string[: found.start()].partition("://")[2]
    if problem := _choice_problem(
        name, table.get("choices"), is_first=is_first, is_in_host=is_in_host
    ):
        return problem
    if is_first and kind in {"label", "domain", "integer", "scope"}:
        right = f"https://{{{name}}}" + ("" if kind == "domain" else ".acme.example")
        return f'begins with {{{name}}}, which is not an address: write "{right}…", or kind = "url"'
    return ""


def _choice_problem(name: str, choices: object, *, is_first: bool, is_in_host: bool) -> str:
    """Return what is wrong with the choices of a setting in an address, or an empty string."""
    listed = [*choices.values()] if isinstance(choices, Mapping) else choices
    if not (isinstance(listed, list) and listed and all(isinstance(each, str) for each in listed)):
        return ""
    if not is_first and all(each.startswith("https://") for each in listed):
        return f"names {{{name}}}, whose choices are whole addresses: write it at the beginning"
    if is_first and not any("://" in each for each in listed):
        right = f'write "https://{{{name}}}…"'
        return f"begins with {{{name}}}, whose choices are no addresses: {right}"
    wrong = [each for each in listed if not re.fullmatch("[a-z0-9.-]*", each)]
    if is_in_host and wrong:
        right = json.dumps(wrong[0].lower())
        if not re.fullmatch("[A-Za-z0-9.-]+", wrong[0]):
            right = f"{{{name}}} at the beginning, and each choice as a whole address"
        return f"names {{{name}}}, whose choice {shown(wrong[0])} can't be in a host: write {right}"
    return ""


def _text_problems(url: str) -> Iterator[str]:
    """Yield what is wrong with an address, whatever its settings are."""
    if re.search(r"[^:/]//|^\{[^}]*\}//", url):
        right = json.dumps(re.sub("(?<!:)/{2,}", "/", url))
        yield f"has two slashes in its path (it is {shown(url)}); write {right}"
    if found := re.search(_UNFINISHED, url):
        yield f"has {found[1]}, which stands for a setting; write {{{snake(found[1])}}}"
    if "*" not in url[-1:] and re.search(r"/(?:\*|\.{3,})(?:/|$)", url):
        yield f"stands for other addresses (it is {shown(url)}); write a setting there"
    if url.endswith("*"):
        right = json.dumps(url.rstrip("*").rstrip("/"))
        yield f"must be an address alone (it is {shown(url)}); write {right}"
