"""The tokens of the measured endpoint: made up, and telling when they end."""

from __future__ import annotations


def new_token(serial: int, expires_at: float) -> str:
    """Return the token of that serial number that ends at `expires_at` (epoch seconds)."""
    return f"made-up-{serial}-{expires_at:.6f}"


def expiry(token: str) -> float:
    """Return when a token ends, in epoch seconds; 0 for what is none of ours."""
    try:
        return float(token.rpartition("-")[2])
    except ValueError:
        return 0.0
