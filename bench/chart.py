"""The chart: a few lines of the table with all libraries, then each goal with keyturn's figure.

It is as wide as a phone's screen, so its words keep their size there.
"""

from __future__ import annotations

import math
import textwrap
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
text.title { font-size: 17px; font-weight: 600; }
text.panel, text.missed { font-weight: 600; }
text.missed { fill: #b35900; }
text.small { font-size: 12px; fill: #59636e; }
.page { fill: #ffffff; } .bar { fill: #b6bec7; } .ours { fill: #2f81d7; } .over { fill: #e16f24; }
.limit { stroke: #1a7f37; stroke-width: 1.5; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } text.small { fill: #9198a1; } text.missed { fill: #f0883e; }
  .page { fill: #0d1117; } .bar { fill: #57606a; } .ours { fill: #388bfd; } .over { fill: #db6d28; }
  .limit { stroke: #3fb950; }
}
""".strip()
_NAMESPACE = "http://www.w3.org/2000/svg"
_WIDTH, _MARGIN, _NAMES, _VALUES = 400, 12, 152, 56
_ROW, _BAR = 22, 14
_LINE, _CHARACTERS = 17, 51
# The position of the goal in the width of a bar.
_GOAL = 0.5


class Panel(NamedTuple):
    """One line of the table.

    Args:
        title: What is measured.
        bars: Each library's name, its value, and the value as shown; the first is keyturn's.
        limit: keyturn's goal, or None.
    """

    title: str
    bars: Sequence[tuple[str, float, str]]
    limit: float | None = None


class Goal(NamedTuple):
    """One line of the table that has a goal.

    Args:
        title: What is measured.
        shown: keyturn's figure and the goal, for people.
        part: The figure as a part of the goal; None where there is no figure, or the goal is 0.
        met: Whether the goal is met; None if it was not measured.
    """

    title: str
    shown: str
    part: float | None
    met: bool | None


def draw(title: str, note: str, panels: Sequence[Panel], goals: Sequence[Goal] = ()) -> str:
    """Return the chart as SVG; lengths of the panels' bars are logarithmic."""
    top, elements = 16.0, [_text(_MARGIN, 34, title, "title")]
    for line in textwrap.wrap(note, _CHARACTERS):
        elements.append(_text(_MARGIN, top + 38, line, "small"))
        top += _LINE
    top += 38
    for panel in panels:
        drawn, top = _draw_panel(panel, top)
        elements += drawn
    if goals:
        drawn, top = _draw_goals(goals, top + 20)
        elements += drawn
    height = math.ceil(top + _MARGIN)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="{_NAMESPACE}" {size} role="img" aria-label="{escape(title)}">',
            f"<style>\n{STYLE}\n</style>",
            f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
            *elements,
            "</svg>",
            "",
        ]
    )


def _draw_panel(panel: Panel, top: float) -> tuple[list[str], float]:
    """Return a panel's elements, and the position of its end."""
    left, room = _MARGIN + _NAMES, _WIDTH - 2 * _MARGIN - _NAMES - _VALUES
    most = max(value for _, value, _ in panel.bars)

    def length(value: float) -> float:
        return room * math.log1p(max(value, 0.0)) / math.log1p(max(most, panel.limit or 0, 1))

    def label(value: float) -> float:
        """Return the position of the figure: after the bar, and not on the goal's line."""
        end, goal = left + length(value) + 6, left + length(panel.limit or 0.0)
        return goal + 6 if panel.limit is not None and end - 6 <= goal <= end + 24 else end

    elements, top = _wrapped(panel.title, "panel", top)
    for number, (name, value, shown) in enumerate(panel.bars):
        y = top + 4 + _ROW * number
        kind = "bar" if number else "bar ours"
        elements += [
            _text(left - 8, y + 12, name, anchor="end"),
            _bar(left, y, max(1.0, length(value)), kind),
            _text(label(value), y + 12, shown, "small"),
        ]
    end = top + _ROW * len(panel.bars)
    if panel.limit is not None:
        elements.append(_limit(left + length(panel.limit), top, end))
    return elements, end + 16


def _draw_goals(goals: Sequence[Goal], top: float) -> tuple[list[str], float]:
    """Return a bar for each goal, with the figure as a part of it, and the position of the end."""
    elements, top = _wrapped("keyturn and each of its goals", "title", top)
    room = _WIDTH - 2 * _MARGIN
    for goal in goals:
        lines, top = _wrapped(goal.title, "", top + 6)
        elements += lines
        words = {True: "met", False: "not met", None: "not measured"}[goal.met]
        kind = "missed" if goal.met is False else "small"
        elements.append(_text(_MARGIN, top + 10, f"{goal.shown} · {words}".strip(" ·"), kind))
        top += 16
        if goal.part is not None:
            width = min(max(goal.part, 0.005) * _GOAL, 1.0) * room
            elements.append(_bar(_MARGIN, top, width, "ours" if goal.met else "over", 8))
            elements.append(_limit(_MARGIN + _GOAL * room, top - 3, top + 11))
            top += 12
    return elements, top


def _wrapped(text: str, kind: str, top: float) -> tuple[list[str], float]:
    lines = textwrap.wrap(text, _CHARACTERS)
    drawn = [_text(_MARGIN, top + 13 + _LINE * n, line, kind) for n, line in enumerate(lines)]
    return drawn, top + _LINE * len(lines) + 2


def _bar(x: float, y: float, width: float, kind: str, height: int = _BAR) -> str:
    size = f'width="{width:.1f}" height="{height}"'
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" {size} rx="2"/>'


def _limit(x: float, top: float, bottom: float) -> str:
    return f'<path class="limit" d="M{x:.1f},{top:g} V{bottom:g}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'
