#!/usr/bin/env python3
"""Draw the pictures of the documentation from their descriptions in `docs/images/*.toml`.

`scripts/draw_docs.py` writes each SVG beside its description. The pictures bring their own colours
for light and for dark pages.
"""

from __future__ import annotations

import tomllib
from html import escape
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parents[1] / "docs" / "images"

STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2328; }
text.strong { font-weight: 600; }
text.title { font-size: 17px; font-weight: 600; }
text.small { font-size: 12px; fill: #59636e; }
text.name { font: 13px ui-monospace, monospace; }
.page { fill: #ffffff; }
.floor { fill: #f3f5f7; stroke: #c8d0d8; }
.room { fill: #ffffff; stroke: #8c959f; }
.outside { fill: none; stroke: #8c959f; stroke-dasharray: 5 4; }
.line { fill: none; stroke: #59636e; stroke-width: 1.5; }
.dashed { stroke-dasharray: 5 4; }
.head { fill: #59636e; }
.fresh { fill: #aceebb; } .stale { fill: #ffe69c; } .expired { fill: #ffc9c4; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } text.small { fill: #9198a1; }
  .page { fill: #0d1117; } .floor { fill: #161b22; stroke: #3d444d; }
  .room { fill: #0d1117; stroke: #656c76; } .outside { stroke: #656c76; }
  .line { stroke: #9198a1; } .head { fill: #9198a1; }
  .fresh { fill: #1a5e2a; } .stale { fill: #6e5200; } .expired { fill: #7d2420; }
}
""".strip()

NAMESPACE = "http://www.w3.org/2000/svg"
ARROW_HEAD = (
    '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
    'markerHeight="7" orient="auto-start-reverse"><path class="head" d="M0,0 L10,5 L0,10 z"/>'
    "</marker></defs>"
)
MARGIN = 24


class Drawing:
    """The elements of one SVG, in the order in which they are painted."""

    def __init__(self, title: str, width: int, height: int) -> None:
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        self._elements = [
            f'<svg xmlns="{NAMESPACE}" {size} role="img" aria-label="{escape(title)}">',
            f"<style>\n{STYLE}\n</style>",
            ARROW_HEAD,
        ]
        self.box(0, 0, width, height, "page", corner=0)
        self.text(MARGIN, 36, title, "title")

    def box(
        self, x: float, y: float, width: float, height: float, kind: str, *, corner: int = 6
    ) -> None:
        """Draw a rectangle."""
        self._elements.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
            f'rx="{corner}"/>'
        )

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """Write one line of text."""
        self._elements.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def lines(
        self, x: float, y: float, texts: list[str], kind: str = "", anchor: str = "start"
    ) -> None:
        """Write lines of text below each other."""
        for number, text in enumerate(texts):
            self.text(x, y + 15 * number, text, kind, anchor)

    def text_upwards(self, x: float, y: float, text: str, kind: str) -> None:
        """Write one line of text from below to above, its middle at a point."""
        self._elements.append(
            f'<text class="{kind}" text-anchor="middle" transform="translate({x:g},{y:g}) '
            f'rotate(-90)">{escape(text)}</text>'
        )

    def line(self, path: str, *, ends: str = "", dashed: bool = False) -> None:
        """Draw a line; `ends` says where it has arrow heads: `start`, `end` or both."""
        heads = "".join(f' marker-{end}="url(#head)"' for end in ends.split())
        kind = "line dashed" if dashed else "line"
        self._elements.append(f'<path class="{kind}" d="{path}"{heads}/>')

    def finish(self) -> str:
        """Return the SVG."""
        return "\n".join([*self._elements, "</svg>", ""])


def draw_house(house: dict[str, Any]) -> str:
    """Return the picture of the core's rooms, and of the providers outside."""
    floors, top, step, left, width = house["floors"], 60, 50, 64, 680
    drawing = Drawing(house["title"], 1010, top + step * len(floors) + MARGIN)
    for number, floor in enumerate(floors):
        y = top + step * number
        drawing.box(left, y, width, step - 6, "floor")
        _draw_rooms(drawing, left + 8, y + 8, floor["rooms"])
        drawing.text(left + width - 10, y + 27, floor["text"], "small", "end")
    bottom = top + step * len(floors) - 6
    drawing.line(f"M44,{top} V{bottom}", ends="end")
    drawing.text_upwards(34, (top + bottom) / 2, house["arrow"], "small")
    _draw_outside(drawing, house["outside"], left + width, top)
    plugins = next(n for n, floor in enumerate(floors) if "plugins" in floor["rooms"])
    y = top + step * plugins + 22
    drawing.line(f"M{left + width},{y} H{left + width + 56} V{top + 200}", ends="end", dashed=True)
    drawing.lines(left + width + 68, y - 10, house["outside"]["found"], "small")
    first_pure = next(n for n, floor in enumerate(floors) if floor.get("pure"))
    upper = top + step * first_pure
    drawing.line(f"M{left + width + 8},{upper} h10 V{bottom} h-10")
    drawing.lines(left + width + 30, (upper + bottom) / 2 - 12, house["pure"], "small")
    return drawing.finish()


def _draw_rooms(drawing: Drawing, x: float, y: float, rooms: list[str]) -> None:
    for room in rooms:
        width = 18 + 8 * len(room)
        drawing.box(x, y, width, 28, "room", corner=4)
        drawing.text(x + width / 2, y + 19, room, "name", "middle")
        x += width + 7


def _draw_outside(drawing: Drawing, outside: dict[str, Any], wall: float, top: float) -> None:
    x = wall + 40
    drawing.box(x, top, 202, 196, "outside")
    drawing.text(x + 12, top + 22, outside["title"])
    drawing.text(x + 12, top + 42, outside["door"], "small")
    for number, room in enumerate(outside["rooms"]):
        _draw_rooms(drawing, x + 9, top + 52 + 35 * number, [room])
    drawing.line(f"M{x},{top + 22} H{wall + 2}", ends="end")


def draw_token_life(life: dict[str, Any]) -> str:
    """Return the picture of one token's states, points and spans over time."""
    left, width, bar, height = 40, 880, 110, 44
    drawing = Drawing(life["title"], left + width + 40, 384)

    def at(share: float) -> float:
        return left + width * share

    start = 0.0
    for state in life["states"]:
        x, end = at(start), at(state["until"])
        drawing.box(x, bar, end - x, height, state["name"], corner=0)
        drawing.text((x + end) / 2, bar + 27, state["name"], "strong", "middle")
        drawing.lines((x + end) / 2, bar + height + 24, state["text"], "small", "middle")
        start = state["until"]
    for point in life["points"]:
        x = at(point["at"])
        drawing.line(f"M{x},{bar - 8} V{bar}")
        y = bar - 15 * len(point["text"]) - 1
        drawing.lines(x, y, point["text"], "small", point["anchor"])
    for number, span in enumerate(life["spans"]):
        y = bar + height + 96 + 44 * number
        drawing.line(f"M{at(span['from'])},{y} H{at(span['to'])}", ends="start end")
        drawing.text(at(span["to"]), y + 18, span["text"], "small", "end")
    return drawing.finish()


PICTURES = {"house": draw_house, "token-life": draw_token_life}


def drawn(name: str) -> str:
    """Return the SVG of the picture of that name."""
    return PICTURES[name](tomllib.loads((IMAGES / f"{name}.toml").read_text(encoding="utf-8")))


if __name__ == "__main__":
    for picture in PICTURES:
        (IMAGES / f"{picture}.svg").write_text(drawn(picture), encoding="utf-8")
