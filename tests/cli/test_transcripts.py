"""The transcript of the commands at a terminal, which is a test and part of the documentation.

`WRITE_TRANSCRIPTS=1 python -m pytest tests/cli/test_transcripts.py` rewrites it after an
intended change.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyturn._cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn.testing import Emulator

TRANSCRIPT = Path(__file__).parents[2] / "docs" / "reference" / "transcripts" / "commands.txt"
SECRET = "(typed, not shown)"
# Each command, and the user's typed answers.
SESSION: list[tuple[str, list[str]]] = [
    ("keyturn version", []),
    ("keyturn tokn shop", []),
    ("keyturn help config", []),
    (
        "keyturn init",
        ["orocommerce", "shop", "{client_id}", "file", SECRET, "{url}", ""],
    ),
    ("keyturn config path", []),
    ("keyturn config show", []),
    (
        (
            "keyturn connections add stage orocommerce --set client_id={client_id} --set url={url}"
            " --secret-env client_secret=STAGE_SECRET"
        ),
        ["none"],
    ),
    ("keyturn connections list", []),
    ("keyturn completion fish", []),
    ("keyturn check", []),
    ("keyturn status", []),
    ("keyturn request shop GET /users", []),
    ("keyturn -v token shop --format header", []),
    ("keyturn doctor", []),
    ("keyturn connections remove stage", ["yes"]),
    ("keyturn token stage", []),
]
# Text that differs between machines or runs.
REPLACED = [
    (r"127\.0\.0\.1:\d+", "127.0.0.1:9002"),
    (r"CPython \S+ on \S+ keyturn \S+", "CPython 3.13.0 on Linux, keyturn 0.1.0"),
    (r"^keyturn [\d.]+$", "keyturn 0.1.0"),
    (r"\d+ \(\w+\)", "1000 (user)"),
    (r"SQLite [\d.]+", "SQLite 3.46.1"),
    (r"\d+ in this process", "1 in this process"),
    (r"\d+ in .+/authority.pem \(SSL_CERT_FILE\)", "140 in certifi"),
    (
        r"can store the secrets of connections|none \(.*?\); keep secrets.*",
        "can store the secrets of connections",
    ),
    (r"\b[\w-]+\.[\w-]+\.[\w-]{20,}", "eyJhbGciOi… (the token)"),
    # The progress of a check, which is overwritten.
    (r"\d of 2 connections checked\r(\x1b\[K)?", ""),
]


class Screen(io.StringIO):
    """A terminal that records all output in order, as text and as bytes."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


class Keyboard:
    """Typed input, which the terminal shows."""

    def __init__(self, lines: list[str], screen: Screen) -> None:
        self._lines = iter(lines)
        self._screen = screen

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True

    def readline(self) -> str:
        """Return the next line."""
        line = next(self._lines)
        self._screen.write(f"{line}\n")
        return f"{line}\n"


@pytest.fixture
def sessions(emulator: Emulator, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return all output of the terminal, one command after the other."""
    account = emulator.settings("orocommerce")
    monkeypatch.chdir(home)
    monkeypatch.setenv("STAGE_SECRET", account["client_secret"])
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setitem(sys.modules, "keyring", None)

    def run() -> Iterator[str]:
        for command, typed in SESSION:
            screen = Screen()
            keyboard = Keyboard([each.format(**account) for each in typed], screen)
            monkeypatch.setattr("sys.stdin", keyboard)
            monkeypatch.setattr("sys.stdout", screen)
            monkeypatch.setattr("sys.stderr", screen)

            def hidden(prompt: str, **_: object) -> str:
                screen.write(prompt)  # noqa: B023 - called in this round
                keyboard.readline()  # noqa: B023 - as above
                return str(account["client_secret"])

            monkeypatch.setattr("getpass.getpass", hidden)
            with contextlib.suppress(SystemExit):
                main(shlex.split(command.format(**account))[1:])
            shown = f"$ {command.format(**account)}\n{screen.getvalue()}"
            assert account["client_secret"] not in shown
            yield _usual(shown.replace(account["client_id"], "made-up"), home)

    return run()


def _usual(shown: str, home: Path) -> str:
    """Return the output of a terminal without what differs between machines."""
    shown = shown.replace(str(home), "~")
    for pattern, usual in REPLACED:
        shown = re.sub(pattern, usual, shown, flags=re.MULTILINE)
    lines = shown.split("\n")
    return "\n".join(
        line
        for is_table, group in itertools.groupby(
            lines, lambda line: bool(re.search(r"^\S.* {2,}\S", line))
        )
        for line in (_aligned([*group]) if is_table else group)
    )


def _aligned(lines: list[str]) -> list[str]:
    """Return the lines of a table, with its columns aligned again after replacements."""
    cells = [re.split(r" {2,}", line) for line in lines]
    widths = [max(map(len, column)) for column in itertools.zip_longest(*cells, fillvalue="")]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in cells
    ]


def test_output_of_the_commands_is_the_transcript(sessions: Iterator[str]) -> None:
    """The documentation would show outdated output, or output with a secret."""
    shown = "\n".join(sessions)
    if os.environ.get("WRITE_TRANSCRIPTS"):
        TRANSCRIPT.write_text(shown, encoding="utf-8")

    assert shown == TRANSCRIPT.read_text(encoding="utf-8")
