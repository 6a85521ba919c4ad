"""Reading the token, or the error, in a token endpoint's response."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeGuard

from keyturn import errors
from keyturn._http.error_codes import OAUTH_CODES, RATE_CODES, UNAVAILABLE_CODES, is_code
from keyturn._http.response import OAuthError, Response, media_type_of
from keyturn._providers.checks import SCOPE_VALUE_PATTERN
from keyturn._providers.lifetimes import lifetime_of
from keyturn._providers.response_formats import content_of, read_content
from keyturn._secret import Secret
from keyturn._token import Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keyturn._providers.data import TokenResponseMapping

_USUAL_CODES = OAUTH_CODES | UNAVAILABLE_CODES | RATE_CODES
# How many levels of a response's other fields are kept.
_MAX_DEPTH = 32
# Characters: a store's entry has 262,144 at most, encrypted ones included.
_MAX_SCOPE, _MAX_EXTRA = 32_768, 65_536
# Bytes of a response; JSON may encode one byte as six characters.
_LARGE = _MAX_EXTRA // 6
_DEFAULT_LIFETIME_FIELD = "expires_in"
_VISIBLE_PATTERN = r"[\x21-\x7e]{1,65536}"
# RFC 6749 appendix A.12 allows spaces; HTTP removes them at the ends of a header.
_TOKEN_PATTERN = r"(?! )[\x20-\x7e]{1,65536}(?<! )"  # noqa: S105 - no password
_SCOPE_PATTERN = f"{SCOPE_VALUE_PATTERN}(?: +{SCOPE_VALUE_PATTERN})*"
# In lower case and without underscores: several platforms write `refreshToken`.
_SECRET_FIELDS = frozenset({"accesstoken", "refreshtoken", "idtoken"})
_KNOWN_FIELDS = frozenset({"token_type", "expires_in", "scope"})


def read_error(response: Response, mapping: TokenResponseMapping) -> OAuthError | None:
    """Return the error in a response of any status, or None if it has none."""
    content = response.json()
    if content is None:
        content = read_content(response, mapping)[0]
    found = field_of(content, mapping.error_field)
    if content is None and _bare(response) in OAUTH_CODES | UNAVAILABLE_CODES:
        found = _bare(response)
    if found in (None, "", 0, "0", False, [], {}):
        return None
    named = str(found) if isinstance(found, (str, int)) else ""
    if named in mapping.success_codes:
        return None
    # Some platforms write the usual codes in upper case.
    usual = named.lower() if named.lower() in _USUAL_CODES else named
    code = mapping.error_codes.get(named, usual)
    description = field_of(content, mapping.error_description_field)
    if not isinstance(description, str):
        description = ""
    if code == named and named and not is_code(named):
        code, description = "", f"{named} {description}".strip()
    is_transient = code in UNAVAILABLE_CODES
    is_mapped = named in mapping.error_codes and code not in UNAVAILABLE_CODES | RATE_CODES
    return OAuthError(code, description, server_fault=is_transient, client_fault=is_mapped)


def read_token(
    response: Response,
    mapping: TokenResponseMapping,
    *,
    missing_lifetime: float | None = None,
    requested_scope: str | None = None,
) -> Token:
    """Return the token in a response without an error.

    Args:
        response: The response, with a status of success.
        mapping: Where the response has each part.
        missing_lifetime: Seconds to assume when it has no lifetime; None refuses it.
        requested_scope: The scope that was requested; it is the granted one if the response
            has none.

    Raises:
        keyturn.errors.InvalidTokenResponse: A field is missing, or is not what it must be.
    """
    content, problem = response.json(), ""
    if content is None or mapping.response_encoding != "utf-8":
        content, problem = read_content(response, mapping)
    field, what = mapping.token_field, ""
    if mapping.token_header or not field:
        field, token, what = "", *_token_without_field(response, mapping, content)
        content = content if mapping.token_header else {}
    elif problem or not isinstance(content, (dict, list)):
        form = _FORMATS[mapping.response_format]
        raise errors.InvalidTokenResponse(
            f"the token endpoint's response is not {form}.", hint=problem or _NO_OBJECT
        )
    else:
        token = field_of(content, field)
    # A whole body of several words is probably a message.
    if not _is_visible(token, _TOKEN_PATTERN if field else _VISIBLE_PATTERN):
        what = what or f"the response's {field}"
        raise errors.InvalidTokenResponse(
            f"{what} is missing, or is not a string of visible ASCII characters.",
            hint=_elsewhere(content, field)
            or "Set token_field to the path at which this server's responses have the token, or "
            "token_header to the header that has it.",
        )
    fields: dict[str, Any] = content if isinstance(content, dict) else {}
    path, form = mapping.lifetime_field, mapping.lifetime_format
    lifetime = field_of(content, path) if path else None
    if mapping.lifetime_header:
        path = mapping.lifetime_header
        lifetime = response.headers.get(path.lower())
    if form == "jwt" and path in {"", _DEFAULT_LIFETIME_FIELD}:
        path, lifetime = field or "token", token
    seconds = lifetime_of(
        lifetime,
        form,
        path or "lifetime",
        response,
        missing_lifetime,
        zone=mapping.lifetime_timezone,
    )
    extra = _without_tokens(fields, token, field.split("."))
    return Token(
        access_token=token,
        token_type=_token_type(fields.get("token_type"), mapping.token_type),
        expires_at=response.sent_at + seconds,
        scope=_scope(fields.get("scope"), requested_scope, mapping),
        extra=_bounded(extra) if len(response.body) > _LARGE else extra,
        issued_at=response.sent_at,
    )


def _elsewhere(content: Any, field: str) -> str:
    """Return a hint for a path whose end is the path of a token, or an empty string."""
    while field := field.partition(".")[2]:
        if _is_visible(field_of(content, field), _TOKEN_PATTERN):
            return f'Set token_field to "{field}": this response has a string there.'
    return ""


_FORMATS = {"json": "a JSON object", "xml": "XML with elements", "form": "a form"}
_NO_OBJECT = (
    'Check token_url; if the token is the whole body, set token_field to ""; if it is in a '
    'list, to a path such as "0.access_token".'
)


def _token_without_field(
    response: Response, mapping: TokenResponseMapping, content: Any
) -> tuple[object, str]:
    """Return the token that is a header or the whole body, and its name in messages."""
    if name := mapping.token_header:
        return _header(response, name), f"the response's header {name}"
    return _whole_body(response, content), "the response, a token by itself,"


def _header(response: Response, name: str) -> str | None:
    """Return the value of a header, or of a cookie that is set as `Set-Cookie.NAME`."""
    header, dot, cookie = name.partition(".")
    if not dot or header.lower() != "set-cookie":
        return response.headers.get(name.lower())
    set_cookies = response.headers.get("set-cookie", "")
    found = re.search(rf'(?:^|,) *{re.escape(cookie)}="?([^",;\s]*)', set_cookies)
    return found[1] if found else None


def _bare(response: Response) -> str:
    return response.body.decode("ascii", "replace").strip()


def _token_type(found: object, wanted: str) -> str:
    if _is_visible(found) and wanted.lower() in {"", found.lower()}:
        return found
    if not wanted:
        return "Bearer"
    raise errors.InvalidTokenResponse(
        f"the response's token_type is missing, or is not {wanted}.",
        hint='Set token_type to what this server sends, or to "" if it sends none.',
    )


def field_of(content: Any, path: str) -> Any:
    """Return the value at a path in a JSON value, or None if there is none."""
    for name in path.split("."):
        if isinstance(content, dict):
            content = content.get(name)
        elif isinstance(content, list) and name.isdecimal() and len(name) < 5:
            content = content[int(name)] if int(name) < len(content) else None
        else:
            return None
    return content


def is_success(response: Response, token_status: int | frozenset[int]) -> bool:
    """Return whether a response has a status of success."""
    if isinstance(token_status, int):
        return response.status == token_status
    return response.status in token_status


def received_tokens(
    response: Response, mapping: TokenResponseMapping, token_status: int | frozenset[int]
) -> list[Secret]:
    """Return the tokens in a response; in one of success, also if it is not valid JSON."""
    content, field = content_of(response, mapping), mapping.token_field
    sent = _header(response, mapping.token_header) if mapping.token_header else None
    if isinstance(content, (dict, list)):
        found = [sent, field_of(content, field), *_named_tokens(content)]
        return [Secret(str(each)) for each in found if isinstance(each, (str, int)) and each]
    if not is_success(response, token_status):
        return []
    if sent:
        return [Secret(sent)]
    if not field:
        return [Secret(str(_whole_body(response, content)))]
    # Incomplete JSON, or another format: the value after the name of a token.
    names = rf"(?:access|refresh|id)_?token|{re.escape(field.rpartition('.')[2])}"
    pattern = rf"""(?i)(?:{names})["']?\s*[=:>]\s*["']?([\w.~+/=-]+)"""
    return [*map(Secret, re.findall(pattern, response.body.decode("utf-8", "replace")))]


def _named_tokens(content: Any) -> Iterator[object]:
    """Yield the values of RFC 6749's fields for tokens, at any depth."""
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield from (v for n, v in each.items() if _is_token_field(n))
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _is_token_field(name: str) -> bool:
    return name.lower().replace("_", "") in _SECRET_FIELDS


def _whole_body(response: Response, content: Any) -> object:
    media_type = media_type_of(response)
    if any(kind in media_type for kind in ("json", "html", "xml")):
        return content
    return _bare(response)


def _is_visible(value: object, pattern: str = _VISIBLE_PATTERN) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _scope(value: Any, requested: str | None, mapping: TokenResponseMapping) -> str | None:
    is_array = mapping.scope_format == "array" and isinstance(value, list)
    if mapping.scope_format == "ignored" or value in (None, "") or (is_array and not value):
        return requested
    scope = ""
    if isinstance(value, str):
        scope = " ".join(value.split(mapping.scope_separator))
    elif is_array and all(isinstance(each, str) for each in value):
        scope = " ".join(value)
    if len(scope) <= _MAX_SCOPE and re.fullmatch(_SCOPE_PATTERN, scope):
        return scope
    raise errors.InvalidTokenResponse(
        "the response's scope is not a string of scope values.",
        hint='Set scope_separator to the separator of the values; or scope_format to "array" if '
        'this server sends one, or to "ignored".',
    )


def _bounded(extra: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that fit into a store's entry, without the largest ones."""
    left, kept = _MAX_EXTRA, set[str]()
    for length, name in sorted((len(json.dumps(each)), each[0]) for each in extra.items()):
        left -= length
        kept |= {name} if left >= 0 else set()
    return {name: value for name, value in extra.items() if name in kept}


def _without_tokens(content: Any, token: str, path: Sequence[str], levels: int = _MAX_DEPTH) -> Any:
    """Return a response without RFC 6749's fields, tokens, and the value at the token's path."""
    if not isinstance(content, (dict, list)):
        return content
    if levels == 0:
        return None
    if isinstance(content, list):
        # In a list with a token, the other values may be tokens too.
        others = [] if path else [each for each in content if each != token]
        return [_without_tokens(each, token, (), levels - 1) for each in others]
    kept: dict[str, Any] = {}
    for name, value in content.items():
        is_known = levels == _MAX_DEPTH and name in _KNOWN_FIELDS
        if not (is_known or value == token or _is_token_field(name)):
            below = path[1:] if [name] == path[:1] else ()
            kept[name] = _without_tokens(value, token, below, levels - 1)
    return kept
