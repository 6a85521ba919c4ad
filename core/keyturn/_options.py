"""How a connection behaves, whatever its provider."""

from __future__ import annotations

import attrs

# Seconds before its expiry from which a token is renewed.
DEFAULT_MARGIN = 300.0
_MAX_SECONDS = 86_400.0


@attrs.frozen(kw_only=True)
class Options:
    """How a connection behaves, whatever its provider.

    Args:
        margin: Seconds before its expiry from which a token is renewed; a fifth of the token's
            lifetime and the provider's maximum bound it.
        timeout: Seconds for a token request, retries included.
        wait: Seconds to wait at most when the token endpoint's rate limit is used up; 0 raises
            `keyturn.errors.RateLimited` at once.
    """

    margin: float = DEFAULT_MARGIN
    timeout: float = 30.0
    wait: float = 0.0


def option_problem(name: str, value: object) -> str | None:
    """Return what is wrong with a value for the option of that name, or None."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and 0 <= value <= _MAX_SECONDS and (value or name != "timeout"):  # type: ignore[operator]
        return None
    least = "above 0" if name == "timeout" else "not below 0"
    return f"must be a number of seconds, {least} and at most {_MAX_SECONDS:g}"
