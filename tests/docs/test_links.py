"""The links in the documentation."""

from __future__ import annotations

import re
from typing import Any

LINK_REGEX = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", outside, re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in kept}


def test_links_resolve(page: Any) -> None:
    """A reader would follow a dead link."""
    dead = []
    for match in LINK_REGEX.finditer(page.text):
        name, _, anchor = match["target"].partition("#")
        if "://" in name:
            continue
        target = (page.path.parent / name) if name else page.path
        if not target.is_file() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            dead.append(match["target"])

    assert dead == []


def test_every_page_is_linked_from_the_contents(pages: list[Any]) -> None:
    """A reader would not find a page."""
    contents = next(page for page in pages if page.name == "docs/README.md")
    linked = {
        (contents.path.parent / match["target"].partition("#")[0]).resolve()
        for match in LINK_REGEX.finditer(contents.text)
    }
    documentation = {page.path for page in pages if page.name.startswith("docs/")}

    assert documentation - linked - {contents.path} == set()
