"""The links in the documentation."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keyturn

REPOSITORY = Path(__file__).parents[2]
URLS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["urls"]
LINK_REGEX = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub generates them."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", outside, re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in kept}


def local(address: str) -> Path | None:
    """Return the file of an address of the site or the repository, and None for other addresses."""
    if address.startswith(URLS["Documentation"]):
        page = address.removeprefix(URLS["Documentation"]).removesuffix("html") or "index."
        return REPOSITORY / "docs" / f"{page}md"
    if address.startswith(f"{URLS['Repository']}/blob/main/"):
        return REPOSITORY / address.removeprefix(f"{URLS['Repository']}/blob/main/")
    return None


def test_links_of_the_readme_are_absolute(pages: list[Any]) -> None:
    """A link would be broken on a package index, which shows the README alone."""
    readme = next(page for page in pages if page.name == "README.md")
    targets = [match["target"] for match in LINK_REGEX.finditer(readme.text)]

    assert [target for target in targets if not target.startswith("https://")] == []


def test_links_lead_to_existing_files_and_anchors(pages: list[Any]) -> None:
    """A reader would follow a broken link."""
    dead = []
    for page in pages:
        for match in LINK_REGEX.finditer(page.text):
            name, _, anchor = match["target"].partition("#")
            target = local(name)
            if target is None and "://" in name:
                continue
            target = target or (page.path.parent / name if name else page.path)
            if not target.is_file() or (
                anchor and anchor not in anchors(target.read_text("utf-8"))
            ):
                dead.append((page.name, match["target"]))

    assert dead == []


def test_every_page_is_linked_from_the_contents(pages: list[Any]) -> None:
    """A reader would not find a page: the navigation of the site is made of these links."""
    documentation = {page.path: page for page in pages if page.name.startswith("docs/")}
    contents = [page for page in documentation.values() if page.path.name == "index.md"]
    linked = {
        (page.path.parent / match["target"].partition("#")[0]).resolve()
        for page in contents
        for match in LINK_REGEX.finditer(page.text)
    }
    begin = {Path(REPOSITORY, "docs", name) for name in ("README.md", "index.md")}

    assert documentation.keys() - linked - begin == set()


def test_every_public_module_is_in_the_api_reference() -> None:
    """A user would find no description of a module's names on the site."""
    names = [f"keyturn.{name}" for name in keyturn.__all__]
    names += [f"keyturn.integrations.{name}" for name in keyturn.integrations.__all__]
    pages = REPOSITORY.glob("docs/reference/python/*.rst")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    described = set(re.findall(r"^\.\. automodule:: (\S+)$", text, re.MULTILINE))

    assert described == {"keyturn", *(name for name in names if find_spec(name) is not None)}
