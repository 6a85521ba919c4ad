"""The current token as a connection holds it: one immutable snapshot for the quick way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from keyturn._token import Token
    from keyturn._tokens.lifetime import Lifetime

    Headers = tuple[tuple[str, str], ...]
    Glance = tuple[float, float, Token | None]

_MIN_PAUSE = 0.05
_GLANCE = 0.1
_SHUT: Glance = (float("inf"), float("-inf"), None)


@attrs.define(eq=False)
class TokenSnapshot:
    """A token with all that a call needs, replaced as a whole and never changed, its glance apart.

    Each limit is kept on both clocks; the nearer one counts.

    Args:
        token: The token, or None for nothing.
        headers: What an API request with it needs, names and values; the token's comes first.
        authorization: The value of `Authorization`, if that is all that an API request needs.
        fresh_until: From when on it is to be renewed, in epoch seconds.
        fresh_until_monotonic: The same, on the monotonic clock.
        usable_until: From when on it must not be used, in epoch seconds.
        usable_until_monotonic: The same, on the monotonic clock.
        process: The process that planned when it is renewed: each has another moment.
        glance: Between which epoch seconds the wall clock alone will do, since both clocks said
            a moment ago that the token is fresh, and the token; one value, so that threads see
            it whole.
    """

    token: Token | None = None
    headers: Headers = attrs.field(default=(), repr=False)
    authorization: str | None = attrs.field(default=None, repr=False)
    fresh_until: float = float("-inf")
    fresh_until_monotonic: float = float("-inf")
    usable_until: float = float("-inf")
    usable_until_monotonic: float = float("-inf")
    process: int = attrs.field(factory=os.getpid)
    glance: Glance = attrs.field(default=_SHUT, init=False)

    def is_fresh(self, now: float, monotonic: float) -> bool:
        """Tell whether the token needs no renewal yet."""
        return now < self.fresh_until and monotonic < self.fresh_until_monotonic

    def is_usable(self, now: float, monotonic: float) -> bool:
        """Tell whether the token may still be used."""
        return now < self.usable_until and monotonic < self.usable_until_monotonic

    def allow_glance(self, now: float) -> None:
        """Let the wall clock alone do for a moment, since both clocks say that it is fresh.

        A second clock would make a hit half as dear again. A clock set back in that moment at most
        doubles it, and it is at most half of the time from stale to expired. What goes unnoticed
        is a clock set back by just as long as nobody asked, to within this moment.

        Args:
            now: The time, in epoch seconds.
        """
        moment = min(_GLANCE, (self.usable_until - self.fresh_until) / 2)
        self.glance = (now, min(now + moment, self.fresh_until), self.token)

    def postponed(self, seconds: float, now: float, monotonic: float) -> TokenSnapshot:
        """Return it with its renewal put off, by a quarter of the time it has left at most."""
        left = min(self.usable_until - now, self.usable_until_monotonic - monotonic)
        pause = max(_MIN_PAUSE, min(seconds, left / 4))
        return attrs.evolve(
            self,
            fresh_until=min(self.usable_until, now + pause),
            fresh_until_monotonic=min(self.usable_until_monotonic, monotonic + pause),
        )


EMPTY = TokenSnapshot()


def hold(
    token: Token, headers: Headers, plan: Lifetime, now: float, monotonic: float
) -> TokenSnapshot:
    """Return the snapshot of a token from now on.

    Args:
        token: The token.
        headers: What an API request with it needs; the token's comes first.
        plan: When it is renewed, and until when it may be used.
        now: The time, in epoch seconds.
        monotonic: The same moment on the monotonic clock.
    """
    ahead = monotonic - now
    name, value = headers[0]
    return TokenSnapshot(
        token=token,
        headers=headers,
        authorization=value if len(headers) == 1 and name == "Authorization" else None,
        fresh_until=plan.renew_at,
        fresh_until_monotonic=plan.renew_at + ahead,
        usable_until=plan.usable_until,
        usable_until_monotonic=plan.usable_until + ahead,
    )
