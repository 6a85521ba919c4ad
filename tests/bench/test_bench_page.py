"""The table, the chart and the page that are generated from the results of a run."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from bench import page, table
from bench.catalogue import ROWS
from bench.chart import Panel, draw
from bench.environments import libraries
from bench.figures import Figure
from bench.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from bench.figures import Results

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
    """Return results in which keyturn misses one goal."""
    return {
        "hit": {"keyturn": once(ratio=1.2), "authlib": once(ratio=6.0)},
        "request_orocommerce": {"keyturn": once(ratio=1.08, added=5e-6, least_ratio=1.038)},
        "load": {
            "keyturn": once(token_requests=4, p99=0.004),
            "authlib": once(token_requests=1200, p99=0.2),
            "floor": once(token_requests=1, p99=0.002),
        },
        "many": {"keyturn": once(bytes_each=2048.0)},
    }


def cells() -> dict[str, dict[str, str]]:
    """Return the cells of the table by line and column."""
    rows = table.measured(results())
    head, *body = table.main_table(results(), libraries(), rows)
    lines = [f"{row.name} {line.figure}" for row in rows for line in row.lines]
    return {
        line: dict(zip(head, cells, strict=True)) for line, cells in zip(lines, body, strict=True)
    }


def test_the_table_shows_which_goals_are_met() -> None:
    """A missed goal would not be shown."""
    found = cells()

    assert found["hit ratio"]["met"] == "yes"
    assert found["hit ratio"]["msal"] == table.EMPTY
    assert found["load token_requests"]["authlib"] == "1200"
    assert found["many bytes_each"]["keyturn"] == "2.00 KiB"
    assert found["many bytes_each"]["met"] == ""


def test_a_missed_goal_is_shown_with_the_lowest_possible_value() -> None:
    """A reader could not distinguish slow code from an unreachable goal."""
    found = cells()["request_orocommerce ratio"]

    assert found["met"] == "**no**"
    assert found["keyturn"] == "8.00 % (5.0 µs)"
    assert found["goal"] == "≤ 6 % (least possible: 3.80 %)"
    missed = table.missed(results())
    assert len(missed) == 1
    assert "(request_orocommerce): 8.00 %, goal ≤ 6 % (least possible: 3.80 %)" in missed[0]


def test_a_row_without_figures_is_shown_as_not_measured() -> None:
    """A goal that was never measured would seem to be met."""
    rows = [row for row in ROWS if row.name == "first_token"]
    _, *body = table.main_table(results(), libraries(), rows)

    assert all(line[2:4] == [table.EMPTY, "not measured"] for line in body)


def test_latency_under_load_is_relative_to_the_static_header() -> None:
    """A slow machine would make every library look slow."""
    assert cells()["load p99"]["keyturn"].startswith("2.00")
    assert cells()["load p99"]["authlib"].startswith("100")


def test_every_row_names_what_it_does_not_cover() -> None:
    """A reader would apply a figure to cases that it does not cover."""
    _, *body = table.not_covered(ROWS)
    named = {name for names, _ in body for name in names.split(", ")}

    assert named == {row.name for row in ROWS}


def test_an_unsupported_library_is_distinguished_from_a_missing_figure() -> None:
    """A dash would be shown without its reason."""
    assert "msal is synchronous" in table.reasons(libraries())


def test_the_chart_has_one_bar_for_each_library() -> None:
    """The chart would be invalid, or a library would be missing in it."""
    panel = Panel("p", [("keyturn", 1, "1"), ("b", 9, "9")], 2)
    root = ET.fromstring(draw("t < u", "note", [panel]))  # noqa: S314 - made by keyturn
    bars = [each for each in root.iter() if "bar" in each.get("class", "").split()]

    assert [bar.get("class") for bar in bars] == ["bar ours", "bar"]
    assert float(bars[0].get("width", "0")) < float(bars[1].get("width", "0"))


def test_the_chart_shows_met_and_missed_goals() -> None:
    """The chart would omit missed goals."""
    _, measured = page.read()
    drawn = page.chart(measured)
    goals = [line for row in ROWS for line in row.lines if line.goal is not None]
    missed = table.missed(measured)

    assert len(re.findall("· (?:met|not met|not measured)<", drawn)) == len(goals)
    assert drawn.count("· not met<") == len(missed)
    assert drawn.count('class="over"') == len(missed)


def test_the_chart_says_what_each_goal_is_about() -> None:
    """A goal would stand below another subject, if the line that names its own has no goal."""
    drawn = re.sub(r"</text>\s*<text[^>]*>", " ", page.chart(page.read()[1])).replace("&#x27;", "'")

    for row in ROWS:
        title = row.lines[0].title.replace("`", "")
        if any(line.goal is not None for line in row.lines) and not title.startswith("…"):
            assert title.partition(":")[0] in drawn, row.name


def test_a_run_is_written_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page would differ from the results in the repository."""
    for name in ("RESULTS", "PAGE", "CHART"):
        monkeypatch.setattr(page, name, tmp_path / name)

    page.write(MACHINE, results())

    assert page.read(tmp_path / "RESULTS") == (MACHINE, results())
    assert "2.00 KiB" in (tmp_path / "PAGE").read_text(encoding="utf-8")
    ET.fromstring((tmp_path / "CHART").read_text(encoding="utf-8"))  # noqa: S314 - made by keyturn


def test_rows_of_a_later_run_replace_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measuring one row again would need a full run, or the new figures would be lost."""
    for name in ("RESULTS", "PAGE", "CHART"):
        monkeypatch.setattr(page, name, tmp_path / name)
    page.write(MACHINE, results())
    later = {"hit": {"keyturn": {"ratio": Figure(9.25, 9.0, 9.5, 3)}}}

    page.update(MACHINE, later)

    machine, written = page.read(tmp_path / "RESULTS")
    assert machine == MACHINE | {"updated": ["hit"]}
    assert written == results() | {"hit": results()["hit"] | later["hit"]}
    assert "Rows of a later run on such a machine: hit." in (tmp_path / "PAGE").read_text("utf-8")
    with pytest.raises(ValueError, match="differ in processor, mode"):
        page.update(MACHINE | {"processor": "another", "mode": "full"}, later)


def test_the_page_in_the_repository_matches_the_results() -> None:
    """A manually edited or outdated figure would be shown as measured."""
    machine, measured = page.read()

    assert page.PAGE.read_text(encoding="utf-8") == page.page(machine, measured)
    assert page.CHART.read_text(encoding="utf-8") == page.chart(measured)
    assert json.loads(page.RESULTS.read_text(encoding="utf-8"))["machine"] == machine
    assert set(measured) <= {row.name for row in ROWS}


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere() -> None:
    """A log would be full of control characters, or a run without output seem stuck."""
    outputs: list[str] = []
    for stream in (Terminal(), io.StringIO()):
        progress = Progress(2, stream)
        progress.step("one")
        progress.step("two")
        progress.finish()
        outputs.append(stream.getvalue())

    assert "#" * 30 in outputs[0]
    assert "\x1b" not in outputs[1]
    assert [line.split()[0] for line in outputs[1].splitlines()] == ["0/2", "1/2", "2/2"]
