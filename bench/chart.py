"""The chart of a few lines of the table: one panel each, one bar for each library."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
text.title { font-size: 17px; font-weight: 600; }
text.panel { font-weight: 600; }
text.small { font-size: 12px; fill: #59636e; }
.page { fill: #ffffff; } .bar { fill: #b6bec7; } .ours { fill: #2f81d7; }
.limit { stroke: #1a7f37; stroke-width: 1.5; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } text.small { fill: #9198a1; }
  .page { fill: #0d1117; } .bar { fill: #57606a; } .ours { fill: #388bfd; }
  .limit { stroke: #3fb950; }
}
""".strip()
_NAMESPACE = "http://www.w3.org/2000/svg"
_WIDTH, _MARGIN, _NAMES, _VALUES = 760, 24, 176, 70
_ROW, _BAR = 22, 14


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

    @property
    def height(self) -> int:
        """Its height in the picture."""
        return 44 + _ROW * len(self.bars)


def draw(title: str, note: str, panels: Sequence[Panel]) -> str:
    """Return the chart as SVG; lengths are logarithmic."""
    height = 76 + sum(panel.height for panel in panels)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    elements = [
        f'<svg xmlns="{_NAMESPACE}" {size} role="img" aria-label="{escape(title)}">',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        _text(_MARGIN, 34, title, "title"),
        _text(_MARGIN, 54, note, "small"),
    ]
    top = 70
    for panel in panels:
        elements += _draw_panel(panel, top)
        top += panel.height
    return "\n".join([*elements, "</svg>", ""])


def _draw_panel(panel: Panel, top: float) -> list[str]:
    left, room = _MARGIN + _NAMES, _WIDTH - 2 * _MARGIN - _NAMES - _VALUES
    most = max(value for _, value, _ in panel.bars)

    def length(value: float) -> float:
        return room * math.log1p(max(value, 0.0)) / math.log1p(max(most, panel.limit or 0, 1))

    elements = [_text(_MARGIN, top + 22, panel.title, "panel")]
    for number, (name, value, shown) in enumerate(panel.bars):
        y = top + 34 + _ROW * number
        kind = "bar" if number else "bar ours"
        elements += [
            _text(left - 8, y + 12, name, anchor="end"),
            _bar(left, y, max(1.0, length(value)), kind),
            _text(left + length(value) + 6, y + 12, shown, "small"),
        ]
    if panel.limit is not None:
        x, bottom = left + length(panel.limit), top + 30 + _ROW * len(panel.bars)
        elements.append(f'<path class="limit" d="M{x:.1f},{top + 30:g} V{bottom:g}"/>')
    return elements


def _bar(x: float, y: float, width: float, kind: str) -> str:
    size = f'width="{width:.1f}" height="{_BAR}"'
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" {size} rx="2"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'
