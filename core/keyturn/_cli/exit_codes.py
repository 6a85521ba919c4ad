"""The exit codes of the commands."""

from __future__ import annotations

from typing import Final

from keyturn import errors

DONE: Final = 0
FAILED: Final = 1
_CODES: dict[type[errors.KeyturnError], int] = {
    errors.ConfigurationError: 2,
    errors.ForeignOrigin: 2,
    errors.TokenRequestRefused: 3,
    errors.RateLimited: 4,
    errors.EndpointUnavailable: 5,
    errors.InvalidTokenResponse: 5,
}


def exit_code(error: errors.KeyturnError) -> int:
    """Return the exit code for an error, from 1 to 5."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), FAILED)
