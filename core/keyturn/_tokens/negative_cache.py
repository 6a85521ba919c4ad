"""Refusals that can't change by themselves, remembered so that a wrong secret does not hammer."""

from __future__ import annotations

import json
from typing import Any

from keyturn import errors

MEMORY = 30.0
"""Seconds for which a refusal is remembered."""
_KINDS: dict[str, type[errors.TokenRequestRefused]] = {
    kind.__name__: kind
    for kind in (errors.InvalidClient, errors.InvalidScope, errors.TokenRequestRefused)
}
_REMEMBERED_HINT = "(This was answered a moment ago; it is asked again in {:.0f} s.)"


def to_entry(error: errors.TokenRequestRefused, now: float) -> str:
    """Return the store's entry that remembers `error` from `now` (epoch seconds) on."""
    fields = {name: getattr(error, name) for name in ("message", "error", "status", "hint")}
    return json.dumps({"kind": type(error).__name__, "until": now + MEMORY, **fields})


def from_entry(entry: str | None, now: float) -> errors.TokenRequestRefused | None:
    """Return the error that an entry remembers, or None when it is over or can't be read."""
    try:
        fields: dict[str, Any] = json.loads(entry or "null")
        left = float(fields["until"]) - now
        error = _KINDS[fields["kind"]](
            str(fields["message"]),
            error=str(fields["error"]),
            status=int(fields["status"]),
            hint=f"{fields['hint']} {_REMEMBERED_HINT.format(left)}",
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return error if 0 < left <= MEMORY else None
