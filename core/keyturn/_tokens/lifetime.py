"""When a token is renewed, and until when it is used: pure decisions about given times.

A token is *fresh* (returned at once), then *stale* (valid and returned at once, while one renewal
runs in the background), then *expired* (never returned: callers wait for a new one).
"""

from __future__ import annotations

import hashlib

SHARE = 0.2
"""A token is renewed when this share of its lifetime is left, or later."""
_SPREAD = 0.25
_LEEWAY_SHARE = 0.02
_MAX_LEEWAY = 5.0


def plan(
    issued_at: float, lifetime: float, *, margin: float, jitter: float = 0.0
) -> tuple[float, float]:
    """Return until when a token is fresh, and until when it may be used.

    The renewal point is `min(margin, share of the lifetime)` before the expiry. The jitter moves
    it towards the expiry and never away from it, so that a provider's maximum margin holds. A
    token is no longer used shortly before it expires, since a request takes time to arrive.

    Args:
        issued_at: When the token request was sent, on any clock; the results are on the same.
        lifetime: Seconds from then to the token's expiry.
        margin: Seconds before its expiry from which a token is renewed.
        jitter: Where in the spread this process lies, from 0 up to 1; see `jitter`.
    """
    lifetime = max(0.0, lifetime)
    ahead = min(margin, SHARE * lifetime) * (1.0 - _SPREAD * jitter)
    leeway = min(_MAX_LEEWAY, _LEEWAY_SHARE * lifetime)
    return issued_at + lifetime - max(ahead, leeway), issued_at + lifetime - leeway


def jitter(seed: str) -> float:
    """Return a number from 0 up to 1 that depends on `seed` alone."""
    digest = hashlib.sha256(seed.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
