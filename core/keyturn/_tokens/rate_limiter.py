"""Rate limits kept in the store, so that all who share it keep them together."""

import functools
import hashlib
import logging

import attrs

from keyturn import _rate_limit as rate_limit
from keyturn import errors
from keyturn._clock import Clock
from keyturn._http.urls import origin
from keyturn._rate_limit import RateLimit, TokenBucket
from keyturn.stores._resilient import ResilientStore

# No limit by itself: its bucket holds nothing but the pauses that the server asked for, to the
# hundredth of a second.
_UNDECLARED = RateLimit(per_minute=6000, burst=1)
# An API that answers 401 for ever must not use up the token endpoint's rate limit.
_REFUSED = RateLimit(per_minute=2, burst=5)
_KEPT_SECONDS = 3600.0
_LEASE = 5.0

_logger = logging.getLogger("keyturn")


@attrs.frozen(eq=False, repr=False)
class RateLimiter:
    """How many token requests may be sent to a host, counted by all who share the store.

    Args:
        store: Where the count is kept.
        clock: The clocks.
        key: The store's key of the count.
        declared: What the provider declares. Without it, nothing is counted: only the server's
            own 429 responses and `Retry-After` count.
    """

    store: ResilientStore
    clock: Clock
    key: str
    declared: RateLimit | None

    def acquire(self, wait: float) -> float:
        """Take one token request out of the rate limit, and wait until it may be sent.

        Args:
            wait: Seconds to wait at most.

        Returns:
            The seconds waited.

        Raises:
            keyturn.errors.RateLimited: The wait would be longer; nothing was taken.
        """
        limit = self.declared or _UNDECLARED
        # Without the lock at first, since all of a crowd may have to be refused.
        _, pause = rate_limit.take(limit, self._current(limit))
        if self.declared is not None and pause <= wait:
            with self.store.lock(self.key, _LEASE):
                left, pause = rate_limit.take(limit, self._current(limit))
                if pause <= wait:
                    self._keep(left)
        if pause > wait:
            raise errors.RateLimited(
                "the token endpoint's rate limit, or the pause that it asked for, allows no token "
                "request now.",
                retry_after=pause,
                hint=f"Try again in {pause:.0f} s, or let keyturn wait with wait=seconds.",
            )
        if pause > 0:
            self.clock.sleep(pause)
        return pause

    def cool_down(self, seconds: float) -> None:
        """Send no token request to the host for some seconds, since it asked for that."""
        limit = self.declared or _UNDECLARED
        with self.store.lock(self.key, _LEASE):
            self._keep(rate_limit.cool_down(limit, self._current(limit), seconds))

    def _keep(self, bucket: TokenBucket) -> None:
        self.store.write(self.key, rate_limit.to_entry(bucket), bucket.at + _KEPT_SECONDS)

    def _current(self, limit: RateLimit) -> TokenBucket:
        """Return the strictest of what is known: a store that failed missed some requests."""
        now, known = self.clock.time(), list[TokenBucket]()
        for entry in self.store.entries(self.key):
            try:
                known.append(rate_limit.refill(limit, rate_limit.from_entry(entry, limit), now))
            except ValueError:
                message = "the store's entry at %s is no rate limit: ignoring it"
                _logger.warning(message, self.key)
        return min(known) if known else rate_limit.refill(limit, None, now)


@functools.lru_cache(maxsize=1024)
def endpoint_key(url: str) -> str:
    """Return the key of a token endpoint's rate limit, which belongs to its host."""
    return f"rate-limit-{hashlib.sha256(origin(url).encode()).hexdigest()[:32]}"


def count_refused(store: ResilientStore, clock: Clock, fingerprint: str) -> None:
    """Count a token that an API refused before its expiry; too many are not replaced.

    Args:
        store: Where they are counted.
        clock: The clocks.
        fingerprint: The key of the token request.

    Raises:
        keyturn.errors.RateLimited: An API refused too many in the last minutes.
    """
    try:
        RateLimiter(store, clock, f"forced-{fingerprint}", _REFUSED).acquire(wait=0.0)
    except errors.RateLimited as limited:
        seconds = limited.retry_after
        raise errors.RateLimited(
            "the API keeps refusing new tokens, so no other is requested now.",
            retry_after=seconds,
            hint=f"Look at the API's responses; try again in {seconds:.0f} s.",
        ) from None
