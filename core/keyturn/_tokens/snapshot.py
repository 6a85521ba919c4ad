"""A token with all that a call needs, as one immutable value."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from keyturn._token import Token

if TYPE_CHECKING:
    Headers: TypeAlias = tuple[tuple[str, str], ...]

_NEVER = float("-inf")
_MIN_PAUSE = 0.05


@attrs.frozen(eq=False, repr=False)
class TokenSnapshot:
    """A token with all that a call needs; it is replaced as a whole.

    Args:
        token: The token.
        fresh_until: From when on it is to be renewed, on the connection's monotonic clock.
        usable_until: From when on it must not be used, on the same clock.
        headers: What an API request with it needs, names and values; the token's header is first.
    """

    token: Token
    fresh_until: float
    usable_until: float
    headers: Headers = attrs.field(default=(), repr=False)  # some tools show each field by itself

    def postponed(self, seconds: float, now: float) -> TokenSnapshot:
        """Return it with its renewal put off, by at most a quarter of the time it has left.

        Args:
            seconds: The time to put it off.
            now: The time on the monotonic clock.
        """
        pause = max(_MIN_PAUSE, min(seconds, (self.usable_until - now) / 4))
        return attrs.evolve(self, fresh_until=min(self.usable_until, now + pause))


EMPTY = TokenSnapshot(Token("", "", _NEVER), _NEVER, _NEVER)
"""No token: it is never fresh and never usable."""
