"""Reading the token, or the error, in a token endpoint's response."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeGuard

from keyturn import errors
from keyturn._http.response import MAX_LIFETIME, OAuthError, Response, date_header, is_code
from keyturn._providers.checks import SCOPE_VALUE_PATTERN
from keyturn._token import Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn._providers.data import LifetimeFormat, TokenResponseMapping

# The unit in seconds, whether it counts from now, and what is wanted.
_LIFETIMES: dict[LifetimeFormat, tuple[float, bool, str]] = {
    "seconds": (1.0, True, "a number of seconds above 0"),
    "milliseconds": (1e-3, True, "a number of milliseconds above 0"),
    "epoch": (1.0, False, "a future time in epoch seconds"),
    "epoch_milliseconds": (1e-3, False, "a future time in epoch milliseconds"),
    "date": (1.0, False, "a future time as a date of RFC 3339"),
}
# Levels of a response's other fields that are kept.
_MAX_DEPTH = 32
_VISIBLE_PATTERN = r"[\x21-\x7e]{1,65536}"
_SCOPE_PATTERN = f"{SCOPE_VALUE_PATTERN}(?: +{SCOPE_VALUE_PATTERN})*"
# In lower case and without underscores: several platforms write `refreshToken`.
_SECRET_FIELDS = frozenset({"accesstoken", "refreshtoken", "idtoken"})
_KNOWN_FIELDS = frozenset({"token_type", "expires_in", "scope"})


def read_error(response: Response, mapping: TokenResponseMapping) -> OAuthError | None:
    """Return the error in a response, whatever its status, or None when it holds none."""
    content = response.json()
    found = field_of(content, mapping.error_field)
    if found in (None, "", 0, "0", False, [], {}):
        return None
    named = str(found) if isinstance(found, (str, int)) else ""
    code = mapping.error_codes.get(named, named)
    description = field_of(content, mapping.error_description_field)
    if not isinstance(description, str):
        description = ""
    if code == named and named and not is_code(named):
        code, description = "", f"{named} {description}".strip()
    return OAuthError(
        code, description, server_fault=code in {"server_error", "temporarily_unavailable"}
    )


def read_token(
    response: Response,
    mapping: TokenResponseMapping,
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
    field = mapping.token_field
    if not field:
        content = {"": _whole_body(response, content)}
    if not isinstance(content, dict):
        raise errors.InvalidTokenResponse("the token endpoint's response is not a JSON object.")
    token = field_of(content, field)
    if not _is_visible(token):
        what = f"the response's {field}" if field else "the response, a token by itself,"
        raise errors.InvalidTokenResponse(
            f"{what} is missing, or is not a string of visible ASCII characters."
        )
    token_type = content.get("token_type")
    if not _is_visible(token_type):
        token_type = "" if mapping.token_type else "Bearer"
    if mapping.token_type and token_type.lower() != mapping.token_type.lower():
        raise errors.InvalidTokenResponse(
            f"the response's token_type is missing, or is not {mapping.token_type}."
        )
    return Token(
        access_token=token,
        token_type=token_type,
        expires_at=response.sent_at + _lifetime(content, mapping, response, missing_lifetime),
        scope=_scope(content.get("scope"), requested_scope, mapping.scope_separator),
        extra=_without_tokens(content, token, field.split(".")),
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


def _is_visible(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(_VISIBLE_PATTERN, value) is not None


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
    unit, is_relative, wanted = _LIFETIMES[mapping.lifetime_format]
    number = _date(value) if mapping.lifetime_format == "date" else _number(value)
    if number is not None:
        # A time of the server's is measured by the server's clock, if the response has its time.
        seconds = number * unit - (0.0 if is_relative else date_header(response))
        if 0 < seconds < float("inf"):
            return min(seconds, MAX_LIFETIME)
    what = "missing" if value is None else f"not {wanted}"
    raise errors.InvalidTokenResponse(f"the response's {mapping.lifetime_field} is {what}.")


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_digits = isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value)
    return float(value) if is_number or is_digits else None


def _date(value: Any) -> float | None:
    import datetime as dt  # only platforms that send a date need it

    try:
        moment = dt.datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _scope(value: object, requested: str | None, separator: str) -> str | None:
    if value is None or value == "":
        return requested
    scope = " ".join(value.split(separator)) if isinstance(value, str) else ""
    if re.fullmatch(_SCOPE_PATTERN, scope):
        return scope
    raise errors.InvalidTokenResponse("the response's scope is not a string of scope values.")


def _without_tokens(content: Any, token: str, path: Sequence[str], levels: int = _MAX_DEPTH) -> Any:
    """Return a response without RFC 6749's fields, tokens, and what stands at the token's path."""
    if not isinstance(content, (dict, list)):
        return content
    if levels == 0:
        return None
    if isinstance(content, list):
        # Beside a token, a list's other values may be tokens as well.
        others = [] if path else [each for each in content if each != token]
        return [_without_tokens(each, token, (), levels - 1) for each in others]
    kept: dict[str, Any] = {}
    for name, value in content.items():
        is_known = levels == _MAX_DEPTH and name in _KNOWN_FIELDS
        if not (is_known or name.lower().replace("_", "") in _SECRET_FIELDS or value == token):
            below = path[1:] if [name] == path[:1] else ()
            kept[name] = _without_tokens(value, token, below, levels - 1)
    return kept
