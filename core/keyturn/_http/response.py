"""Responses of token endpoints and APIs: strict parsing, and conversion to errors."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any, Never

import attrs

from keyturn import errors
from keyturn._common.names import publish, shown
from keyturn._common.once import library
from keyturn._common.redaction import Redaction
from keyturn._http.error_codes import (
    OAUTH_CODES,
    RATE_CODES,
    is_code,
    is_unavailable,
    kind_and_hint,
)
from keyturn._rate_limit import whole_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keyturn._secret import Secret

# The largest body of a token endpoint's response that is read, in bytes after decompression.
MAX_BODY = 1_048_576
# The longest cooldown of a token endpoint, in seconds, even if it requests more.
MAX_RETRY_AFTER = 3600.0
# The cooldown of a token endpoint that limits the rate and names no time, in seconds.
DEFAULT_RETRY_AFTER = 20.0
# A content type of JSON, with or without parameters.
_JSON_TYPE_REGEX = re.compile(r"\s*application/(?:[\w.+-]+\+)?json\s*(?:;|$)", re.IGNORECASE)


@attrs.frozen(repr=False)
class Response:
    """The response of a token endpoint or an API.

    Args:
        status: The HTTP status.
        headers: The headers, with lower-case names.
        body: The body, decompressed, at most `MAX_BODY` bytes.
        sent_at: The time of the request, in epoch seconds.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    sent_at: float = 0.0

    __repr__ = shown

    def json(self) -> Any:
        """Return the body's JSON value, read strictly (RFC 8259), or None if it is not JSON.

        These are not accepted as JSON: an encoding other than UTF-8, duplicate names, `NaN`, a
        number outside a double's range, an integer of more than 18 digits, and nesting deeper than
        Python's recursion limit. Another content type and a byte order mark are accepted only with
        an error status, because many gateways label JSON as text.
        """
        return self._json

    @functools.cached_property
    def _json(self) -> Any:
        if self.status >= 400:
            return json_of(self.body, "utf-8-sig")
        return json_of(self.body) if has_json_type(self) else None


def media_type_of(response: Response) -> str:
    """Return the content type without its parameters, in lower case, or an empty string."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def has_json_type(response: Response) -> bool:
    """Return whether the content type is JSON's (RFC 8259 section 11, RFC 6839 section 3.1)."""
    return _JSON_TYPE_REGEX.match(response.headers.get("content-type", "")) is not None


def json_of(body: bytes, encoding: str = "utf-8") -> Any:
    """Return the JSON value of a body in an encoding, or None; see `Response.json`."""
    try:
        return json.loads(
            body.decode(encoding),
            object_pairs_hook=_unique,
            parse_constant=_reject,
            parse_float=_finite_float,
            parse_int=_bounded_int,
        )
    except (ValueError, RecursionError):
        return None


@attrs.frozen(repr=False)
class OAuthError:
    """The error in a response of an authorization server (RFC 6749 section 5.2).

    Args:
        code: The error code, such as `invalid_client`.
        description: The server's description of it; not yet safe to show.
        server_fault: Whether it reports a failure of the server, which may be transient.
        client_fault: Whether it reports a mistake of the client, even with the status of a server
            error, as in SOAP faults.
    """

    code: str
    description: str = attrs.field(default="", repr=False)
    server_fault: bool = False
    client_fault: bool = attrs.field(default=False, eq=False)

    __repr__ = shown


# Authors know them by the module that they import them from.
publish("keyturn.plugins", [Response, OAuthError])


