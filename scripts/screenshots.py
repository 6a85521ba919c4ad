#!/usr/bin/env python3
"""Show pages of the built site in Chromium, at the widths of a phone and of a desk.

`scripts/screenshots.py [PAGE ...]` writes build/screenshots/PAGE-WIDTH.png, after `make docs`, and
fails when a page is wider than its window. Debian: apt install chromium.
"""

from __future__ import annotations

import functools
import html
import re
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

BUILD: Final = Path(__file__).resolve().parents[1] / "build"
SHOTS: Final = BUILD / "screenshots"
PAGES: Final = (
    "index",
    "tutorial/first-token",
    "how-to/troubleshooting",
    "reference/python/keyturn",
    "explanation/architecture",
    "explanation/measured",
)
WIDTHS: Final = {390: 1600, 1280: 1100}
# Chromium's own windows are 500 pixels wide or more; a frame is as narrow as its style.
_FRAME: Final = """<!doctype html><body style="margin:0"><script>
const show = (frame) => document.body.dataset.found =
  frame.contentDocument.documentElement.scrollWidth;
</script><iframe src="/site/{page}.html" width="{width}" height="{height}" style="border:0"
 onload="show(this)"></iframe></body>"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves the build directory, and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def chromium(*options: str) -> str:
    """Run Chromium without a window, and return what it prints."""
    command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)  # noqa: S603 - as said
    return done.stdout


def show(address: str, page: str, width: int, height: int) -> bool:
    """Write a screenshot, and return whether the page fits its window."""
    frame = SHOTS / f"{page.replace('/', '-')}-{width}.html"
    frame.write_text(_FRAME.format(page=html.escape(page), width=width, height=height), "utf-8")
    url = f"{address}/screenshots/{frame.name}"
    size = f"--window-size={max(width, 500)},{height}"
    chromium(size, f"--screenshot={frame.with_suffix('.png')}", "--virtual-time-budget=3000", url)
    dom = chromium(size, "--dump-dom", "--virtual-time-budget=3000", url)
    found = re.search(r'data-found="(\d+)"', dom)
    print(f"{page} at {width}: {found[1] if found else 'not loaded'}", flush=True)
    return found is not None and int(found[1]) <= width


def main() -> int:
    """Run the command line; return its exit code."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(Quiet, directory=str(BUILD))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        pages = sys.argv[1:] or PAGES
        fits = [show(address, page, *size) for page in pages for size in WIDTHS.items()]
        server.shutdown()
    return 0 if all(fits) else 1


if __name__ == "__main__":
    sys.exit(main())
