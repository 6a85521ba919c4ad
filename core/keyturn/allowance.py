"""Budgets kept in the store, so that all who share it share them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import attrs

from keyturn import budget, errors
from keyturn.budget import Budget
from keyturn.urls import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn.budget import Level
    from keyturn.clock import Clock
    from keyturn.stores.guard import GuardedStore

_UNDECLARED = Budget(per_minute=600, burst=100)
_MEMORY = 3600.0
_LEASE = 5.0


def _or_generous(declared: Budget | None) -> Budget:
    return declared or _UNDECLARED


@attrs.frozen
class Allowance:
    """What may be asked of a token endpoint, by what the store knows of all its askers.

    Args:
        store: Where the budget's level is kept.
        clock: The clocks.
        key: The store's key of the level.
        declared: What the provider declares; a generous guess when it declares nothing.
    """

    store: GuardedStore
    clock: Clock
    key: str
    declared: Budget = attrs.field(converter=_or_generous)

    def spend(self, wait: float) -> float:
        """Take one token request out of the budget, waiting for it if need be.

        Args:
            wait: Seconds to wait at most.

        Returns:
            The seconds waited.

        Raises:
            keyturn.errors.RateLimited: The wait would be longer; nothing was taken.
        """
        pause = 0.0

        def take(level: Level | None, now: float) -> Level | None:
            nonlocal pause
            left, pause = budget.take(self.declared, level, now)
            return left if pause <= wait else None

        self._update(take)
        if pause > wait:
            raise errors.RateLimited(
                "the token endpoint's rate limit leaves no room for a token request now.",
                retry_after=pause,
                hint=f"Ask again in {pause:.0f} s, or let keyturn wait with wait=seconds.",
            )
        if pause > 0:
            self.clock.sleep(pause)
        return pause

    def block(self, seconds: float) -> None:
        """Leave the token endpoint alone for some seconds, since it asked for that."""
        self._update(lambda level, now: budget.block(self.declared, level, now, seconds))

    def _update(self, change: Callable[[Level | None, float], Level | None]) -> None:
        with self.store.lock(self.key, _LEASE):
            now = self.clock.time()
            level = change(self._level(now), now)
            if level is not None:
                self.store.write(self.key, budget.to_entry(level), now + _MEMORY)

    def _level(self, now: float) -> Level | None:
        """Return the strictest of what is known: a store that failed missed some requests."""
        known = map(budget.from_entry, self.store.entries(self.key))
        return min(
            (level for level in known if level is not None),
            key=lambda level: budget.refill(self.declared, level, now).requests,
            default=None,
        )


def endpoint_key(url: str) -> str:
    """Return the key of a token endpoint's budget, which belongs to its host."""
    return f"budget-{hashlib.blake2b(origin(url).encode(), digest_size=16).hexdigest()}"
