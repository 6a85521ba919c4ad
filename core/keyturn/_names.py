"""Suggestions for misspelt names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, similarity: float = 0.6) -> str:
    """Return a question after the known name nearest to `name`, or an empty string.

    Args:
        name: The name as it was written.
        known: The names that exist.
        similarity: How similar it must be, from 0 to 1 (`difflib.SequenceMatcher.ratio`).
    """
    import difflib

    spelt = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), spelt, n=1, cutoff=similarity)
    return f" Did you mean {spelt[near[0]]}?" if near else ""
