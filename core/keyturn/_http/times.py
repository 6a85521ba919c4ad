"""The time as a value of a request."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import attrs

from keyturn._common.names import shown
from keyturn._common.once import library
from keyturn._common.zones import zone_of
from keyturn._http.values import DynamicValue

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from keyturn._secret import Secret

TIME_FORMATS = ("epoch", "epoch_milliseconds", "http_date", "rfc3339", "rfc3339_milliseconds")
# Numbers only: names are in the language of the process.
_PATTERN = r"(?=[\s\S]*%[A-Za-z])(?:[\x20-\x24\x26-\x7e]|%[YymdjHIMSfz%])+"


def time_problem(form: str) -> str | None:
    """Return the mistake in the format of a time, or None."""
    if form in TIME_FORMATS or re.fullmatch(_PATTERN, form):
        return None
    return (
        f"must be one of {', '.join(TIME_FORMATS)}, or a pattern such as %Y-%m-%dT%H:%M:%SZ, of "
        "%Y %y %m %d %j %H %I %M %S %f %z"
    )


@attrs.frozen(repr=False)
class Time(DynamicValue):
    """The time at which a request is sent, with an optional offset.

    Args:
        form: One of `TIME_FORMATS`, or a pattern of `strftime`.
        offset: Seconds after the request's time; before it if negative.
        zone: The name of the time zone, for formats that are not numbers.
    """

    form: str
    offset: float = 0.0
    zone: str = "UTC"

    __repr__ = shown

    def value(self, now: float) -> str:
        end = now + self.offset
        if self.form.startswith("epoch"):
            return str(int(end * (1000 if self.form == "epoch_milliseconds" else 1)))
        if self.form == "http_date":
            # RFC 9110 section 5.6.7; unlike those of strftime, these names are always English.
            day, month, date, clock, year = time.asctime(time.gmtime(end)).split()
            return f"{day}, {int(date):02} {month} {year} {clock} GMT"
        moment: datetime = library("datetime").datetime.fromtimestamp(end, zone_of(self.zone))
        if self.form.startswith("rfc3339"):
            precision = "milliseconds" if self.form.endswith("milliseconds") else "seconds"
            return moment.isoformat(timespec=precision).replace("+00:00", "Z")
        return moment.strftime(self.form)

    def inputs(self) -> Iterable[str | Secret]:
        return (self.form, str(self.offset), self.zone)
