"""Placeholders in the syntax of other tools, and what to write instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keyturn._http.steps import STEP_NAMES
from keyturn._providers.description_words import RANDOM_WORDS, TIME_WORDS, snake

if TYPE_CHECKING:
    from collections.abc import Collection

# Placeholders of other tools with any name.
ANY_NAME = (
    r"\$\{\s*(?:\w+::?)?([\w.-]+)(?:\s*:?[-=?+][^{}]*)?\s*\}|#\{\s*([\w.-]+)\s*\}|%\(([\w.-]+)\)s"
    r"|\$?\{\{-?\s*\$?([\w.-]+)(?:\s*\|[^{}]*)?\s*-?\}\}"
    r"|\{{1,2}\s*\w[\w.]*\[\s*['\"]([\w.-]+)['\"]\s*\]\s*\}{1,2}"
    r"|<%[=-]?\s*([\w.-]+)\s*-?%>|\{\{[#/^&>!]\s*([\w.-]+)\s*\}\}"
    r"|@\{?\w+\(\s*['\"]([\w.-]+)['\"]\s*\)\}?"
)
# Placeholders of other tools, if the name is that of a setting.
_KNOWN_NAME = (
    r"<([\w-]+)>|(?<!\w)\[([\w-]+)\]|%\{?(\w+)[%}]|\$(\w+)|(?<=/):(\w+)|^:(\w+)$|@(\w+)(?:@|$)"
    r"|\(\(([\w.-]+)\)\)|`(\w+)`|\*(\w+)\*"
)
# A path in the response of a step, and the token of another request.
_STEP_VALUE = r"(?<!\{)\{(previous|discovery)([.\[][^{}|:]*)\}"
_OF_OTHERS = (
    r"\$?\{{1,2}\s*(?!(?:previous|token|discovery|request|env|vars|secrets?|settings?|config)\.)"
    r"[\w-]+\.(?:[\w-]+\.)*(?:access_?[tT]oken|token)\s*\}{1,2}|\{%-?\s*response\b[^%]*%\}"
)
# Prefixes of other tools before the name of a setting.
_HEADS = {"", "settings", "setting", "config", "connection", "env", "self", "inputs", "vars"} | {
    "values",
    "value",
}
# Prefixes before a path that is not a setting.
_PATH_HEADS = {*STEP_NAMES, "token", "request"}
_IN_BRACES = r"(?<!\{)\{([^{}\[]*)(\[[^{}]*\])?\}(?!\})"
# A filter or a function of other tools, and the keys of a value that replace it.
_FILTERS = {
    'encoding = "base64"': "base64 b64 b64encode base64encode base64_encode btoa to_base64",
    'encoding = "url"': "urlencode url_encode urlescape quote percent_encode encodeuricomponent",
    'encoding = "hex"': "hex hexlify",
    **{f'digest = "{each}"': each for each in ("md5", "sha1", "sha256", "sha512")},
}
FILTER_KEYS = {word: key for key, words in _FILTERS.items() for word in words.split()}
# What makes no difference, or stands for `optional`.
_NO_FILTERS = {"string", "str", "trim", "strip", "safe", "default", "d", "tojson", "upper", "lower"}
_CALL = r"\{{0,2}\s*\b([A-Za-z]\w*)\(\s*\{?\s*([\w.-]+)\s*\}?\s*\)\s*\}{0,2}"
_PIPE = r"\{{1,2}\s*([\w.-]+)\s*\|\s*(\w+)[^{}|]*\}{1,2}"
# A whole value that another tool replaces with a secret or a variable.
_REFERENCE = (
    r"\$(?:env:)?[A-Z][A-Z0-9_]*|(?:env|file|op|vault|ssm|keyring|secret|secrets|aws-sm)(?::|://).+"
    r"|p\(['\"].+['\"]\)|!(?:Ref|Sub|GetAtt|secret|env_var)\b.*"
    r"|\{?\$(?:request|response|inputs|steps|url)\b.*|\{(?:vault|env|secret|secrets)://.+\}|(?:var|process\.env|os\.environ)\.\w+"
    r"|(?:secrets|env|vars)\.[A-Z][A-Z0-9_]*"
    r"|\$\({1,2}[A-Za-z_]\w*\){1,2}|@(?:env|secret|vault)\(.+\)"
    r"|\{\{-?\s*(?:secrets?|vault|env|vars?|lookup)\s*[.(\[].*\}\}"
    r"|<[A-Z][A-Z0-9 _-]*>|YOUR[_-][A-Z0-9_-]+"
)


def braced(found: re.Match[str]) -> str:
    """Return the placeholder that another tool's placeholder means."""
    name = next(filter(None, found.groups()))
    if name.partition(".")[0] in _PATH_HEADS:
        return f"{{{name}}}"
    plain = snake(name.rpartition(".")[2])
    return "{uuid}" if plain in RANDOM_WORDS else f"{{{plain}}}"


