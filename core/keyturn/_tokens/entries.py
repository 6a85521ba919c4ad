"""A token as an entry of a store, which is checked like a response when it is read."""

from __future__ import annotations

import json
import re

import attrs

from keyturn._http.response import MAX_LIFETIME
from keyturn._token import Token

VERSION = 1
"""The format of keyturn's entries; one of another format is a miss."""
_MAX_LENGTH = 262_144
_MAX_TYPE_LENGTH = 256
_MAX_TIME = 1e11  # the year 5138
_VISIBLE_REGEX = re.compile(r"[\x21-\x7e]+")
_CLOCK_TOLERANCE = 60.0


@attrs.frozen(repr=False)
class TokenEntry:
    """What a store keeps of a token.

    Args:
        token: The token, with wall-clock times.
        clock: The id of the clock that `issued` was read from.
        issued: When the token request was sent, on that clock's `monotonic`.
    """

    token: Token
    clock: str
    issued: float

    def age(self, clock: str, now: float, time: float) -> float | None:
        """Return the seconds since the token request, or None when they can't be known.

        A token from the future means that the clock was set back: nothing is known of how long
        it is still valid. A difference of a minute between two hosts is tolerated.

        Args:
            clock: The id of the reader's clock; its own entries do not depend on the wall clock.
            now: The time on the reader's monotonic clock.
            time: The time in epoch seconds.
        """
        if clock == self.clock:
            return now - self.issued if self.issued <= now else None
        age = time - self.token.issued_at
        return max(0.0, age) if age >= -_CLOCK_TOLERANCE else None


def to_text(entry: TokenEntry, fingerprint: str) -> str:
    """Return what a store keeps; it names its own key, as a check when it is read."""
    token = entry.token
    return json.dumps(
        {
            "v": VERSION,
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


def from_text(text: str, fingerprint: str) -> TokenEntry | None:
    """Return the entry that a store keeps; None when it has a format of another version.

    Raises:
        ValueError: It is not one for `fingerprint`, or a value in it is out of range.
    """
    own, entry = False, None
    try:
        fields = json.loads(text if len(text) <= _MAX_LENGTH else "")
        if fields.pop("v") != VERSION:
            return None
        own = fields.pop("fingerprint") == fingerprint
        clock, issued = fields.pop("clock"), fields.pop("issued")
        entry = TokenEntry(Token(**fields), clock, issued)
    except (TypeError, KeyError, AttributeError, RecursionError):
        entry = None
    if entry is None or not own or not _is_sane(entry):
        raise ValueError("This is no token of that key.")
    return entry


def _is_sane(entry: TokenEntry) -> bool:
    token = entry.token
    strings = (token.access_token, token.token_type)
    return (
        all(isinstance(text, str) and _VISIBLE_REGEX.fullmatch(text) for text in strings)
        and len(token.token_type) <= _MAX_TYPE_LENGTH
        and (token.scope is None or isinstance(token.scope, str))
        and isinstance(entry.clock, str)
        and all(map(_is_time, (token.issued_at, token.expires_at, entry.issued)))
        and 0 <= token.lifetime <= MAX_LIFETIME
    )


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= _MAX_TIME
