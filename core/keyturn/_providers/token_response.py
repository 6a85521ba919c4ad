"""Reading the token, or the error, in a token endpoint's response."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._http.response import MAX_LIFETIME, OAuthError, date_header, is_code
from keyturn._providers.data import TokenResponseMapping
from keyturn._token import Token

if TYPE_CHECKING:
    from keyturn._http.response import Response
    from keyturn._providers.data import LifetimeFormat

_UNITS = {"seconds": 1.0, "milliseconds": 1e-3}
_EPOCH_UNITS = {"epoch": 1.0, "epoch_milliseconds": 1e-3}
_MAX_TOKEN = 65_536
# Levels of a response's other fields that are kept.
_MAX_DEPTH = 32
_VISIBLE_PATTERN = r"[\x21-\x7e]+"
_SCOPE_PATTERN = r"[\x21\x23-\x5b\x5d-\x7e]+(?: +[\x21\x23-\x5b\x5d-\x7e]+)*"
_SERVER_FAULTS = frozenset({"server_error", "temporarily_unavailable"})
# In lower case and without underscores: several platforms write `refreshToken`.
_SECRET_FIELDS = frozenset({"accesstoken", "refreshtoken", "idtoken"})
_KNOWN_FIELDS = frozenset({"token_type", "expires_in", "scope"})


RFC_6749 = TokenResponseMapping()
"""The mapping of a platform that keeps to RFC 6749 section 5."""


def read_error(response: Response, mapping: TokenResponseMapping = RFC_6749) -> OAuthError | None:
    """Return the error in a response, whatever its status, or None when it holds none."""
    content = response.json()
    found = field_of(content, mapping.error_field)
    if found in (None, "", 0, "0", False, [], {}):
        return None
    named = str(found) if isinstance(found, (str, int)) else ""
    code = mapping.error_codes.get(named, named)
    text = field_of(content, mapping.error_description_field)
    description = text if isinstance(text, str) else ""
    if code == named and named and not is_code(named):
        code, description = "", f"{named} {description}".strip()
    return OAuthError(code, description, server_fault=code in _SERVER_FAULTS)


def read_token(
    response: Response,
    mapping: TokenResponseMapping = RFC_6749,
    *,
    missing_lifetime: float | None = None,
    requested_scope: str | None = None,
) -> Token:
    """Return the token in a response that holds no error.

    Args:
        response: The response, of the status of success.
        mapping: Where its parts stand.
        missing_lifetime: Seconds to assume when it has no lifetime; None refuses it.
        requested_scope: The scope that was requested; it is the granted one when the response
            names none.

    Raises:
        keyturn.errors.InvalidTokenResponse: A field is missing, or is not what it must be.
    """
    content = response.json()
    if not mapping.token_field:
        content = {"": _whole_body(response, content)}
    if not isinstance(content, dict):
        message = "the token endpoint's response is not a JSON object."
        raise errors.InvalidTokenResponse(message)
    token = _access_token(field_of(content, mapping.token_field), mapping.token_field)
    return Token(
        access_token=token,
        token_type=_token_type(content.get("token_type"), mapping.token_type),
        expires_at=response.sent_at + _lifetime(content, mapping, response, missing_lifetime),
        scope=_scope(content.get("scope"), requested_scope, mapping.scope_separator),
        extra=_extra(content, token, mapping.token_field),
        issued_at=response.sent_at,
    )


def field_of(content: Any, path: str) -> Any:
    """Return what stands at a path in a JSON value, or None when nothing does."""
    for name in path.split("."):
        if isinstance(content, dict):
            content = content.get(name)
        elif isinstance(content, list) and name.isdecimal() and len(name) < 5:
            content = content[int(name)] if int(name) < len(content) else None
        else:
            return None
    return content


def _whole_body(response: Response, content: Any) -> object:
    media_type = response.headers.get("content-type", "").lower()
    if any(kind in media_type for kind in ("json", "html", "xml")):
        return content
    return response.body.decode("ascii", "replace").strip()


def _access_token(value: object, field: str) -> str:
    if (
        isinstance(value, str)
        and len(value) <= _MAX_TOKEN
        and re.fullmatch(_VISIBLE_PATTERN, value)
    ):
        return value
    what = f"the response's {field}" if field else "the response, a token by itself,"
    message = f"{what} is missing, or is not a string of visible ASCII characters."
    raise errors.InvalidTokenResponse(message)


def _token_type(value: object, required: str) -> str:
    is_text = isinstance(value, str) and re.fullmatch(_VISIBLE_PATTERN, value)
    if not required:
        return str(value) if is_text else "Bearer"
    if is_text and str(value).lower() == required.lower():
        return str(value)
    message = f"the response's token_type is missing, or is not {required}."
    raise errors.InvalidTokenResponse(message)


def _lifetime(
    content: dict[str, Any],
    mapping: TokenResponseMapping,
    response: Response,
    missing_lifetime: float | None,
) -> float:
    """Return the seconds for which the token lives from when its request was sent."""
    value = field_of(content, mapping.lifetime_field)
    if value is None and missing_lifetime is not None:
        return min(missing_lifetime, MAX_LIFETIME)
    kind = mapping.lifetime_format
    number = _date(value) if kind == "date" else _number(value)
    if number is not None:
        # A time of the server's is measured by the server's clock, if the response has its time.
        start = 0.0 if kind in _UNITS else date_header(response)
        seconds = number * (_UNITS | _EPOCH_UNITS).get(kind, 1.0) - start
        if 0 < seconds < float("inf"):
            return min(seconds, MAX_LIFETIME)
    what = "missing" if value is None else f"not {_WANTED[kind]}"
    raise errors.InvalidTokenResponse(f"the response's {mapping.lifetime_field} is {what}.")


_WANTED: dict[LifetimeFormat, str] = {
    "seconds": "a number of seconds above 0",
    "milliseconds": "a number of milliseconds above 0",
    "epoch": "a future time in epoch seconds",
    "epoch_milliseconds": "a future time in epoch milliseconds",
    "date": "a future time as a date of RFC 3339",
}


def _number(value: object) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        value = int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return None


def _date(value: object) -> float | None:
    import datetime as dt  # only platforms that send a date need it

    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _scope(value: object, requested: str | None, separator: str) -> str | None:
    if value is None or value == "":
        return requested
    if isinstance(value, str):
        value = " ".join(value.split(separator)) if separator != " " else value
        if re.fullmatch(_SCOPE_PATTERN, value):
            return value
    message = "the response's scope is not a string of scope values."
    raise errors.InvalidTokenResponse(message)


def _extra(content: dict[str, Any], token: str, token_field: str) -> dict[str, Any]:
    """Return a response's other fields, without any token."""
    kept: dict[str, Any] = _without_tokens(content, token, token_field.split("."))
    for name in _KNOWN_FIELDS:
        kept.pop(name, None)
    return kept


def _without_tokens(
    content: Any, token: str, path: list[str] | None = None, depth: int = _MAX_DEPTH
) -> Any:
    """Return a JSON value without RFC 6749's tokens, this one, and what stands at its path."""
    if not isinstance(content, (dict, list)):
        return content
    if depth == 0:
        return None
    if isinstance(content, list):
        # Beside a token, a list's other values may be tokens as well.
        others = [] if path else [each for each in content if each != token]
        return [_without_tokens(each, token, None, depth - 1) for each in others]
    name, *rest = path or [""]
    kept: dict[str, Any] = {}
    for key, value in content.items():
        if key.lower().replace("_", "") in _SECRET_FIELDS or value == token:
            continue
        if isinstance(value, (dict, list)):
            inner = rest if key == name else None
            kept[key] = _without_tokens(value, token, inner, depth - 1)
        else:
            kept[key] = value
    return kept
