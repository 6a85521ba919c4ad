"""Budgets kept in the store, so that all who share it share them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import attrs

from keyturn import _rate_limit as rate_limit
from keyturn import errors
from keyturn._http.urls import origin
from keyturn._rate_limit import RateLimit

if TYPE_CHECKING:
    from keyturn._clock import Clock
    from keyturn._rate_limit import Level
    from keyturn.stores._resilient import ResilientStore

_UNDECLARED = RateLimit(per_minute=600, burst=100)
# A dead API that responses 401 for ever must not burn the token endpoint's rate_limit.
_REFUSED = RateLimit(per_minute=2, burst=5)
_MEMORY = 3600.0
_LEASE = 5.0


def _or_generous(declared: RateLimit | None) -> RateLimit:
    return declared or _UNDECLARED


@attrs.frozen
class RateLimiter:
    """What may be asked of a token endpoint, by what the store knows of all its askers.

    Args:
        store: Where the rate_limit's level is kept.
        clock: The clocks.
        key: The store's key of the level.
        declared: What the provider declares; a generous guess when it declares nothing.
    """

    store: ResilientStore
    clock: Clock
    key: str
    declared: RateLimit = attrs.field(converter=_or_generous)

    def spend(self, wait: float) -> float:
        """Take one token request out of the rate_limit, waiting for it if need be.

        Args:
            wait: Seconds to wait at most.

        Returns:
            The seconds waited.

        Raises:
            keyturn.errors.RateLimited: The wait would be longer; nothing was taken.
        """
        # Nobody needs the lock to hear no: a crowd would queue for it.
        self._take(wait)
        with self.store.lock(self.key, _LEASE):
            left, pause = self._take(wait)
            self._write(left)
        if pause > 0:
            self.clock.sleep(pause)
        return pause

    def block(self, seconds: float) -> None:
        """Leave the token endpoint alone for some seconds, since it asked for that."""
        with self.store.lock(self.key, _LEASE):
            now = self.clock.time()
            self._write(rate_limit.block(self.declared, self._level(now), now, seconds))

    def _take(self, wait: float) -> tuple[Level, float]:
        """Return what would be left, and the pause before the request, if it may be waited for."""
        now = self.clock.time()
        left, pause = rate_limit.take(self.declared, self._level(now), now)
        if pause > wait:
            raise errors.RateLimited(
                "the token endpoint's rate limit, or the silence that it asked for, "
                "leaves no room for a token request now.",
                retry_after=pause,
                hint=f"Ask again in {pause:.0f} s, or let keyturn wait with wait=seconds.",
            )
        return left, pause

    def _write(self, level: Level) -> None:
        self.store.write(self.key, rate_limit.to_entry(level), self.clock.time() + _MEMORY)

    def _level(self, now: float) -> Level | None:
        """Return the strictest of what is known: a store that failed missed some requests."""
        known = map(rate_limit.from_entry, self.store.entries(self.key))
        return min(
            (level for level in known if level is not None),
            key=lambda level: rate_limit.refill(self.declared, level, now).requests,
            default=None,
        )


def endpoint_key(url: str) -> str:
    """Return the key of a token endpoint's rate_limit, which belongs to its host."""
    return f"rate-limit-{hashlib.blake2b(origin(url).encode(), digest_size=16).hexdigest()}"


def replace_refused(store: ResilientStore, clock: Clock, fingerprint: str) -> None:
    """Count a token that an API refused before its end; too many are not replaced.

    Args:
        store: Where they are counted.
        clock: The clocks.
        fingerprint: The key of the token request.

    Raises:
        keyturn.errors.RateLimited: An API refused too many in the last minutes.
    """
    try:
        RateLimiter(store, clock, f"forced-{fingerprint}", _REFUSED).spend(wait=0.0)
    except errors.RateLimited as limited:
        seconds = limited.retry_after
    else:
        return
    raise errors.RateLimited(
        "an API goes on refusing new tokens, so no other is requested for now.",
        retry_after=seconds,
        hint=f"Look at what the API responses; ask again in {seconds:.0f} s.",
    )