def error_for(
    error: OAuthError | None,
    response: Response,
    secrets: Iterable[Secret] = (),
    *,
    url: str = "",
    retry_after_default: float = DEFAULT_RETRY_AFTER,
    only_oauth: bool = False,
) -> errors.KeyturnError:
    """Return keyturn's error for a response without a token.

    Args:
        error: The server's error, or None if it could not be read.
        response: The whole response.
        secrets: The secrets to hide in the error's message.
        url: The token endpoint, for hints.
        retry_after_default: The cooldown in seconds of a rate-limited endpoint that gives none.
        only_oauth: Whether to quote the body only if it is an OAuth error response, because a
            tenant chooses the server and the rules for reading its response.
    """
    error = error or OAuthError("")
    status, cooldown = response.status, retry_after(response)
    said = _without_quotes(error, response) if only_oauth else error
    shown, description = map(Redaction(secrets).printable, (said.code, said.description))
    what = f"HTTP {status}{shown and f', {shown}'}{description and f': {description}'}"
    if status == 429 or (error.code in RATE_CODES and status < 500):
        cooldown = retry_after_default if cooldown is None else cooldown
        return errors.RateLimited(
            f"the token endpoint's rate limit is reached ({what}).",
            retry_after=cooldown,
            hint=f"Try again in {whole_seconds(cooldown)} s.",
        )
    is_transient = error.server_fault or (
        not error.client_fault
        and is_unavailable(error.code, status, names_pause=cooldown is not None)
    )
    if is_transient:
        when = "later" if cooldown is None else f"in {whole_seconds(cooldown)} s"
        return errors.EndpointUnavailable(
            f"the token endpoint reports a server failure ({what}).",
            hint=f"Try again {when}; if it lasts, report it to the server's operator.",
        )
    if 300 <= status < 400:
        return errors.InvalidTokenResponse(
            f"the token endpoint redirects ({what}); redirects are not followed for token "
            "requests.",
            hint="Set the final address as token_url.",
        )
    if error.code or status >= 400:
        kind, hint = kind_and_hint(error.code, status, url)
        return kind(
            f"the authorization server refused the token request ({what}).",
            error=error.code if shown == error.code else "",  # it may quote a secret
            status=status,
            hint=hint,
        )
    return errors.InvalidTokenResponse(
        f"the token endpoint's response contains no token ({what}).",
        hint=f"If a response with this status contains a token, set token_status to {status}; else "
        "check token_url.",
    )


def _without_quotes(error: OAuthError, response: Response) -> OAuthError:
    """Return an error without the server's message, unless it is an OAuth error."""
    content = response.json() if has_json_type(response) else None
    if isinstance(content, dict) and is_code(content.get("error")):
        return error
    return OAuthError(error.code if error.code in OAUTH_CODES else "")


def retry_after(response: Response) -> float | None:
    """Return the cooldown of `Retry-After` in seconds (RFC 9110 section 10.2.3), or None.

    Both forms are read: seconds, and a date, which is compared with the server's own clock. A
    header of another form counts as absent. The result is at most `MAX_RETRY_AFTER`.
    """
    text = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return min(float(text), MAX_RETRY_AFTER)  # infinity if there are hundreds of digits
    date = http_date(text)
    return None if date is None else min(max(0.0, date - date_header(response)), MAX_RETRY_AFTER)


def date_header(response: Response) -> float:
    """Return the server's time by its `Date` header, in epoch seconds; else the time of sending."""
    date = http_date(response.headers.get("date", ""))
    return response.sent_at if date is None else date


def http_date(text: str) -> float | None:
    """Return an HTTP date (RFC 9110 section 5.6.7) in epoch seconds, or None."""
    dates = library("email.utils")  # imported here, because it takes 10 ms, for a rare form
    try:
        parts = dates.parsedate_tz(text)
        return float(dates.mktime_tz((*parts[:9], parts[9] or 0))) if parts else None
    except (ValueError, OverflowError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("duplicate names")
    return fields


def _reject(text: str) -> Never:
    raise ValueError(text)


def _finite_float(text: str) -> float:
    number = float(text)
    return number if abs(number) < float("inf") else _reject("number")


def _bounded_int(text: str) -> int:
    return int(text) if len(text) <= 19 else _reject("integer")
