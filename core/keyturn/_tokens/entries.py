"""Entries of a store: tokens, which are checked like a response, and the negative cache.

The negative cache keeps permanent error responses, so that keyturn does not repeat the requests.
"""

import json
import logging
import math
import re
from typing import Any, NamedTuple

from keyturn import errors
from keyturn._clock import is_time
from keyturn._rate_limit import whole_seconds
from keyturn._token import MAX_LIFETIME, Token

# The format of the entries; an entry of another format is a cache miss.
_VERSION = 1
_MAX_LENGTH = 262_144
_MAX_TYPE_LENGTH = 256
# Visible ASCII characters, and inner spaces (RFC 6749 appendix A.12).
_VISIBLE_REGEX = re.compile(r"(?! )[\x20-\x7e]+(?<! )")
_CLOCK_TOLERANCE = 60.0
# Seconds for which an error response is cached: doubled each time that it repeats.
_CACHED_SECONDS = 30.0
_MAX_CACHED_SECONDS = 3600.0
_LOWEST_STATUS, _HIGHEST_STATUS = 100, 599
_KINDS: dict[str, type[errors.TokenRequestRefused]] = {
    kind.__name__: kind
    for kind in (errors.InvalidClient, errors.InvalidScope, errors.TokenRequestRefused)
}
_CACHED_HINT = "(This is a cached response; keyturn sends the request again in {} s.)"

_logger = logging.getLogger("keyturn")


class TokenEntry(NamedTuple):
    """The entry of a token.

    Args:
        token: The token, with wall-clock times.
        clock: The id of the clock of `issued`.
        issued: The time of the token request, on that clock's `monotonic`.
    """

    token: Token
    clock: str
    issued: float

    def age(self, clock: str, now: float, time: float) -> float:
        """Return the seconds since the token request; infinity if they are unknown.

        A token from the future means that the clock was set back, so the time that is left is
        unknown. A difference of a minute between two hosts is allowed.

        Args:
            clock: The id of the reader's clock; its own entries do not depend on the wall clock.
            now: The time on the reader's monotonic clock.
            time: The time in epoch seconds.
        """
        if clock == self.clock:
            return now - self.issued if self.issued <= now else math.inf
        age = time - self.token.issued_at
        return max(0.0, age) if age >= -_CLOCK_TOLERANCE else math.inf


def entry_to_json(entry: TokenEntry, fingerprint: str) -> str:
    """Return the store's entry; it contains its own key, as a check when it is read."""
    token = entry.token
    return json.dumps(
        {
            "v": _VERSION,
            "fingerprint": fingerprint,
            "access_token": token.access_token,
            "token_type": token.token_type,
            "expires_at": token.expires_at,
            "scope": token.scope,
            "extra": dict(token.extra),
            "issued_at": token.issued_at,
            "clock": entry.clock,
            "issued": entry.issued,
        }
    )


def entry_from_json(stored: str, fingerprint: str) -> TokenEntry | None:
    """Return a store's entry; None if its format has another version.

    An entry that is not for `fingerprint`, or has a value out of range, is logged and is None too.
    """
    try:
        fields = json.loads(stored if len(stored) <= _MAX_LENGTH else "")
        if fields.pop("v") != _VERSION:
            return None
        is_own = fields.pop("fingerprint") == fingerprint
        clock, issued = fields.pop("clock"), fields.pop("issued")
        entry = TokenEntry(Token(**fields), clock, issued)
        if is_own and _is_sane(entry):
            return entry
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    _logger.warning(
        "the store's entry at %s is not a valid token for that key; ignoring it", fingerprint
    )
    return None


def _is_sane(entry: TokenEntry) -> bool:
    token = entry.token
    strings = (token.access_token, token.token_type)
    return (
        all(isinstance(each, str) and _VISIBLE_REGEX.fullmatch(each) for each in strings)
        and len(token.token_type) <= _MAX_TYPE_LENGTH
        and (token.scope is None or isinstance(token.scope, str))
        and isinstance(entry.clock, str)
        and all(map(is_time, (token.issued_at, token.expires_at, entry.issued)))
        and 0 <= token.lifetime <= MAX_LIFETIME
    )


def error_to_entry(
    error: errors.TokenRequestRefused, now: float, previous: str | None = None
) -> tuple[str, float]:
    """Return the store's entry for `error`, and its expiry in epoch seconds.

    Args:
        error: The error response of the token endpoint.
        now: The time of the response, in epoch seconds.
        previous: The entry of the previous error response.
    """
    seconds = _CACHED_SECONDS
    fields = _fields(previous)
    if fields is not None:
        seconds = min(2 * fields["seconds"], _MAX_CACHED_SECONDS)
    kept = {name: getattr(error, name) for name in ("message", "error", "status", "hint")}
    kept |= {"v": _VERSION, "kind": type(error).__name__, "until": now + seconds}
    return json.dumps({**kept, "seconds": seconds}), now + 2 * seconds


def error_from_entry(entry: str, now: float) -> errors.TokenRequestRefused | None:
    """Return the error in an entry, or None if it is too old or can't be read."""
    fields = _fields(entry)
    if fields is None:
        return None
    left = fields["until"] - now
    # A later time was written before the clock was set back.
    if not 0 < left <= fields["seconds"]:
        return None
    return _KINDS[fields["kind"]](
        fields["message"],
        error=fields["error"],
        status=fields["status"],
        hint=f"{fields['hint']} {_CACHED_HINT.format(whole_seconds(left))}",
    )


def _fields(entry: str | None) -> dict[str, Any] | None:
    """Return the content of an entry of the negative cache; None if it can't be read.

    It is also None if its format has another version. A value out of range is logged.
    """
    if entry is None:
        return None
    try:
        fields: dict[str, Any] = json.loads(entry if len(entry) <= _MAX_LENGTH else "")
        if fields["v"] != _VERSION:
            return None
        status, seconds = fields["status"], fields["seconds"]
        if (
            fields["kind"] in _KINDS
            and all(isinstance(fields[name], str) for name in ("message", "error", "hint"))
            and type(status) is int
            and (status == 0 or _LOWEST_STATUS <= status <= _HIGHEST_STATUS)
            and is_time(fields["until"])
            and is_time(seconds)
            and _CACHED_SECONDS <= seconds <= _MAX_CACHED_SECONDS
        ):
            return fields
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    _logger.warning("a cached error response in the store can't be read; ignoring it")
    return None
