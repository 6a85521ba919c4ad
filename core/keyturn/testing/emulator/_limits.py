"""The providers' rate limits: pure decisions about given times, in epoch seconds."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class RateLimit(Protocol):
    """The rate limit of one IP address."""

    def admits(self, now: float) -> bool:
        """Return whether a request that arrives now is admitted, and record it."""
        ...


class LeakyBucket:
    """A number of requests a minute and a burst, as nginx's `limit_req` with `nodelay`.

    Args:
        per_minute: Requests that drain from the bucket in a minute.
        burst: Requests that the bucket holds above the one in progress.
    """

    def __init__(self, per_minute: float, burst: int) -> None:
        self._rate = per_minute / 60.0
        self._burst = burst
        self._level = 0.0
        self._at = 0.0

    def admits(self, now: float) -> bool:
        """Return whether a request that arrives now is admitted; only then is it counted."""
        level = max(0.0, self._level - self._rate * (now - self._at))
        # A rounding error must not reject the request that is due exactly now.
        if level > self._burst + 1e-6:
            return False
        self._level, self._at = level + 1, now
        return True


class SlidingWindow:
    """A number of requests in the last minute; rejected ones count too.

    Args:
        per_minute: Requests in any minute.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._arrivals = deque[float](maxlen=per_minute + 1)

    def admits(self, now: float) -> bool:
        """Return whether this minute's requests, this one included, are within the limit."""
        while self._arrivals and self._arrivals[0] <= now - 60.0:
            self._arrivals.popleft()
        self._arrivals.append(now)
        return len(self._arrivals) <= self._per_minute
