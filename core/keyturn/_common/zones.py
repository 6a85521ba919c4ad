"""Time zones by their names."""

from __future__ import annotations

from keyturn._common.once import library

TYPE_CHECKING = False

if TYPE_CHECKING:
    import datetime as dt


def timezone_problem(name: str) -> str | None:
    """Return the mistake in the name of a time zone, or None."""
    try:
        zone_of(name)
    except (KeyError, ValueError, OSError):
        return "must be a time zone that this system knows, such as UTC or Europe/Berlin"
    return None


def zone_of(name: str) -> dt.tzinfo:
    """Return a time zone by its name."""
    found: dt.tzinfo = (
        library("datetime").UTC if name == "UTC" else library("zoneinfo").ZoneInfo(name)
    )
    return found
