"""Error responses that do not change by themselves are cached, so that they are not repeated."""

from __future__ import annotations

import json
from typing import Any

from keyturn import errors

VERSION = 1
"""The format of an entry; one of another format is a miss."""
SECONDS = 30.0
"""Seconds for which an error response is cached."""
_KINDS: dict[str, type[errors.TokenRequestRefused]] = {
    kind.__name__: kind
    for kind in (errors.InvalidClient, errors.InvalidScope, errors.TokenRequestRefused)
}
_CACHED_HINT = "(This response was cached; keyturn asks again in {:.0f} s.)"


def to_entry(error: errors.TokenRequestRefused, now: float) -> str:
    """Return the store's entry that keeps `error` from `now` (epoch seconds) on."""
    fields = {name: getattr(error, name) for name in ("message", "error", "status", "hint")}
    return json.dumps(
        {"v": VERSION, "kind": type(error).__name__, "until": now + SECONDS, **fields}
    )


def from_entry(entry: str | None, now: float) -> errors.TokenRequestRefused | None:
    """Return the error that an entry keeps, or None when it is too old or can't be read."""
    if entry is None:
        return None
    try:
        fields: dict[str, Any] = json.loads(entry)
        if fields["v"] != VERSION:
            return None
        left = float(fields["until"]) - now
        error = _KINDS[fields["kind"]](
            str(fields["message"]),
            error=str(fields["error"]),
            status=int(fields["status"]),
            hint=f"{fields['hint']} {_CACHED_HINT.format(left)}",
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return error if 0 < left <= SECONDS else None
