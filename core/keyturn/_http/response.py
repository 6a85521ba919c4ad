"""What a token endpoint answered, and the error that a refusal becomes; nothing is believed."""

from __future__ import annotations

import base64
import html
import itertools
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Never
from urllib.parse import quote, quote_plus, unquote

import attrs

from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from keyturn._secret import Secret

MAX_BODY = 1_048_576
"""Bytes of a token endpoint's response, after decompression, beyond which it is refused."""
MAX_LIFETIME = 31_536_000.0
"""Seconds for which a token is believed at most: one year."""
MAX_RETRY_AFTER = 3600.0
"""Seconds for which a token endpoint is left alone at most, whatever it asks for."""
DEFAULT_RETRY_AFTER = 20.0
"""Seconds for which a token endpoint is left alone that names no time."""

_MAX_TEXT = 300
_MAX_READ = 10 * _MAX_TEXT
# What an escape of an escape makes of one character: \u0061, each of its six percent-encoded.
_MAX_STRETCH = 18
_HIDDEN = "[hidden]"
_BLOT = "\0"
_BLOTS_REGEX = re.compile(f"{_BLOT}+")
_CODE_REGEX = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_LONG_RUN = 24
_LONG_RUN_REGEX = re.compile(rf"[A-Za-z0-9._~+/=%-]{{{_LONG_RUN},}}")
_JSON_ESCAPE_REGEX = re.compile(r"\\u([0-9A-Fa-f]{4})")
_JSON_TYPE_REGEX = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


@attrs.frozen
class Response:
    """What a token endpoint, or an API, answered.

    Args:
        status: The HTTP status.
        headers: The headers, names in lower case.
        body: The body, decompressed, at most `MAX_BODY` bytes.
        sent_at: When the request was sent, in epoch seconds.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    sent_at: float = 0.0

    def json(self) -> Any:
        """Return the body's JSON value, read strictly (RFC 8259), or None when it is none.

        Refused are other content types, encodings but UTF-8, duplicate names, `NaN`, numbers
        beyond a double's range, integers of more than 18 digits and absurd nesting.
        """
        if not _JSON_TYPE_REGEX.fullmatch(self.headers.get("content-type", "").strip()):
            return None
        try:
            return json.loads(
                self.body.decode(),
                object_pairs_hook=_unique,
                parse_constant=_refuse,
                parse_float=_finite_float,
                parse_int=_bounded_int,
            )
        except (ValueError, RecursionError):
            return None


@attrs.frozen
class OAuthError:
    """An error as the authorization server put it (RFC 6749 section 5.2).

    Args:
        code: The error code, such as `invalid_client`.
        description: The server's words about it; not yet safe to show.
        server_fault: Whether it reports a failure of the server, which may pass by itself.
    """

    code: str
    description: str = attrs.field(default="", repr=False)
    server_fault: bool = False


def is_code(value: object) -> bool:
    """Tell whether a value is of the form of an OAuth error code."""
    return isinstance(value, str) and _CODE_REGEX.fullmatch(value) is not None


def refusal(
    error: OAuthError | None,
    response: Response,
    secrets: Collection[Secret] = (),
    *,
    retry_after_default: float = DEFAULT_RETRY_AFTER,
) -> errors.KeyturnError:
    """Return our error for a response that is not a token.

    Args:
        error: The server's error, if one could be read.
        response: The whole response.
        secrets: What must not show in the error's text.
        retry_after_default: Seconds to leave a rate-limited endpoint alone when it names none.
    """
    code = error.code if error else ""
    shown = printable(code, secrets)
    said = printable(error.description, secrets) if error else ""
    what = f"HTTP {response.status}" + (f", {shown}" if shown else "")
    what += f": {said}" if said else ""
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        asked = retry_after(response)
        seconds = retry_after_default if asked is None else asked
        return errors.RateLimited(
            f"the token endpoint's rate limit is reached ({what}).",
            retry_after=seconds,
            hint=f"Ask again in {seconds:.0f} s.",
        )
    if response.status >= 500 or response.status == 408 or (error and error.server_fault):
        asked = retry_after(response)
        when = "later" if asked is None else f"in {asked:.0f} s"
        return errors.EndpointUnavailable(
            f"the token endpoint reports a failure of its own ({what}).",
            hint=f"Try again {when}; if it lasts, tell those who run the authorization server.",
        )
    if 300 <= response.status < 400:
        return errors.InvalidTokenResponse(
            f"the token endpoint redirects ({what}), which is refused: the secret stays here.",
            hint="Set the final address as token_url.",
        )
    if code or response.status >= 400:
        kind, hint = _REFUSALS.get(code or str(response.status), _OTHER_REFUSAL)
        message = f"the authorization server refused the token request ({what})."
        told = code if shown == code else ""  # it may quote a secret
        return kind(message, error=told, status=response.status, hint=hint)
    return errors.InvalidTokenResponse(f"the token endpoint's response is not a token ({what}).")


_OTHER_REFUSAL = (
    errors.TokenRequestRefused,
    "Check the connection's settings and what this client may ask for.",
)
_CREDENTIALS = (
    errors.InvalidClient,
    "Check client_id and client_secret (or the key or certificate), and that the client is active.",
)
_REFUSALS: dict[str, tuple[type[errors.TokenRequestRefused], str]] = {
    "invalid_client": _CREDENTIALS,
    "401": _CREDENTIALS,
    "invalid_scope": (
        errors.InvalidScope,
        "Check the scope, and that this client was granted it.",
    ),
    "unauthorized_client": (
        errors.TokenRequestRefused,
        "Enable the client-credentials grant for this client.",
    ),
    "404": (errors.TokenRequestRefused, "Check the token endpoint's address."),
}


def retry_after(response: Response) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110 section 10.2.3), or None.

    Seconds and dates are understood, a date by the server's own clock; nonsense is taken as
    absent; at most `MAX_RETRY_AFTER`.
    """
    text = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", text):
        seconds = float(text)  # infinity when there are hundreds of digits
    else:
        date = _http_date(text)
        if date is None:
            return None
        seconds = date - date_header(response)
    return min(max(0.0, seconds), MAX_RETRY_AFTER)


