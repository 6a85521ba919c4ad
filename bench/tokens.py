"""The tokens of the bench's token endpoint: made up, each with its expiry in it."""

from __future__ import annotations


def new_token(serial: int, expires_at: float) -> str:
    """Return the token with that serial number that expires at `expires_at` (epoch seconds)."""
    return f"made-up-{serial}-{expires_at:.6f}"


def expiry(token: str) -> float:
    """Return when a token expires, in epoch seconds; 0 for a token of another server."""
    try:
        return float(token.rpartition("-")[2])
    except ValueError:
        return 0.0
