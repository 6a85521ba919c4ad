"""The block for Prefect, in its own environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.timeout(600)
def test_prefect_runs_with_the_block(adapter_tests: Callable[..., None]) -> None:
    """A run would fail after a revocation, or Prefect would store or show its secret."""
    adapter_tests("prefect", seconds=500)
