"""The lifetime of a token, in any of the forms in which servers send it."""

from __future__ import annotations

import base64
import functools
import re
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._common.once import library
from keyturn._common.zones import zone_of
from keyturn._http.response import date_header, http_date, json_of
from keyturn._token import MAX_LIFETIME

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from keyturn._http.response import Response

# The unit in seconds, whether it counts from now, and what is wanted.
_LIFETIMES: dict[str, tuple[float, bool, str]] = {
    "seconds": (1.0, True, "a number of seconds above 0"),
    "decimal": (1.0, True, "a number of seconds above 0"),
    "milliseconds": (1e-3, True, "a number of milliseconds above 0"),
    "minutes": (60.0, True, "a number of minutes above 0"),
    "epoch": (1.0, False, "a future time in epoch seconds"),
    "epoch_milliseconds": (1e-3, False, "a future time in epoch milliseconds"),
    "date": (1.0, False, "a future time as a date of RFC 3339"),
    "jwt": (1.0, False, "a JWT with a future time as its exp"),
    "duration": (1.0, True, "a duration such as 1h, 1d12h or PT1H"),
    "hh:mm": (1.0, True, "hours and minutes such as 01:30"),
    "hh:mm:ss": (1.0, True, "hours, minutes and seconds such as 01:30:00"),
    "d:hh:mm": (1.0, True, "days, hours and minutes such as 1:01:30"),
    "d:hh:mm:ss": (1.0, True, "days, hours, minutes and seconds such as 1:01:30:00"),
    "http_date": (1.0, False, "a future time as a date of HTTP (RFC 9110 section 5.6.7)"),
}
_JWT_PARTS = 3
_DIGITS = r"[0-9]{1,9}"
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_UNITS = {
    "w": "weeks?|w",
    "d": "days?|d",
    "h": "hours?|hrs?|h",
    "m": "minutes?|mins?|m",
    "s": "seconds?|secs?|s",
}
_DURATION_PATTERN = " *".join(
    rf"(?:(?P<{name}>{_DIGITS}(?:\.[0-9]{{1,9}})?) ?(?:{words}))?" for name, words in _UNITS.items()
)
# ISO 8601; years and months are left out: they have no fixed length.
_ISO_PATTERN = (
    rf"P(?:(?P<w>{_DIGITS})W)?(?:(?P<d>{_DIGITS})D)?"
    rf"(?:T(?:(?P<h>{_DIGITS})H)?(?:(?P<m>{_DIGITS})M)?(?:(?P<s>{_DIGITS}(?:\.[0-9]{{1,9}})?)S)?)?"
)
_CLOCK_PATTERNS = {
    "hh:mm": rf"(?P<h>{_DIGITS}):(?P<m>[0-5]?[0-9])",
    "hh:mm:ss": (
        rf"(?:(?P<d>{_DIGITS})\.)?(?P<h>{_DIGITS}):(?P<m>[0-5]?[0-9]):"
        r"(?P<s>[0-5]?[0-9](?:\.[0-9]{1,9})?)"
    ),
    "d:hh:mm": rf"(?P<d>{_DIGITS}):(?P<h>[01]?[0-9]|2[0-3]):(?P<m>[0-5]?[0-9])",
    "d:hh:mm:ss": (
        rf"(?P<d>{_DIGITS}):(?P<h>[01]?[0-9]|2[0-3]):(?P<m>[0-5]?[0-9]):(?P<s>[0-5]?[0-9])"
    ),
}
# A longer string is neither a duration nor a date.
_LONGEST = 80


def lifetime_of(
    value: Any,
    form: str,
    name: str,
    response: Response,
    missing_lifetime: float | None,
    *,
    zone: str = "UTC",
) -> float:
    """Return the seconds for which a token lives from when its request was sent.

    Args:
        value: What the response has as the lifetime, or None.
        form: Its format.
        name: Its name in an error.
        response: The response.
        missing_lifetime: Seconds to assume when there is none; None refuses the response.
        zone: The time zone of a date that names none.

    Raises:
        keyturn.errors.InvalidTokenResponse: It is missing, or is not what it must be.
    """
    number = None if value is None else _number(value, form, zone)
    is_missing = value is None or (form == "jwt" and number is None)
    if is_missing and missing_lifetime is not None:
        return min(missing_lifetime, MAX_LIFETIME)
    unit, is_relative, wanted = _LIFETIMES.get(form) or (1.0, False, f"a future time as {form}")
    if number is not None:
        # A time of the server's is measured by the server's clock, if the response has its time.
        seconds = number * unit - (0.0 if is_relative else date_header(response))
        # A longer life is likely a time that is read in the wrong format.
        is_usual = seconds < MAX_LIFETIME or not _as_epoch(number, form, response)
        if 0 < seconds < float("inf") and is_usual:
            return min(seconds, MAX_LIFETIME)
    raise errors.InvalidTokenResponse(
        f"the response's {name} is {'missing' if value is None else f'not {wanted}'}.",
        hint=_HINTS[value is None]
        + (_as_epoch(number, form, response) or _other_format(value, form)),
    )


