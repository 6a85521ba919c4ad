"""The token bucket of a token endpoint: pure decisions about given times."""

from __future__ import annotations

import json
import math
import re
from typing import NamedTuple

import attrs

from keyturn._clock import MAX_TIME
from keyturn._common.names import shown

# The format of an entry; an entry of another format is a cache miss.
_VERSION = 2
# Seconds for which a store keeps an entry.
_KEPT_SECONDS = 3600.0
_MAX_KEPT_SECONDS = 366 * 86_400.0
# The most buckets of an entry; only many accounts with refused requests need more.
_MOST = 256
_CLOCK_TOLERANCE = 60.0
_ROUNDING = 1e-3
_MAX_WAIT = 2 * 86_400.0  # twice the longest that a caller may wait for its turn
_PER_MINUTE = {"s": 60.0, "min": 1.0, "h": 1 / 60}
_TEXT_PATTERN = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)/(s|min|h)(?: burst ([0-9]{1,9}))?"


@attrs.frozen(repr=False)
class RateLimit:
    """The token requests that a token endpoint's host allows.

    Args:
        per_minute: Token requests per minute on average.
        burst: Token requests that may be sent at once after a pause.
    """

    per_minute: float
    burst: int

    __repr__ = shown

    @property
    def period(self) -> float:
        """Seconds after which one more token request is allowed."""
        return 60.0 / self.per_minute


def parse_rate_limit(text: str) -> RateLimit | None:
    """Return the rate limit for a string such as `3/min burst 20`, or None.

    Args:
        text: A number, then `/s`, `/min` or `/h`; then ` burst ` and an integer, by default 1.
    """
    match = re.fullmatch(_TEXT_PATTERN, text)
    if match is None:
        return None
    number, unit, burst = match.groups(default="1")
    rate_limit = RateLimit(float(number) * _PER_MINUTE[unit], int(burst))
    return None if rate_limit_problem(rate_limit) else rate_limit


def rate_limit_problem(rate_limit: RateLimit) -> str | None:
    """Return the mistake in the numbers of a rate limit, or None."""
    numbers = (rate_limit.per_minute, rate_limit.burst)
    if not all(type(each) in {int, float} and 0 < each < float("inf") for each in numbers):
        return "must have a per_minute and a burst above 0"
    if not isinstance(rate_limit.burst, int):
        return "must have an integer as burst, 1 or more"
    return None


def whole_seconds(seconds: float) -> int:
    """Return seconds for a message, rounded up, at least 1."""
    return max(1, math.ceil(seconds))


class TokenBucket(NamedTuple):
    """The state of a rate limit.

    Args:
        tokens: Token requests that may still be sent at once; negative if some are waiting.
        at: The time of this state, in epoch seconds.
    """

    tokens: float
    at: float


# The buckets of a host by limit and account; the account "" counts the requests of all accounts.
Buckets = dict[tuple[RateLimit, str], TokenBucket]


def refill(rate_limit: RateLimit, bucket: TokenBucket | None, now: float) -> TokenBucket:
    """Return the bucket at `now`, with the tokens gained since `bucket.at`.

    Args:
        rate_limit: The limit of the host.
        bucket: The earlier state, or None for a full bucket.
        now: The time, in epoch seconds.
    """
    tokens, at = bucket or (rate_limit.burst, now)
    if at > now + _CLOCK_TOLERANCE:  # the clock was set back
        at = now
    tokens += max(0.0, now - at) * rate_limit.per_minute / 60.0
    return TokenBucket(min(float(rate_limit.burst), tokens), max(now, at))


def take(rate_limit: RateLimit, current: TokenBucket) -> tuple[TokenBucket, float]:
    """Take one token request out of the bucket.

    Args:
        rate_limit: The limit of the host.
        current: The current state.

    Returns:
        The new state, and the seconds to wait before the request is sent. A caller that does not
        wait keeps the old bucket.
    """
    wait = (1 - current.tokens) * 60.0 / rate_limit.per_minute
    # A rounding error must not refuse a caller that has waited long enough.
    return TokenBucket(current.tokens - 1, current.at), wait if wait > _ROUNDING else 0.0


def cool_down(rate_limit: RateLimit, current: TokenBucket, seconds: float) -> TokenBucket:
    """Return the bucket after the server requested a pause; after it, one request is left."""
    after_pause = 1 - seconds * rate_limit.per_minute / 60.0
    return TokenBucket(min(current.tokens, after_pause), current.at)


def to_entry(buckets: Buckets, now: float) -> tuple[str, float]:
    """Return the store's entry, and its expiry in epoch seconds.

    Args:
        buckets: The states; if there are too many, the last ones are kept.
        now: The time; a bucket that is full at this time is omitted.
    """
    rows, until = [], now + _KEPT_SECONDS
    for (limit, account), (tokens, at) in [*buckets.items()][-_MOST:]:
        full_at = at + (limit.burst - tokens) * 60.0 / limit.per_minute
        if full_at > now:
            rows.append([limit.per_minute, limit.burst, account, tokens, at])
            until = max(until, full_at)
    return json.dumps({"v": _VERSION, "buckets": rows}), min(until, now + _MAX_KEPT_SECONDS)


def from_entry(entry: str) -> Buckets:
    """Return the buckets of a store's entry; none if its format has another version.

    Raises:
        ValueError: The entry is invalid, or a value in it is out of range.
    """
    try:
        fields = json.loads(entry)
        found: Buckets = {}
        for per_minute, burst, account, tokens, at in (
            fields["buckets"] if fields["v"] == _VERSION else ()
        ):
            lowest = -_MAX_WAIT * per_minute / 60.0
            # true and false are integers in Python.
            are_numbers = {*map(type, (per_minute, burst, tokens, at))} <= {int, float}
            # As floats, because larger integers can't be combined with floats.
            is_limit = 0 < float(per_minute) < math.inf and 0 < float(burst) < math.inf
            if not (are_numbers and is_limit and lowest <= tokens <= burst and 0 <= at <= MAX_TIME):
                raise ValueError  # noqa: TRY301 - as other damage
            name = RateLimit(float(per_minute), int(burst)), str(account)
            found[name] = TokenBucket(float(tokens), float(at))
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        pass
    else:
        return found
    raise ValueError("The entry is not a rate limit.")
