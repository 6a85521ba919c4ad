"""The token bucket of a token endpoint: pure decisions about given times."""

from __future__ import annotations

import json

import attrs

_CLOCK_TOLERANCE = 60.0
_ROUNDING = 1e-3


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
        """Seconds in which the rate_limit for one token request comes back."""
        return 60.0 / self.per_minute


@attrs.frozen
class Level:
    """What is left of a rate_limit.

    Args:
        requests: Token requests that may still be sent at once; negative when some are waiting.
        at: When that was so, in epoch seconds.
    """

    requests: float
    at: float


def take(rate_limit: RateLimit, level: Level | None, now: float) -> tuple[Level, float]:
    """Take one token request out of the rate_limit.

    Args:
        rate_limit: What the host allows.
        level: What was left, or None for an untouched rate_limit.
        now: The time, in epoch seconds.

    Returns:
        What is left, and the seconds to wait before the request is sent. Who does not want to
        wait keeps the old level: nothing was taken then.
    """
    current = refill(rate_limit, level, now)
    left = current.requests - 1
    wait = -left * rate_limit.period
    # Who waited just as long as told must not be turned away for a rounding error.
    return attrs.evolve(current, requests=left), wait if wait > _ROUNDING else 0.0


def refill(rate_limit: RateLimit, level: Level | None, now: float) -> Level:
    """Return what is left at `now` (epoch seconds), after what came back since `level`."""
    if level is None:
        return Level(requests=rate_limit.burst, at=now)
    if level.at > now + _CLOCK_TOLERANCE:  # the clock was set back
        level = Level(level.requests, now)
    elapsed = max(0.0, now - level.at)
    requests = min(float(rate_limit.burst), level.requests + elapsed / rate_limit.period)
    return attrs.evolve(level, requests=requests, at=max(now, level.at))


def block(rate_limit: RateLimit, level: Level | None, now: float, seconds: float) -> Level:
    """Return the level after the server asked for `seconds` of silence: then one is left."""
    current = refill(rate_limit, level, now)
    return attrs.evolve(current, requests=min(current.requests, 1 - seconds / rate_limit.period))


def to_entry(level: Level) -> str:
    """Return the store's entry for `level`."""
    return json.dumps(attrs.asdict(level))


def from_entry(entry: str | None) -> Level | None:
    """Return the level of a store's entry, or None when there is none that can be read."""
    try:
        fields = {name: float(value) for name, value in json.loads(entry or "null").items()}
        level = Level(**fields)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return level if all(abs(value) < float("inf") for value in fields.values()) else None
