"""The hook for Airflow, in its own environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.timeout(1000)
def test_airflow_runs_with_the_hook(adapter_tests: Callable[..., None]) -> None:
    """A run would fail after a revocation, or Airflow would store or show its secret."""
    adapter_tests("airflow", seconds=900)
