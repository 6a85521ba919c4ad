"""The table, the chart and the page that are written from a run's results."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from bench import page, table
from bench.chart import Panel, draw
from bench.environments import libraries
from bench.figures import Figure
from bench.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from bench.run import Results

MACHINE = {
    "cpus": 2,
    "processor": "a made-up one",
    "python": "3.11.0",
    "system": "Linux",
    "mode": "quick",
    "versions": {"keyturn": "0.1.0"},
}


def once(**figures: float) -> dict[str, Figure]:
    """Return figures of one run."""
    return {name: Figure(value, value, value, 1) for name, value in figures.items()}


def results() -> Results:
    """Return results in which keyturn misses one requirement."""
    return {
        "hit": {"keyturn": once(ratio=1.2), "authlib": once(ratio=6.0)},
        "request": {"keyturn": once(ratio=1.05), "authlib": once(ratio=1.5)},
        "load": {
            "keyturn": once(token_requests=4, p99=0.004),
            "authlib": once(token_requests=1200, p99=0.2),
            "floor": once(token_requests=1, p99=0.002),
        },
        "many": {"keyturn": once(clients=100_000, bytes_each=2048.0)},
        "minute": {"keyturn": once(p50=0.001), "floor": once(p50=0.0005)},
    }


def cells() -> dict[str, dict[str, str]]:
    """Return the table by line and column."""
    head, *body = table.main_table(results(), libraries())
    lines = [line for line in table.LINES if line.row in results()]
    return {
        f"{line.row} {line.figure}": dict(zip(head, row, strict=True))
        for line, row in zip(lines, body, strict=True)
    }


def test_the_table_tells_what_is_met() -> None:
    """A requirement that is missed would go unnoticed."""
    found = cells()

    assert found["hit ratio"]["met"] == "yes"
    assert found["request ratio"]["met"] == "**no**"
    assert found["request ratio"]["keyturn"] == "5.00 %"
    assert found["load token_requests"]["authlib"] == "1200"
    assert found["hit ratio"]["msal"] == table.EMPTY
    missed = table.missed(results())
    assert len(missed) == 1
    assert missed[0].startswith("added to a request, against a static header (request): 5.00 %")


def test_latency_under_load_is_told_against_the_static_header() -> None:
    """A slow machine would make every library look slow."""
    assert cells()["load p99"]["keyturn"].startswith("2.00")
    assert cells()["load p99"]["authlib"].startswith("100")


def test_a_library_that_can_not_is_told_apart_from_one_that_was_forgotten() -> None:
    """A dash without its reason looks like a mistake."""
    reasons = table.reasons(libraries())

    assert "msal is synchronous" in reasons


def test_the_chart_is_one_bar_for_each_library() -> None:
    """A broken picture, or one in which a library is missing, misleads."""
    panel = Panel("p", [("keyturn", 1, "1"), ("b", 9, "9")], 2)
    root = ET.fromstring(draw("t < u", "note", [panel]))  # noqa: S314 - our own
    bars = [each for each in root.iter() if "bar" in each.get("class", "").split()]

    assert [bar.get("class") for bar in bars] == ["bar ours", "bar"]
    assert float(bars[0].get("width", "0")) < float(bars[1].get("width", "0"))


def test_a_run_is_written_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that differs from the results in the repository can't be trusted."""
    for name in ("RESULTS", "PAGE", "CHART"):
        monkeypatch.setattr(page, name, tmp_path / name)

    page.write(MACHINE, results())

    assert page.read(tmp_path / "RESULTS") == (MACHINE, results())
    assert "100,000 connections" in (tmp_path / "PAGE").read_text(encoding="utf-8")
    ET.fromstring((tmp_path / "CHART").read_text(encoding="utf-8"))  # noqa: S314 - our own


def test_the_page_in_the_repository_is_that_of_its_results() -> None:
    """A figure edited by hand, or left from an older run, would pass for a measured one."""
    machine, measured = page.read()

    assert page.PAGE.read_text(encoding="utf-8") == page.page(machine, measured)
    assert page.CHART.read_text(encoding="utf-8") == page.chart(measured)
    assert json.loads(page.RESULTS.read_text(encoding="utf-8"))["machine"] == machine


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere() -> None:
    """A log full of control characters can't be read, nor a run that tells nothing be trusted."""
    told: list[Any] = []
    for stream in (Terminal(), io.StringIO()):
        progress = Progress(2, stream)
        progress.step("one")
        progress.step("two")
        progress.finish()
        told.append(stream.getvalue())

    assert "#" * 30 in told[0]
    assert "\x1b" not in told[1]
    assert [line.split()[0] for line in told[1].splitlines()] == ["0/2", "1/2", "2/2"]
