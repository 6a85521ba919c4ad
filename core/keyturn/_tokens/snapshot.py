"""A token with everything that a call needs, as one immutable value, and its renewal times.

A token is *fresh* (returned at once), then *stale* (valid and returned at once, while one renewal
runs in the background), then *expired* (never returned: callers wait for a new one).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import attrs

from keyturn._token import Token

if TYPE_CHECKING:
    from keyturn._tokens.additions import Additions

Headers = tuple[tuple[str, str], ...]

_NEVER = float("-inf")
# A token is renewed when this share of its lifetime is left, or later.
SHARE = 0.2
_SPREAD = 0.25
_LEEWAY_SHARE = 0.02
_MAX_LEEWAY = 5.0


@attrs.frozen(eq=False, repr=False)
class TokenSnapshot:
    """A token with everything that a call needs; it is replaced as a whole.

    Args:
        token: The token.
        fresh_until: The time of its renewal, on the connection's monotonic clock.
        usable_until: The time from which it must not be used, on the same clock.
        headers: Names and values of the headers of an API request; the token's header is first,
            unless the token is in the query.
        additions: Further parts of an API request; None for most providers.
    """

    token: Token
    fresh_until: float
    usable_until: float
    # Some tools show the repr of each field separately.
    headers: Headers = attrs.field(default=(), repr=False)
    additions: Additions | None = attrs.field(default=None, repr=False)


# No token: it is never fresh and never usable.
EMPTY = TokenSnapshot(Token("", "", _NEVER), _NEVER, _NEVER)


def plan(
    issued_at: float, lifetime: float, *, margin: float, jitter: float = 0.0
) -> tuple[float, float]:
    """Return the time until which a token is fresh, and the time until which it may be used.

    The renewal point is `min(margin, share of the lifetime)` before the expiry. The jitter moves
    it towards the expiry and never away from it, so that a provider's maximum margin holds. A
    token is no longer used shortly before it expires, because a request takes time to arrive.

    Args:
        issued_at: The time of the token request, on any clock; the results are on the same clock.
        lifetime: Seconds from that time to the token's expiry.
        margin: Seconds before its expiry from which a token is renewed.
        jitter: The position of this process in the spread, from 0 up to 1; see `jitter`.
    """
    lifetime = max(0.0, lifetime)
    ahead = min(margin, SHARE * lifetime) * (1.0 - _SPREAD * jitter)
    leeway = min(_MAX_LEEWAY, _LEEWAY_SHARE * lifetime)
    return issued_at + lifetime - max(ahead, leeway), issued_at + lifetime - leeway


def jitter(seed: str) -> float:
    """Return a number from 0 up to 1 that depends on `seed` alone."""
    digest = hashlib.sha256(seed.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
