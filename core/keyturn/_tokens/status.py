"""The status of a connection in this process, without a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from keyturn._tokens.snapshot import EMPTY

if TYPE_CHECKING:
    from keyturn._tokens.manager import TokenManager

State = Literal["none", "fresh", "stale", "expired"]


@attrs.frozen(kw_only=True)
class ConnectionStatus:
    """The status of a connection in one process; it has no secret.

    Args:
        id: The connection's id.
        provider: The provider's name.
        state: `none` (this process has no token), `fresh`, `stale` (valid, and renewed at its next
            use) or `expired`.
        seconds_left: Seconds for which the token may still be used, or None without a token.
        last_error: The error of the last attempt to acquire a token; None if it succeeded.
    """

    id: str
    provider: str
    state: State
    seconds_left: float | None
    last_error: str | None


def status_of(id: str, provider: str, manager: TokenManager) -> ConnectionStatus:
    """Return the status of a connection in this process.

    Args:
        id: The connection's id.
        provider: The provider's name.
        manager: The connection's token manager.
    """
    held, now = manager.snapshot, manager.now()
    state: State = "fresh"
    if held is EMPTY:
        state = "none"
    elif now >= held.usable_until:
        state = "expired"
    elif now >= held.fresh_until:
        state = "stale"
    return ConnectionStatus(
        id=id,
        provider=provider,
        state=state,
        seconds_left=None if held is EMPTY else max(0.0, held.usable_until - now),
        last_error=manager.last_error,
    )
