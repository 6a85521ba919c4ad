#!/usr/bin/env python3
"""Look at the built site in Chromium, as on a phone and on a desk: `make screenshots` runs this.

It fails if a page is wider than its window, or if the search finds nothing. Then it writes
build/screenshots/PAGE-WIDTH-SCHEME.png of six pages, or of the pages that are given as arguments.
Debian: apt install chromium.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

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
# Pixels: each width, and the height of its screenshot.
WIDTHS: Final = {390: 1600, 1280: 1100}
SCHEMES: Final = ("light", "dark")
SEARCHED: Final = ("retry_after", "429", "rotate+secret")
# Chromium's own windows are 500 pixels wide or more; a frame is as narrow as its style. The theme
# reads its scheme from the browser's storage.
_FRAMES: Final = """<!doctype html><body style="margin:0"><script>
const given = GIVEN;
localStorage.mode = localStorage.theme = given.scheme;
const frame = document.createElement("iframe");
frame.style = `border:0;width:${given.width}px;height:${given.height}px`;
document.body.append(frame);
const found = {};
const show = (address) => new Promise((resolve) => {
  frame.onload = () => setTimeout(resolve, given.pause);
  frame.src = `/site/${address}`;
});
(async () => {
  for (const address of given.addresses) {
    await show(address);
    const page = frame.contentDocument;
    found[address] = [page.documentElement.scrollWidth,
                      page.querySelectorAll("#search-results li").length];
  }
  document.body.dataset.found = JSON.stringify(found);
})();
</script></body>"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves the build directory, and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def load(site: str, name: str, *options: str, **given: Any) -> str:
    """Show pages in a frame, one after the other, and return what Chromium prints.

    Args:
        site: The address of the server.
        name: The name of the file with the frame.
        options: Options of Chromium.
        given: What the frame's script reads.
    """
    frame = SHOTS / f"{name}.html"
    frame.write_text(_FRAMES.replace("GIVEN", json.dumps(given)), "utf-8")
    size = f"--window-size={max(given['width'], 500)},{given['height']}"
    command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", size]
    budget = f"--virtual-time-budget={3000 + 1000 * len(given['addresses'])}"
    url = f"{site}/screenshots/{frame.name}"
    done = subprocess.run(  # noqa: S603 - as said
        [*command, budget, *options, url], capture_output=True, text=True, timeout=600, check=True
    )
    frame.unlink()
    return done.stdout


def check(site: str, width: int) -> bool:
    """Return whether each page fits a window of this width, and whether the search finds pages."""
    built = sorted((BUILD / "site").rglob("*.html"))
    pages = [path.relative_to(BUILD / "site").as_posix() for path in built]
    pages = [each for each in pages if not each.startswith("_")]
    searches = [f"search.html?q={words}" for words in SEARCHED]
    given = {"scheme": "light", "width": width, "height": 900, "addresses": pages, "pause": 0}
    dom = load(site, "check", "--dump-dom", **given)
    dom += load(site, "search", "--dump-dom", **(given | {"addresses": searches, "pause": 1500}))
    found: dict[str, tuple[int, int]] = {}
    for each in re.findall(r'data-found="([^"]+)"', dom):
        found |= json.loads(each.replace("&quot;", '"'))
    wide = [page for page in pages if page not in found or found[page][0] > width]
    results = [found.get(search, (0, 0))[1] for search in searches]
    print(f"{len(found)} pages at {width}; too wide: {wide}; {SEARCHED} found on {results} pages")
    return not wide and all(results)


def main() -> int:
    """Run the command line; return its exit code."""
    if not shutil.which("chromium"):
        sys.exit("chromium is missing. Debian: apt install chromium")
    SHOTS.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(Quiet, directory=str(BUILD))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = f"http://127.0.0.1:{server.server_port}"
        fits = [check(site, width) for width in WIDTHS]
        for page in sys.argv[1:] or PAGES:
            for width, height in WIDTHS.items():
                for scheme in SCHEMES:
                    name = f"{page.replace('/', '-')}-{width}-{scheme}"
                    given = {"scheme": scheme, "width": width, "height": height, "pause": 1000}
                    shot = f"--screenshot={SHOTS / name}.png"
                    load(site, name, shot, addresses=[f"{page}.html"], **given)
        server.shutdown()
    return 0 if all(fits) else 1


if __name__ == "__main__":
    sys.exit(main())
