#!/usr/bin/env python3
"""Draw the pictures of the documentation, into docs/images: architecture.svg and token-life.svg.

They are as wide as a phone's screen, so their words keep their size there, and follow the colour
scheme of the system. `tests/docs/test_pictures.py` compares them, and checks that words fit.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

IMAGES: Final = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH: Final = 400
_STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
text.title { font-size: 17px; font-weight: 600; }
text.strong { font-weight: 600; }
text.small { font-size: 12px; fill: #59636e; }
.page { fill: #ffffff; } .box { fill: #f3f5f7; stroke: #8c959f; }
.outside { fill: none; stroke: #8c959f; stroke-dasharray: 5 4; }
.line { fill: none; stroke: #59636e; stroke-width: 1.5; } .head { fill: #59636e; }
.fresh { fill: #aceebb; } .stale { fill: #ffe69c; } .expired { fill: #ffc9c4; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } text.small { fill: #9198a1; }
  .page { fill: #0d1117; } .box { fill: #161b22; stroke: #656c76; } .outside { stroke: #656c76; }
  .line { stroke: #9198a1; } .head { fill: #9198a1; }
  .fresh { fill: #1a5e2a; } .stale { fill: #6e5200; } .expired { fill: #7d2420; }
}
""".strip()
_ARROW: Final = (
    '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"'
    ' orient="auto-start-reverse"><path class="head" d="M0,0 L10,5 L0,10 z"/></marker></defs>'
)
# Each layer: its description, and its packages.
_LAYERS: Final = (
    ("command line, agent, adapters, test kits", "_cli, _server, integrations, testing"),
    ("configuration; many connections", "_config, _registry"),
    ("connections", "_connection"),
    ("tokens: manager, single flight, rate limiter", "_tokens"),
    ("token stores", "stores"),
    ("plugins", "plugins, _plugins"),
    ("definition of providers", "_providers"),
    ("HTTP: request, response, transport", "_http"),
    ("values and pure decisions", "errors, _token, _secret, _clock, …"),
)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3"/>'
    )


def _arrow(path: str, *, both: bool = False) -> str:
    start = ' marker-start="url(#head)"' if both else ""
    return f'<path class="line" d="{path}"{start} marker-end="url(#head)"/>'


def _svg(title: str, height: int, elements: list[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">'
    page = f'<rect class="page" width="{WIDTH}" height="{height}"/>'
    heading = _text(12, 28, title, "title")
    style = f"<style>\n{_STYLE}\n</style>"
    return "\n".join([opening, style, _ARROW, page, heading, *elements, "</svg>", ""])


def architecture() -> str:
    """Return the picture of the layers: an import points downwards."""
    elements, top, step = [], 44, 56
    for number, (what, packages) in enumerate(_LAYERS):
        y = top + step * number
        elements += [
            _rect("box", 12, y, 376, 44),
            _text(24, y + 19, what, "strong"),
            _text(24, y + 36, packages, "small"),
        ]
        if number:
            elements.append(_arrow(f"M200,{y - 11} V{y - 1}"))
    bottom = top + step * len(_LAYERS) + 12
    elements += [
        _rect("outside", 12, bottom, 376, 62),
        _text(24, bottom + 19, "providers, in separate packages", "strong"),
        _text(24, bottom + 36, "They import keyturn and keyturn.plugins only;", "small"),
        _text(24, bottom + 52, "keyturn finds them by entry point.", "small"),
    ]
    return _svg("Imports point downwards", bottom + 74, elements)


def token_life() -> str:
    """Return the picture of a token's states, from its request to its expiry."""
    start, renewal, end, expiry, right = 12, 208, 304, 356, 388
    top = 92
    elements = []
    for kind, left, width, lines in (
        ("fresh", start, renewal - start, ("returned at once",)),
        (
            "stale",
            renewal,
            end - renewal,
            ("returned;", "a renewal", "has started"),
        ),
        ("expired", end, right - end, ("callers wait", "for a new one")),
    ):
        middle = left + width / 2
        elements += [
            _rect(kind, left, top, width, 40),
            _text(middle, top + 25, kind, "strong", "middle"),
        ]
        elements += [
            _text(middle, top + 58 + 15 * n, line, "small", "middle")
            for n, line in enumerate(lines)
        ]
    for x, y, label, anchor in (
        (start, 82, "token request", "start"),
        (renewal, 82, "renewal point", "middle"),
        (end, 62, "expired, for keyturn", "middle"),
        (expiry, 82, "expires_at", "middle"),
    ):
        elements += [_text(x, y - 2, label, "small", anchor)]
        elements += [f'<path class="line" d="M{x},{y + 2} V{top}"/>']
    for y, left, stop, lines in (
        (
            212,
            172,
            expiry,
            (
                "margin: 300 s, a fifth of the lifetime, or the",
                "provider's cap, whichever is shortest",
            ),
        ),
        (
            272,
            172,
            218,
            (
                "jitter: the first quarter of the margin; each",
                "process renews at its own point in it",
            ),
        ),
        (332, end, expiry, ("leeway: 2 % of the lifetime, at most 5 s",)),
    ):
        elements.append(_arrow(f"M{left},{y} H{stop}", both=True))
        elements += [_text(12, y + 18 + 15 * n, line, "small") for n, line in enumerate(lines)]
    return _svg("The life of a token", 364, elements)


PICTURES: Final = {"architecture.svg": architecture, "token-life.svg": token_life}


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (IMAGES / name).write_text(draw(), encoding="utf-8")
