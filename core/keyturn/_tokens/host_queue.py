"""Hosts that delay requests instead of refusing them, as nginx's `limit_req` does by default.

keyturn assumes that a request that timed out is still in the server's queue, and that another one
would queue behind it. So all processes that share the store send the host one request at a time,
until it responds promptly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from keyturn import _rate_limit as rate_limit
from keyturn import errors
from keyturn._http.urls import origin
from keyturn._rate_limit import RateLimit, TokenBucket

if TYPE_CHECKING:
    from keyturn._rate_limit import Buckets
    from keyturn._tokens.rate_limiter import SharedBuckets

# Two of a host's buckets, which are not rate limits. The first exists for an hour after a request
# timed out; the second has the time until which another request has its turn.
QUEUED = RateLimit(per_minute=1 / 60, burst=1), "queued"
_TURN = RateLimit(per_minute=6000, burst=1), "turn"
_LEASE = 5.0
# Seconds between two checks for a caller's turn.
_TICK = 0.25
# A response within this share of the timeout is prompt. The same share must be left at a turn.
_PROMPT = 0.5


@attrs.define(eq=False, repr=False)
class HostQueue:
    """The turns of callers for a host that delayed a request until it timed out.

    Args:
        shared: The host's buckets.
        url: The token endpoint.
        timeout: Seconds for a token request.

    Attributes:
        is_probe: Whether the request in progress is the only allowed one.
    """

    shared: SharedBuckets
    url: str
    timeout: float
    is_probe: bool = attrs.field(default=False, init=False)

    def enter(self, wait: float) -> float:
        """Wait for a turn, and return the seconds waited.

        Args:
            wait: Maximum seconds to wait, in addition to the timeout.

        Raises:
            keyturn.errors.EndpointUnavailable: The request could not start in time.
        """
        clock, patience = self.shared.clock, wait + _PROMPT * self.timeout
        began = clock.monotonic()
        while not self._take_turn(wait + self.timeout + _LEASE):
            waited = clock.monotonic() - began
            if waited >= patience:
                raise errors.EndpointUnavailable(
                    f"{origin(self.url)} delayed a token request until it timed out, so keyturn "
                    "sends one request at a time to it; another request is in progress.",
                    hint="Try again later. If the server queues requests, raise timeout or wait.",
                )
            clock.sleep(min(_TICK, patience - waited))
        return clock.monotonic() - began

    def leave(self, responded_in: float | None, *, is_late: bool) -> None:
        """End this turn.

        Args:
            responded_in: Seconds until the response; None without a response.
            is_late: Whether the request timed out.
        """
        was_probe, self.is_probe = self.is_probe, False
        if not was_probe and not is_late:
            return
        is_prompt = responded_in is not None and responded_in <= _PROMPT * self.timeout
        with self.shared.locked() as buckets:
            if is_prompt:
                buckets.pop(QUEUED, None)
                buckets.pop(_TURN, None)
            else:
                buckets[QUEUED] = TokenBucket(0.0, self.shared.clock.time())
            if was_probe:
                # Requests in the server's queue need time: the next probe must not wait behind
                # them.
                self._keep_turn(buckets, self.timeout if is_late else 0.0)

    def _take_turn(self, seconds: float) -> bool:
        with self.shared.locked() as buckets:
            if QUEUED in buckets:
                limit, now = _TURN[0], self.shared.clock.time()
                current = rate_limit.refill(limit, buckets.get(_TURN), now)
                if rate_limit.take(limit, current)[1] > 0:
                    return False
                self._keep_turn(buckets, seconds)
                self.is_probe = True
        return True

    def _keep_turn(self, buckets: Buckets, seconds: float) -> None:
        now = self.shared.clock.time()
        full = rate_limit.refill(_TURN[0], None, now)
        buckets[_TURN] = rate_limit.cool_down(_TURN[0], full, seconds)
