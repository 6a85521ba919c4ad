"""Forks with billiard during a token request; prints each child's token."""

from __future__ import annotations

import application
import billiard


def ask(_: int) -> str:
    """Return the process and its token."""
    (body,) = application.application({}, lambda *_: None)
    return body.decode()


with billiard.Pool(2) as pool:
    print(*pool.map(ask, range(4)), sep="\n")
