"""The current token as a connection holds it: one immutable snapshot for the quick way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn.lifetime import Lifetime
    from keyturn.token import Token

_MIN_PAUSE = 0.05


@attrs.frozen
class Held:
    """A token with all that a call needs, replaced as a whole and never changed.

    Each limit is kept on both clocks; the nearer one counts.

    Args:
        token: The token, or None for nothing.
        headers: What an API request with it needs.
        fresh_until: From when on it is to be renewed, in epoch seconds.
        fresh_until_monotonic: The same, on the monotonic clock.
        usable_until: From when on it must not be used, in epoch seconds.
        usable_until_monotonic: The same, on the monotonic clock.
    """

    token: Token | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    fresh_until: float = float("-inf")
    fresh_until_monotonic: float = float("-inf")
    usable_until: float = float("-inf")
    usable_until_monotonic: float = float("-inf")

    def is_fresh(self, now: float, monotonic: float) -> bool:
        """Tell whether the token needs no renewal yet."""
        return now < self.fresh_until and monotonic < self.fresh_until_monotonic

    def is_usable(self, now: float, monotonic: float) -> bool:
        """Tell whether the token may still be used."""
        return now < self.usable_until and monotonic < self.usable_until_monotonic

    def postponed(self, seconds: float, now: float, monotonic: float) -> Held:
        """Return it with its renewal put off, by a quarter of the time it has left at most."""
        left = min(self.usable_until - now, self.usable_until_monotonic - monotonic)
        pause = max(_MIN_PAUSE, min(seconds, left / 4))
        return attrs.evolve(
            self,
            fresh_until=min(self.usable_until, now + pause),
            fresh_until_monotonic=min(self.usable_until_monotonic, monotonic + pause),
        )


NOTHING = Held()


def hold(
    token: Token, headers: Mapping[str, str], plan: Lifetime, now: float, monotonic: float
) -> Held:
    """Return the snapshot of a token from now on.

    Args:
        token: The token.
        headers: What an API request with it needs.
        plan: When it is renewed, and until when it may be used.
        now: The time, in epoch seconds.
        monotonic: The same moment on the monotonic clock.
    """
    ahead = monotonic - now
    return Held(
        token=token,
        headers=headers,
        fresh_until=plan.renew_at,
        fresh_until_monotonic=plan.renew_at + ahead,
        usable_until=plan.usable_until,
        usable_until_monotonic=plan.usable_until + ahead,
    )
