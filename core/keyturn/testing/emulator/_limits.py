"""The providers' rate limits: decisions about given times, in epoch seconds."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class RateLimit(Protocol):
    """The rate limit of one IP address."""

    def admits(self, now: float) -> bool:
        """Tell whether a request that arrives now is let through, and remember it."""
        ...


class LeakyBucket:
    """So many requests a minute, and a burst more (as nginx's `limit_req` with `nodelay`).

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
        """Tell whether a request that arrives now fits; one that does not leaves no trace."""
        level = max(0.0, self._level - self._rate * (now - self._at))
        # A float's rest must not refuse the request that is due exactly now.
        if level > self._burst + 1e-6:
            return False
        self._level, self._at = level + 1, now
        return True


class SlidingWindow:
    """So many requests in the last minute; those that were refused count too.

    Args:
        per_minute: Requests in any minute.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._arrivals = deque[float](maxlen=per_minute + 1)

    def admits(self, now: float) -> bool:
        """Tell whether this minute's requests, this one included, are within the limit."""
        while self._arrivals and self._arrivals[0] <= now - 60.0:
            self._arrivals.popleft()
        self._arrivals.append(now)
        return len(self._arrivals) <= self._per_minute