def placeholder(template: str, names: Collection[str]) -> tuple[str, str]:
    """Return a placeholder in another form than `{name}`, and the right one; or two empty strings.

    Args:
        template: The template.
        names: The settings and values.
    """
    if found_other := _filtered(template, names) or _of_step(template, names):
        return found_other
    for found in re.finditer(ANY_NAME, template):
        right = braced(found)
        # `{{` and `}}` are braces, unless they hold the name of a setting.
        is_literal = found[4] and "$" not in found[0] and right[1:-1] not in names
        if right == "{access_token}" and "token" in names:
            return found[0], "{token}"
        if not is_literal:
            return found[0], right + _described(right, names)
    for found in re.finditer(_IN_BRACES, template):
        if right := _in_braces(found, names):
            return found[0], right
    for found in re.finditer(_KNOWN_NAME, template):
        if (right := braced(found))[1:-1] in names:
            return found[0], right
    return "", ""


def _of_step(template: str, names: Collection[str]) -> tuple[str, str] | None:
    """Return a value of an earlier response in the syntax of other tools, and what to write."""
    for found in re.finditer(_STEP_VALUE, template):
        step, path = found.groups()
        made = re.sub(r"\.{2,}|\$", ".", re.sub(r"\[['\"]?([\w-]+)['\"]?\]", r".\1", path))
        if path != f".{made.strip('.')}":
            return found[0], f"{{{step}.{re.sub(r'[.]+', '.', made).strip('.')}}}"
    token = re.search(_OF_OTHERS, template)
    if token and "token" in names:
        return token[0], "{token}"
    right = "{previous.access_token}, with the other request as [previous]"
    return (token[0], right) if token else None


def _described(right: str, names: Collection[str]) -> str:
    """Return how to describe a name that is not known, or an empty string."""
    name = right[1:-1]
    if name in names or "." in name or name == "uuid":
        return ""
    is_time = name in TIME_WORDS
    made = f'[values.{name}] time = "epoch"' if is_time else f'[settings.{name}] title = "…"'
    return f", and describe it: {made}"


def _in_braces(found: re.Match[str], names: Collection[str]) -> str:
    """Return what to write for a name in braces that is similar to a setting's, or ""."""
    written, key = found[1], (found[2] or "")[1:-1].strip("'\"")
    if written in names:
        return ""
    if key in names and written.strip().lower() in _HEADS:
        return f"{{{key}}}"
    plain = re.sub(r"(?:![rsa])?(?::(?!json).*|=.*|\|\s*['\"].*)?$", "", written)
    head, _, last = plain.rpartition(".")
    if (name := snake(last)) in names and head.lower() in _HEADS:
        return f"{{{name}{found[2] or ''}}}"
    return f"{{{head}}}" if head in names and head not in _PATH_HEADS else ""


def _filtered(template: str, names: Collection[str]) -> tuple[str, str] | None:
    """Return a filter or a function of other tools, and what to write, or None."""
    for pattern, is_call in ((_CALL, True), (_PIPE, False)):
        for found in re.finditer(pattern, template):
            word, written = (found[1], found[2]) if is_call else (found[2], found[1])
            name, key = snake(written), FILTER_KEYS.get(word.lower(), "")
            is_known = key or (not is_call and word.lower() in _NO_FILTERS)
            if name in names and word not in names and is_known:
                made = f"{name}_{snake(word)}"
                value = f'[values.{made}] template = "{{{name}}}", {key}'
                return found[0], f"{{{made}}}, and {value}" if key else f"{{{name}}}"
    return None


def reference(template: str) -> str:
    """Return what is wrong with a value that another tool replaces, or an empty string."""
    if not re.fullmatch(_REFERENCE, template):
        return ""
    written = re.sub(r"\.(?:json|xml|txt|pem|key)$", "", template.strip("<>{}"))
    name = snake(re.split(r"[:/.(]", written.strip("$()"))[-1]) or "secret"
    return (
        "is a reference of another tool; here it is a setting of each connection. Write "
        f'{{{name}}}, and describe it: [settings.{name}] kind = "secret", title = "…"'
    )