# By whether there is no lifetime.
_HINTS = (
    (
        "Set lifetime_format to what this server sends, or lifetime_field to where the lifetime "
        'is; with lifetime_field "", missing_lifetime counts.'
    ),
    (
        "Set missing_lifetime to the seconds that a token of this server lives, or lifetime_field "
        "or lifetime_header to where the response has them."
    ),
)


def _as_epoch(number: float | None, form: str, response: Response) -> str:
    """Return a hint at another format in which a number is a time near now, if there is one."""
    now = date_header(response)
    for other, unit in (("epoch", 1.0), ("epoch_milliseconds", 1e-3)):
        near = number is not None and form in _PLAIN and abs(number * unit - now) < MAX_LIFETIME
        if near and other != form:
            return f' (It is a time near now with lifetime_format "{other}".)'
    return ""


def _other_format(value: Any, form: str) -> str:
    """Return a hint at the formats of a string that does not have the expected one."""
    if not isinstance(value, str) or _number(value, form) is not None:
        return ""
    fits = [each for each in _LIFETIMES if _number(value, each) is not None]
    if fits == ["decimal"]:
        return ' (lifetime_format "decimal" takes a string with a decimal point.)'
    names = " or ".join(f'"{each}"' for each in fits)
    return f" (It has the form of lifetime_format {names}.)" if fits else ""


def _number(value: Any, form: str, zone: str = "UTC") -> float | None:
    """Return the number that a value means in a format, or None."""
    if form not in _PLAIN:
        read = _READERS.get(form) or functools.partial(_date, form=form, zone=zone)
        is_readable = isinstance(value, str) and (form == "jwt" or len(value) <= _LONGEST)
        return read(value) if is_readable else None
    pattern = r"[0-9]{1,18}(?:\.[0-9]{1,18})?" if form == "decimal" else r"[0-9]{1,18}"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_digits = isinstance(value, str) and re.fullmatch(pattern, value)
    return float(value) if is_number or is_digits else None


def _date(value: str, form: str, zone: str) -> float | None:
    moments = library("datetime").datetime  # only platforms that send a date need it
    try:
        if form == "date":
            return _epoch(moments.fromisoformat(value), zone)
        return _epoch(moments.strptime(value, form), zone)
    except (ValueError, OverflowError):
        return None


def _epoch(moment: dt.datetime, zone: str) -> float:
    """Return a time in epoch seconds; one without an offset is in the time zone."""
    offset = (moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone))).utcoffset()
    seconds: float = library("calendar").timegm(moment.timetuple()) + moment.microsecond / 1e6
    return seconds - (offset.total_seconds() if offset else 0.0)


def _jwt(value: str) -> float | None:
    """Return the `exp` of a JWT (RFC 7519 section 4.1.4), without a check of its signature."""
    parts = value.split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        claims = json_of(base64.b64decode(parts[1] + "==", altchars=b"-_"))
    except ValueError:
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    return _number(end, "epoch")


def duration(value: str) -> float | None:
    """Return the seconds of a duration such as `1h`, `1d 12h`, `90 minutes` or `PT1H`, or None."""
    return _added(_DURATION_PATTERN, value) or _added(_ISO_PATTERN, value)


def _added(pattern: str, value: str) -> float | None:
    match = re.fullmatch(pattern, value.strip(" "), re.IGNORECASE)
    if match is None:
        return None
    return sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict("0").items())


_PLAIN = frozenset({"seconds", "decimal", "milliseconds", "minutes", "epoch", "epoch_milliseconds"})
_READERS: dict[str, Callable[[str], float | None]] = {
    "jwt": _jwt,
    "duration": duration,
    "http_date": http_date,
    **{form: functools.partial(_added, pattern) for form, pattern in _CLOCK_PATTERNS.items()},
}
