"""The token bucket of a token endpoint: pure decisions about given times."""

from __future__ import annotations

import json

import attrs

# The format of an entry; one of another format is a miss.
_VERSION = 1
_CLOCK_TOLERANCE = 60.0
_ROUNDING = 1e-3
_MAX_TIME = 1e11  # the year 5138
_MAX_WAIT = 2 * 86_400.0  # twice the longest that a caller may wait for its turn


@attrs.frozen
class RateLimit:
    """How many token requests a token endpoint's host allows.

    Args:
        per_minute: Token requests a minute in the long run.
        burst: Token requests that may be sent at once after a pause.
    """

    per_minute: float
    burst: int

    @property
    def period(self) -> float:
        """Seconds after which one more token request is allowed."""
        return 60.0 / self.per_minute


@attrs.frozen(repr=False)
class TokenBucket:
    """What is left of a rate limit.

    Args:
        tokens: Token requests that may still be sent at once; negative when some are waiting.
        at: When that was so, in epoch seconds.
    """

    tokens: float
    at: float


def take(
    rate_limit: RateLimit, bucket: TokenBucket | None, now: float
) -> tuple[TokenBucket, float]:
    """Take one token request out of the bucket.

    Args:
        rate_limit: What the host allows.
        bucket: What was left, or None for a full bucket.
        now: The time, in epoch seconds.

    Returns:
        What is left, and the seconds to wait before the request is sent. A caller that does not
        wait keeps the old bucket: nothing was taken then.
    """
    current = refill(rate_limit, bucket, now)
    left = current.tokens - 1
    wait = -left * rate_limit.period
    # A caller that waited as long as it was asked to must not be refused for a rounding error.
    return attrs.evolve(current, tokens=left), wait if wait > _ROUNDING else 0.0


def refill(rate_limit: RateLimit, bucket: TokenBucket | None, now: float) -> TokenBucket:
    """Return what is left at `now` (epoch seconds), with what came back since `bucket.at`."""
    if bucket is None:
        return TokenBucket(tokens=rate_limit.burst, at=now)
    if bucket.at > now + _CLOCK_TOLERANCE:  # the clock was set back
        bucket = TokenBucket(bucket.tokens, now)
    elapsed = max(0.0, now - bucket.at)
    tokens = min(float(rate_limit.burst), bucket.tokens + elapsed / rate_limit.period)
    return TokenBucket(tokens=tokens, at=max(now, bucket.at))


def cool_down(
    rate_limit: RateLimit, bucket: TokenBucket | None, now: float, seconds: float
) -> TokenBucket:
    """Return the bucket after the server asked for a pause of `seconds`: then one is left."""
    current = refill(rate_limit, bucket, now)
    return attrs.evolve(current, tokens=min(current.tokens, 1 - seconds / rate_limit.period))


def to_entry(bucket: TokenBucket) -> str:
    """Return the store's entry for `bucket`."""
    return json.dumps({"v": _VERSION, "tokens": bucket.tokens, "at": bucket.at})


def from_entry(entry: str, rate_limit: RateLimit) -> TokenBucket | None:
    """Return the bucket of a store's entry; None when it has a format of another version.

    Raises:
        ValueError: It is no bucket, or a value in it is out of range.
    """
    try:
        fields = json.loads(entry)
        if fields["v"] != _VERSION:
            return None
        bucket = TokenBucket(fields["tokens"], fields["at"])
        lowest = -_MAX_WAIT / rate_limit.period
        if lowest <= bucket.tokens <= rate_limit.burst and 0 <= bucket.at <= _MAX_TIME:
            return TokenBucket(float(bucket.tokens), float(bucket.at))
    except (TypeError, LookupError, RecursionError):
        pass
    raise ValueError("This is no rate limit's entry.")
