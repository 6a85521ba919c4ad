"""Mistakes in what a token request takes from the response of the step before it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyturn._providers.description_words import snake

# What other tools write before a path in a response; a platform may have such a field too.
RESPONSE_WORDS = r"(?:response|resp|res|body|payload|root)"
# Names in code, which no response has at its top.
_CODE_WORDS = r"(?:pm|this|self|json(?:data)?|\w+\(\))"
_PREFIX = re.compile(rf"(?i)(?:\$?(?:{RESPONSE_WORDS}|{_CODE_WORDS})(?:\(\))?(?:\.|#/?)+)+(?=\w)")
_IS_CODE = re.compile(rf"(?i)\$|(?:\w+\.)*{_CODE_WORDS}\.|.*\(\)")
_HEADER = re.compile(r"(?i)(?:response\.)?(headers?|(?:set-)?cookies?)[.:]\s*([\w-]+)")
_TOKENS = ("token", "access_token")
_OTHER_TOKENS = ("refresh_token", "id_token")
_NOT_KEPT = ("token_type", "expires_in", "scope")


def without_prefix(path: str) -> str:
    """Return a path without words that name the response itself."""
    found = _PREFIX.match(path)
    return path[found.end() :] if found else path


def is_code(path: str) -> bool:
    """Return whether a path with such words can't be a path in a response."""
    return bool(_IS_CODE.match(path))


def member_mistakes(template: str, previous: object) -> Iterator[str]:
    """Yield what is wrong with the values of the step before that a template names."""
    step = previous if isinstance(previous, Mapping) else {}
    for member in re.findall(r"\{previous\.([^{}\[\]|:]+)\}", template):
        if problem := _member_problem(member, step):
            yield f"has {{previous.{member}}}, {problem}"


def _member_problem(member: str, step: Mapping[str, Any]) -> str:
    """Return what is wrong with a value of the step before, or an empty string."""
    field = "" if step.get("token_header") else str(step.get("token_field", "access_token"))
    if member in {"access_token", field}:
        return ""
    if snake(member) == snake(field):
        return f"but token_field of that step is {field}: write {{previous.{field}}}"
    return _elsewhere(member) or _not_kept(member, field, step)


def _elsewhere(member: str) -> str:
    """Return what is wrong with a header of a response, or an empty string."""
    if header := _HEADER.fullmatch(member):
        name = f"Set-Cookie.{header[2]}" if "cookie" in header[1].lower() else header[2]
        right = f"token_header = {json.dumps(name)} in [previous], and {{previous.access_token}}"
        return f"which is no part of the body: write {right}"
    return ""


def _not_kept(member: str, field: str, step: Mapping[str, Any]) -> str:
    """Return what is wrong with a value that is not read or not kept, or an empty string."""
    plain, own = without_prefix(member), [str(step.get("lifetime_field")), field]
    is_inside = any(each.startswith(member[: -len(plain)]) for each in own)
    # Other values may be in a field that has such a name.
    is_named = is_code(member) or (snake(plain) in {*_TOKENS, snake(field)} and not is_inside)
    if plain != member and is_named:
        return f"but paths begin in the response: write {{previous.{plain}}}"
    if member.startswith("previous."):
        return f"which only [previous.previous] has: write {{{member}}} in a value of [previous]"
    if snake(member) in _TOKENS:
        return "but the token of that step has another name: write {previous.access_token}"
    if (last := member.rpartition(".")[2]) and snake(last) in _OTHER_TOKENS:
        return f"a token, which is not kept: write token_field = {json.dumps(member)} in [previous]"
    if member in _NOT_KEPT:
        right = "{scope}" if member == "scope" else "the value itself"
        return f"which is not kept: write {right}"
    return ""
