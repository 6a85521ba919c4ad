"""Turns pages that read well on a repository host into those of the site.

The lists of links on the pages named index are the site's navigation. A link that leaves `docs`
leads to the repository. A comment such as `<!-- site: CHANGELOG.md -->` makes a page show that
file of the repository instead of its own words. Where a comment says that the tests of the pages
don't run an example, readers of the site see why. The search finds HTTP statuses. A page's first
paragraph is what search engines show of it.
"""

from __future__ import annotations

import posixpath
import re
import textwrap
import tomllib
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from docutils import nodes
from sphinx.util import logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

# Where the site shows files of the repository's root.
_PAGES: Final = {
    "CHANGELOG": "changelog",
    "CONTRIBUTING": "contributing",
    "SECURITY": "security-policy",
}
# What a comment `<!-- not run: platform -->` stands for; the tests know the same reasons.
_NOT_RUN: Final = tomllib.loads(Path(__file__).with_name("_not_run.toml").read_text("utf-8"))
# As many characters as search engines show.
_DESCRIPTION_LENGTH: Final = 160
_LOGGER: Final = logging.getLogger(__name__)
_HEADING_REGEX: Final = re.compile(r"^## (?P<title>.+)$")
_ITEM_REGEX: Final = re.compile(r"^- \[[^\]]+\]\((?P<target>[\w/.-]+)\.(?:md|rst)\)")
_INCLUDE_REGEX: Final = re.compile(r"^<!-- site: (?P<file>[A-Z]+\.md) -->$", re.MULTILINE)
_NOT_RUN_REGEX: Final = re.compile(r"^<!-- not run: (?P<reason>\w+) -->$", re.MULTILINE)
_TITLE_REGEX: Final = re.compile(r"^# .+$", re.MULTILINE)
_STATUS_REGEX: Final = re.compile(r"\bHTTP ([45]\d\d)\b|\b(40[134]|429|50[234])\b")
_OUTSIDE_REGEX: Final = re.compile(r"\]\((?P<path>(?:\.\./)+[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def navigation(text: str, *, is_root: bool) -> Iterator[str]:
    """Yield a table of contents for each section of a page that lists links below it.

    Args:
        text: The page.
        is_root: Whether it is the first page, which lists single pages of other sections too.
    """
    sections: dict[str, list[str]] = {}
    title = ""
    for line in text.splitlines():
        if heading := _HEADING_REGEX.match(line):
            title = heading["title"]
        elif (item := _ITEM_REGEX.match(line)) and not item["target"].startswith(".."):
            target = item["target"]
            if not is_root or target.endswith("/index") or "/" not in target:
                sections.setdefault("" if is_root else title, []).append(target)
    for caption, targets in sections.items():
        options = ":hidden:\n" + (f":caption: {caption}\n" if caption else "")
        yield "\n".join(["", "```{toctree}", f"{options}", *targets, "```", ""])


def _included(repository: Path, name: str) -> str:
    """Return a file of the repository's root, its links seen from `docs`."""
    text = (repository / name).read_text(encoding="utf-8")
    links = re.sub(r"\]\((?=[\w.]+(?:/|\.md))", "](../", text)
    return re.sub(
        r"\]\(\.\./(?:docs/|(?P<root>CHANGELOG|CONTRIBUTING|SECURITY)(?=\.md))",
        lambda match: f"]({_PAGES.get(match['root'], '')}",
        links,
    )


def _not_run(match: re.Match[str]) -> str:
    """Return what readers see before an example that the tests of the pages don't run."""
    reason = _NOT_RUN[match["reason"]]
    return f"```{{container}} not-run\nNot run with this page: {reason}.\n```" if reason else ""


def with_statuses(text: str) -> str:
    """Return a page with index entries for the HTTP statuses in it.

    Sphinx's search leaves numbers out, except in index entries.
    """
    statuses = sorted({match[1] or match[2] for match in _STATUS_REGEX.finditer(text)})
    entries = f"\n\n```{{index}} {', '.join(statuses)}\n```\n" if statuses else ""
    return _TITLE_REGEX.sub(lambda title: title[0] + entries, text, count=1)


def _read(app: Sphinx, name: str, content: list[str]) -> None:
    directory = Path(app.srcdir, name).parent
    repository = Path(app.srcdir).resolve().parent

    def outside(match: re.Match[str]) -> str:
        path = Path(posixpath.normpath(directory / match["path"]))
        if path.is_relative_to(app.srcdir):
            return match[0]
        if not path.exists():
            _LOGGER.warning("no such file: %s", match["path"], location=name)
        kind = "tree" if path.is_dir() else "blob"
        address = f"{app.config.repository}/{kind}/main/{path.relative_to(repository).as_posix()}"
        return f"]({address}{match['anchor'] or ''})"

    if included := _INCLUDE_REGEX.search(content[0]):
        content[0] = _included(repository, included["file"])
    content[0] = _OUTSIDE_REGEX.sub(outside, content[0])
    content[0] = with_statuses(_NOT_RUN_REGEX.sub(_not_run, content[0]))
    if Path(name).name == "index":
        content[0] += "\n".join(navigation(content[0], is_root=name == "index"))


def _describe(_: Sphinx, __: str, ___: str, context: dict[str, Any], doctree: Any) -> None:
    """Add a page's first paragraph as its description."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        if "not-run" not in paragraph.parent.get("classes", ()):
            text = textwrap.shorten(paragraph.astext(), _DESCRIPTION_LENGTH, placeholder=" …")
            context["metatags"] += f'\n<meta name="description" content="{escape(text)}">'
            return


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_config_value("repository", "", "env", str)
    app.connect("source-read", _read)
    app.connect("html-page-context", _describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
