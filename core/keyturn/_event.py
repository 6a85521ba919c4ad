"""What happens to a connection's tokens, as reported to the application and to plugins."""

from __future__ import annotations

from typing import Literal

import attrs

Kind = Literal["token_request", "store_outage", "renewal_failure"]
Reason = Literal["cold", "expiring", "refused", "invalidated"]


@attrs.frozen(kw_only=True)
class Event:
    """One thing that happened; it holds no secret.

    Args:
        kind: `token_request` (one for each attempt), `store_outage` (one for each outage), or
            `renewal_failure` (a valid token could not be renewed ahead of its expiry).
        connection: The connection's name.
        provider: The provider's name.
        host: The token endpoint's host; for an outage, where the store is.
        reason: Why a token was needed: `cold` (there was none that could be used), `expiring`,
            `refused` (by an API) or `invalidated`.
        attempt: The number of the attempt, from 1.
        duration: Seconds that it took.
        status: The HTTP status, or None when there was no response.
        error: The name of the error's class, or None.
        lifetime: Seconds for which the new token is valid, or None when there is none.
    """

    kind: Kind
    connection: str
    provider: str
    host: str
    reason: Reason = "cold"
    attempt: int = 1
    duration: float = 0.0
    status: int | None = None
    error: str | None = None
    lifetime: float | None = None
