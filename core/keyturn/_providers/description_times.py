"""Dates and time zones in the syntax of other tools, and what to write instead."""

from __future__ import annotations

import re

# The parts of dates in other languages; a minute follows a colon.
_DATE_PARTS = {
    "yyyy": "%Y",
    "yy": "%y",
    "mm": "%m",
    "dd": "%d",
    "hh": "%H",
    ":mm": ":%M",
    "ss": "%S",
    "sss": "%f",
}


# Names of time zones that are not in the database, and of `strptime`'s own directives.
_ZONES = {
    "KST": "Asia/Seoul",
    "JST": "Asia/Tokyo",
    "WIB": "Asia/Jakarta",
    "SGT": "Asia/Singapore",
    "HKT": "Asia/Hong_Kong",
    "EAT": "Africa/Nairobi",
    "BRT": "America/Sao_Paulo",
    **dict.fromkeys(("CET", "CEST", "MEZ", "MESZ"), "Europe/Berlin"),
    **dict.fromkeys(("EST", "EDT", "ET"), "America/New_York"),
    **dict.fromkeys(("PST", "PDT", "PT"), "America/Los_Angeles"),
}
_DIRECTIVES = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y", "%e": "%d"}


def zone(name: str) -> str:
    """Return the time zone of a city, an abbreviation or an offset; UTC for others."""
    import zoneinfo

    if offset := re.fullmatch(r"(?i)(?:UTC|GMT)?([+-])0?([0-9]{1,2})(?::?00)?", name.strip()):
        # The names of POSIX have the opposite sign.
        return f"Etc/GMT{'-' if offset[1] == '+' else '+'}{offset[2]}"
    zones = sorted(zoneinfo.available_timezones())
    last = _plain(name)
    found = (each for each in zones if _plain(each) == last)
    return _ZONES.get(name.strip().upper()) or next(found, "UTC")


def date_pattern(value: str) -> str:
    """Return a pattern of `strptime` for one such as `YYYY-MM-DD HH:mm`, or an empty string."""
    if re.search("|".join(_DIRECTIVES), value):
        return re.sub("%.", lambda found: _DIRECTIVES.get(found[0], found[0]), value)
    if not re.search("(?i)yyyy.*mm.*dd|dd.*mm.*yyyy", value):
        return ""
    made = re.sub(r"['\[\]]", "", value)
    made = re.sub(r"(?i)(?<=hh)([^a-z]?)mm", r"\1%M", made)
    parts = "(?i)yyyy|yy|:mm|mm|dd|hh|sss|ss"
    return re.sub(parts, lambda found: _DATE_PARTS[found[0].lower()], made)


def _plain(zone: str) -> str:
    """Return the city of a time zone, in lower case and without separators."""
    return re.sub(r"[^a-z]+", "", zone.rpartition("/")[2].lower())
