"""The sample of the large sweeps that `make test` runs; all other commands run every row.

A sweep is a test with many rows of the same kinds, such as all broken providers. It has the marker
`sweep`, which may name the kind of a row: of each kind, the first of four rows is in the sample.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import hypothesis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

ONE_IN = 4


def one_kind(_: Any) -> str:
    """Return the same kind for each row."""
    return ""


def sampled(rows: Iterable[Any], kind: Callable[[Any], object]) -> list[Any]:
    """Return the first one of every four rows of each kind, in their order."""
    numbers: Counter[object] = Counter()
    found = []
    for row in rows:
        if numbers[kind(row)] % ONE_IN == 0:
            found.append(row)
        numbers[kind(row)] += 1
    return found


def use_fewer_examples() -> None:
    """Let hypothesis draw fewer examples, unless a test sets their number."""
    hypothesis.settings.register_profile("sample", deadline=None, max_examples=10)
    hypothesis.settings.load_profile("sample")


def keep_sample(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remove the rows of sweeps that are not in the sample."""

    def place(item: Any) -> tuple[str, object]:
        of_row = item.get_closest_marker("sweep").kwargs.get("kind", one_kind)
        return item.parent.nodeid + item.originalname, of_row(item.callspec.params)

    swept = [item for item in items if item.get_closest_marker("sweep")]
    left_out = set(swept) - set(sampled(swept, place))
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]