def date_header(response: Response) -> float:
    """Return what the server's clock showed, in epoch seconds; ours when it doesn't tell."""
    date = _http_date(response.headers.get("date", ""))
    return response.sent_at if date is None else date


def printable(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Return a server's text made safe to show: short, plain ASCII, without what may be a secret.

    The given secrets are replaced, and so is every long run of the characters that tokens, keys
    and encoded secrets are made of. A text that still holds one in disguise is hidden as a whole.
    """
    hidden = {bare: _forms(bare) for bare in (secret.reveal() for secret in secrets if secret)}
    # Far enough that what begins before the cut, which comes after the hiding, is seen whole.
    reach = _MAX_READ + _LONG_RUN + _MAX_STRETCH * max(map(len, hidden), default=0)
    text = text[:reach].replace(_BLOT, " ")
    if any(bare in _decoded(_blotted(text, forms)) for bare, forms in hidden.items()):
        return _HIDDEN
    text = _blotted(text, itertools.chain(*hidden.values()))
    text = _LONG_RUN_REGEX.sub(lambda match: _BLOT * len(match[0]), text)
    text = _BLOTS_REGEX.sub(_HIDDEN, text[:_MAX_READ])
    text = "".join(char if " " <= char <= "~" else " " for char in text)
    return " ".join(text.split())[:_MAX_TEXT]


def _forms(bare: str) -> tuple[str, ...]:
    """Return the forms in which a server usually quotes what it was sent."""
    encoded = base64.b64encode(bare.encode()).decode().rstrip("=")
    return (bare, quote(bare, safe=""), quote_plus(bare), json.dumps(bare)[1:-1], encoded)


def _blotted(text: str, forms: Iterable[str]) -> str:
    """Return a text, its length unchanged, with a blot for each character of any of the forms.

    One form may begin another, or overlap it: neither leaves a rest.
    """
    blotted = list(text)
    for form in forms:
        start = text.find(form)
        while start >= 0:
            end = start + len(form)
            blotted[start:end] = _BLOT * len(form)
            start = text.find(form, end)
    return "".join(blotted)


def _decoded(text: str) -> str:
    """Return a text without the escapes of URLs, HTML and JSON, nested ones included."""
    for _ in range(3):
        text = _JSON_ESCAPE_REGEX.sub(lambda match: chr(int(match[1], 16)), text)
        text = html.unescape(unquote(text.replace("\\/", "/")))
    return text


def _http_date(text: str) -> float | None:
    from email.utils import mktime_tz, parsedate_tz  # 10 ms, for a rare form

    try:
        parts = parsedate_tz(text)
        return float(mktime_tz((*parts[:9], parts[9] or 0))) if parts else None
    except (ValueError, OverflowError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        message = "duplicate names"
        raise ValueError(message)
    return fields


def _refuse(text: str) -> Never:
    raise ValueError(text)


def _finite_float(text: str) -> float:
    number = float(text)
    return number if abs(number) < float("inf") else _refuse("number")


def _bounded_int(text: str) -> int:
    return int(text) if len(text) <= 19 else _refuse("integer")
