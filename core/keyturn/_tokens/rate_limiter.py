"""Rate limits kept in the store, so that all who share it keep them together."""

from __future__ import annotations

import functools
import hashlib
import logging
from typing import TYPE_CHECKING

import attrs

from keyturn import _rate_limit as rate_limit
from keyturn import errors
from keyturn._http.urls import origin
from keyturn._rate_limit import RateLimit, TokenBucket, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._clock import Clock
    from keyturn.stores._resilient import ResilientStore

# No limit by itself: its bucket holds nothing but the pauses that the server asked for, to the
# hundredth of a second.
_COOLDOWN = RateLimit(per_minute=6000, burst=1)
# An API that answers 401 for ever must not use up the token endpoint's rate limit.
_REFUSED = RateLimit(per_minute=2, burst=5)
# What one account's refused requests may take of a declared limit, in the long run and at once.
_SHARE = 0.1
_BURST_SHARE = 0.25
_FEWEST = 3
_KEPT_SECONDS = 3600.0
_MAX_KEPT_SECONDS = 366 * 86_400.0
_LEASE = 5.0

_logger = logging.getLogger("keyturn")


@attrs.frozen(eq=False, repr=False)
class SharedBucket:
    """A token bucket in the store, counted by all who share it.

    Args:
        store: Where it is kept.
        clock: The clocks.
        key: The store's key.
        limit: How many requests it allows.
    """

    store: ResilientStore
    clock: Clock
    key: str
    limit: RateLimit

    def pause(self) -> float | None:
        """Return the seconds until a request may be sent; None when none was sent for long."""
        known = self._known()
        return rate_limit.take(self.limit, min(known))[1] if known else None

    def take(self, wait: float) -> float:
        """Take one request out, and return the seconds until it may be sent.

        Args:
            wait: The longest pause, in seconds; nothing is taken for a longer one.
        """
        with self.store.lock(self.key, _LEASE):
            left, pause = rate_limit.take(self.limit, self._current())
            if pause <= wait:
                self._keep(left)
        return pause

    def cool_down(self, seconds: float) -> None:
        """Allow no request for some seconds."""
        with self.store.lock(self.key, _LEASE):
            self._keep(rate_limit.cool_down(self.limit, self._current(), seconds))

    def _keep(self, bucket: TokenBucket) -> None:
        # Until it is full again; at least until no server's pause lasts any more.
        seconds = max(_KEPT_SECONDS, self.limit.burst * 60 / self.limit.per_minute)
        until = bucket.at + min(seconds, _MAX_KEPT_SECONDS)
        self.store.write(self.key, rate_limit.to_entry(bucket), until)

    def _current(self) -> TokenBucket:
        """Return the strictest of what is known: a store that failed missed some requests."""
        known = self._known()
        return min(known) if known else rate_limit.refill(self.limit, None, self.clock.time())

    def _known(self) -> list[TokenBucket]:
        known = list[TokenBucket]()
        for entry in self.store.entries(self.key):
            try:
                bucket = rate_limit.from_entry(entry, self.limit)
            except ValueError:
                message = "the store's entry at %s is no rate limit: ignoring it"
                _logger.warning(message, self.key)
            else:
                known.append(rate_limit.refill(self.limit, bucket, self.clock.time()))
        return known


class RateLimiter:
    """How many token requests may be sent to a host, counted by all who share the store.

    Args:
        store: Where it is counted.
        clock: The clocks.
        url: The token endpoint, whose host the limit belongs to.
        limit: The limit, if there is one. Without it nothing is counted: only the server's own
            429 responses and `Retry-After` count.
        account: Returns whose requests they are, so that refused ones take no more than a share.
    """

    def __init__(
        self,
        store: ResilientStore,
        clock: Clock,
        url: str,
        limit: RateLimit | None,
        account: Callable[[], str],
    ) -> None:
        self._clock = clock
        self._url = url
        self._account = account
        self._cooldown = SharedBucket(store, clock, _key(url), _COOLDOWN)
        self._limit = None if limit is None else SharedBucket(store, clock, _key(url, limit), limit)

    def acquire(self, wait: float) -> float:
        """Take one token request out of the rate limit, and wait until it may be sent.

        Args:
            wait: Seconds to wait at most.

        Returns:
            The seconds waited.

        Raises:
            keyturn.errors.RateLimited: The wait would be longer, or the token endpoint refused
                too many requests of this account; nothing was taken.
        """
        pause = self._cooldown.pause() or 0.0
        if self._limit is not None:
            # Without the lock at first, since all of a crowd may have to be refused.
            used = self._limit.pause()
            if used is not None:
                self._check_refused(self._limit.limit)
                pause = max(pause, used)
            if pause <= wait:
                pause = max(pause, self._limit.take(wait))
        if pause > wait:
            raise errors.RateLimited(
                "the token endpoint's rate limit, or the pause that it asked for, allows no token "
                "request now.",
                retry_after=pause,
                hint=f"Try again in {whole_seconds(pause)} s, or let keyturn wait with "
                "wait=seconds.",
            )
        if pause > 0:
            _logger.info("waiting %.1f s for the rate limit of %s", pause, origin(self._url))
            self._clock.sleep(pause)
        return pause

    def cool_down(self, seconds: float) -> None:
        """Send no token request to the host for some seconds, since it asked for that."""
        self._cooldown.cool_down(seconds)
        if self._limit is not None:
            self._limit.cool_down(seconds)

    def count_refused(self) -> None:
        """Count a request of this account that the token endpoint refused."""
        if self._limit is not None:
            self._refused(self._limit.limit).take(0.0)

    def _refused(self, limit: RateLimit) -> SharedBucket:
        """Return how many refused requests the account may send."""
        burst = max(_FEWEST, int(limit.burst * _BURST_SHARE))
        share = RateLimit(limit.per_minute * _SHARE, burst)
        key = _key(self._url, limit, self._account())
        return SharedBucket(self._cooldown.store, self._clock, key, share)

    def _check_refused(self, limit: RateLimit) -> None:
        pause = self._refused(limit).pause()
        if pause:
            raise errors.RateLimited(
                "the token endpoint refused the last requests with this connection's settings, so "
                "no other is sent now: the rate limit is shared with other connections.",
                retry_after=pause,
                hint=f"Correct the settings; try again in {whole_seconds(pause)} s.",
            )


@functools.lru_cache(maxsize=1024)
def _key(url: str, limit: RateLimit | None = None, account: str = "") -> str:
    """Return the key of what belongs to a token endpoint's host."""
    named = f"{origin(url)}\n{account}"
    if limit is not None:
        named += f"\n{float(limit.per_minute)} {limit.burst}"
    return f"rate-limit-{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def count_refused(store: ResilientStore, clock: Clock, fingerprint: str) -> None:
    """Count a token that an API refused before its expiry; too many are not replaced.

    Args:
        store: Where they are counted.
        clock: The clocks.
        fingerprint: The key of the token request.

    Raises:
        keyturn.errors.RateLimited: An API refused too many in the last minutes.
    """
    seconds = SharedBucket(store, clock, f"forced-{fingerprint}", _REFUSED).take(wait=0.0)
    if seconds > 0:
        raise errors.RateLimited(
            "the API keeps refusing new tokens, so no other is requested now.",
            retry_after=seconds,
            hint=f"Look at the API's responses; try again in {whole_seconds(seconds)} s.",
        )
