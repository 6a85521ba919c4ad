"""The rows of the status page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from keyturn._connection import manager_of
from keyturn._rate_limit import refill
from keyturn._tokens.token_request import rate_limiter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyturn._server.connections import Served

PER_PAGE = 100
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_REASONS = {
    "cold": "no token existed",
    "expiring": "the token was about to expire",
    "refused": "the API refused the token",
    "invalidated": "the token was discarded",
}
STATES = ("fresh", "stale", "expired", "none", "failing")


@attrs.frozen
class Row:
    """One connection in words.

    Args:
        name: Its name.
        provider: Its provider's name.
        state: One of `STATES`.
        left: The time until the token expires; empty without a token.
        last: The time, result and reason of the last token request.
        error: The last error with its hint.
        limit: The tokens left of the token endpoint's rate limit.
    """

    name: str
    provider: str
    state: str
    left: str
    last: str
    error: str
    limit: str = ""


def row(served: Served) -> Row:
    """Return the row of a connection, from the state of this process."""
    status = served.status()
    state = "failing" if status.last_error else status.state
    left = "" if status.seconds_left is None else duration(status.seconds_left)
    return Row(served.name, served.provider, state, left, _last(served), status.last_error or "")


def _last(served: Served) -> str:
    event = served.last
    if event is None:
        return ""
    outcome = event.error or "a token"
    ago = duration(time.time() - event.at)
    return f"{ago} ago: {outcome}; {_REASONS[event.reason]}"


def chosen(rows: Iterable[Row], words: str, state: str) -> list[Row]:
    """Return the rows that contain all words in name or provider, failing ones first.

    Args:
        rows: The rows.
        words: The words to search for, case-insensitively.
        state: One of `STATES`, or an empty string for all.
    """
    wanted = words.casefold().split()
    found = [
        each
        for each in rows
        if state in {"", each.state}
        and all(word in f"{each.name} {each.provider}".casefold() for word in wanted)
    ]
    return sorted(found, key=lambda each: (each.state != "failing", each.name))


def limit_left(served: Served) -> str:
    """Return the tokens left of the token endpoint's rate limit; this reads the store."""
    connection = served.connection
    own = manager_of(connection).acquisition if connection else None
    if own is None or own.known is None:
        return ""
    limiter = rate_limiter(own, own.known)
    if limiter.limit is None:
        return "no limit"
    bucket = refill(limiter.limit, limiter.shared.read().get((limiter.limit, "")), own.clock.time())
    return f"{max(0, int(bucket.tokens))} of {limiter.limit.burst}"


def duration(seconds: float) -> str:
    """Return a duration in words, such as 3 h 20 min."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return _two(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _two(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"
