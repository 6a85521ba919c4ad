"""What each process of a parallel run reports of its tests to the main process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from _pytest.runner import runtestprotocol

if TYPE_CHECKING:
    import pytest


class FewerReports:
    """A plugin of these processes: it sends one report for a test that passes.

    pytest-xdist would send the start, the end and three reports of each test, which takes longer
    than most tests.
    """

    @staticmethod
    def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run a test; report its result, and a setup or teardown that did not pass."""
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            if report.when == "call" or not report.passed:
                item.ihook.pytest_runtest_logreport(report=report)
        return True
