"""Fixtures for the tests of the documentation: pages, their blocks, and a clean environment.

A page is Markdown. A comment, which readers don't see, may precede a block of code:

- `<!-- terminal: 2 -->`: a command that runs in another terminal until the page ends.
- `<!-- file: keyturn_acme.py -->`: the block is written to that file.
- `<!-- not run: reason -->`: the block can't run here, for a reason in `docs/_not_run.toml`.
- `<!-- mistakes: … -->`: a configuration with intended mistakes.
- `<!-- exits with: 1 -->`: the exit status of the block's last command; all others exit with 0.

Variables that one block exports are set in the blocks after it.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.conftest import BACKOFF, World

import keyturn.stores._opening
from keyturn._plugins import loading as plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
TOOLS = Path(__file__).parent / "tools"
BLOCK_REGEX = re.compile(
    r"(?P<comments>(?:^<!--[^\n]*-->\n)*)^(?P<fence>```+)(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
COMMENT_REGEX = re.compile(r"<!-- (?P<kind>[a-z ]+): (?P<value>.+) -->")


@attrs.frozen
class Block:
    """A block of code: its language, content, line in the page, and comments."""

    language: str
    text: str
    line: int
    comments: dict[str, str]


@attrs.frozen
class Page:
    """A page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        """The path from the repository's root."""
        return self.path.relative_to(REPOSITORY).as_posix()

    @property
    def text(self) -> str:
        """The whole page."""
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[Block]:
        """The blocks of code, in the page's order."""
        return [
            Block(
                match["language"],
                match["text"],
                self.text.count("\n", 0, match.start("text")) + 1,
                dict(COMMENT_REGEX.findall(match["comments"])),
            )
            for match in BLOCK_REGEX.finditer(self.text)
        ]


def all_pages() -> list[Page]:
    """Return README, the other pages at the root, and every page of `docs`."""
    return [
        Page(path) for path in (*REPOSITORY.glob("*.md"), *sorted(REPOSITORY.glob("docs/**/*.md")))
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `page` once for each page."""
    if "page" in metafunc.fixturenames:
        found = all_pages()
        metafunc.parametrize("page", found, ids=[page.name for page in found])


@pytest.fixture
def pages() -> list[Page]:
    """Return all pages."""
    return all_pages()


@pytest.fixture(scope="session")
def commands(forking_python: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a command `keyturn`, which forks a process that has already imported it."""
    directory = tmp_path_factory.mktemp("commands")
    command = shlex.join(map(str, [*forking_python, "-m", "keyturn"]))
    (directory / "keyturn").write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    (directory / "keyturn").chmod(0o700)
    return directory


@pytest.fixture(autouse=True)
def place(commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty working directory, home and environment; plugins there can be imported."""
    for name in [name for name in os.environ if name.startswith("KEYTURN_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PATH", f"{commands}:{TOOLS}:{Path(sys.executable).parent}", prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    # pytest without the plugins of these tests, which take half of its time.
    monkeypatch.setenv("PYTEST_ADDOPTS", "--disable-plugin-autoload -pkeyturn")
    # A reader's requests are sent again after as long, or not within a page's timeout.
    monkeypatch.setattr("keyturn._tokens.token_request._BACKOFF", BACKOFF)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)
    forget_process()
    environment = dict(os.environ)
    loggers = [
        each for each in logging.Logger.manager.loggerDict.values() if hasattr(each, "disabled")
    ]
    disabled = [each.disabled for each in loggers]
    yield tmp_path
    forget_process()
    # Examples set variables, and configure logging, which disables loggers.
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    for each, was in zip(loggers, disabled, strict=True):
        each.disabled = was
    logger = logging.getLogger("keyturn")
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def forget_process() -> None:
    """Clear what keyturn caches for the lifetime of a process."""
    World.land()
    for cached in (plugins.loaded_provider, plugins.plugin_manager):
        cached.cache_clear()
    keyturn.stores._opening.shared_store.cache_clear()  # noqa: SLF001 - only these tests clear it
