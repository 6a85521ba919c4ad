"""Fresh, stale, expired: pure decisions about given times."""

from __future__ import annotations

import enum
import hashlib

import attrs

SHARE = 0.2
"""A token is renewed at the latest when this share of its lifetime is left ..."""
DEFAULT_MARGIN = 300.0
"""... or this many seconds, whichever is shorter."""
_SPREAD = 0.25
_LEEWAY_SHARE = 0.02
_MAX_LEEWAY = 5.0
_CLOCK_TOLERANCE = 60.0


class State(enum.Enum):
    """The three states of a token."""

    FRESH = "fresh"
    """Handed out at once."""
    STALE = "stale"
    """Still valid and handed out at once, while one renewal runs in the background."""
    EXPIRED = "expired"
    """Never handed out: who asks waits for a new one."""


@attrs.frozen
class Lifetime:
    """When one token is to be renewed, and until when it may be used.

    Args:
        issued_at: When its token request was sent, in epoch seconds.
        renew_at: From when on it is stale, in epoch seconds.
        usable_until: From when on it is expired, in epoch seconds; a little before its real end,
            since a request takes time to arrive.
    """

    issued_at: float
    renew_at: float
    usable_until: float

    def state(self, now: float) -> State:
        """Return the state at `now` (epoch seconds).

        A token from the future means that the clock was set back: nothing is known of how long
        it is still valid, so it counts as expired.
        """
        if now >= self.usable_until or now < self.issued_at - _CLOCK_TOLERANCE:
            return State.EXPIRED
        return State.STALE if now >= self.renew_at else State.FRESH


def plan(
    issued_at: float, expires_at: float, *, margin: float = DEFAULT_MARGIN, jitter: float = 0.0
) -> Lifetime:
    """Decide when a token is renewed.

    The renewal point lies `min(margin, share of the lifetime)` before the end, moved towards the
    end by the jitter, never before it: a provider's cap of the margin holds.

    Args:
        issued_at: When the token request was sent, in epoch seconds.
        expires_at: When the token ends, in epoch seconds.
        margin: Seconds before its end from which a token is renewed.
        jitter: Where in the spread this process lies, from 0 up to 1; see `jitter`.
    """
    lifetime = max(0.0, expires_at - issued_at)
    ahead = min(margin, SHARE * lifetime) * (1.0 - _SPREAD * jitter)
    leeway = min(_MAX_LEEWAY, _LEEWAY_SHARE * lifetime)
    usable_until = expires_at - leeway
    return Lifetime(issued_at, min(expires_at - ahead, usable_until), usable_until)


def jitter(seed: str) -> float:
    """Return a number from 0 up to 1 that depends on `seed` alone."""
    digest = hashlib.blake2b(seed.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
