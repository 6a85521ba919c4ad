"""A parallel run reports each result, though it leaves out reports that say nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.reports import FewerReports

if TYPE_CHECKING:
    import pytest


def test_only_a_passed_setup_or_teardown_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure would not be shown, or `make test` would take longer."""
    phases = [(when, passed) for when in ("setup", "call", "teardown") for passed in (True, False)]
    reports = [SimpleNamespace(when=when, passed=passed) for when, passed in phases]
    sent: list[Any] = []
    item: Any = SimpleNamespace(
        ihook=SimpleNamespace(pytest_runtest_logreport=lambda *, report: sent.append(report))
    )
    monkeypatch.setattr("tests.reports.runtestprotocol", lambda *_, **__: reports)

    assert FewerReports.pytest_runtest_protocol(item, None)
    assert sent == [
        each
        for each in reports
        if (each.when, each.passed) not in {("setup", True), ("teardown", True)}
    ]
