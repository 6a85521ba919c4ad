#!/usr/bin/env python3
"""Write the commands into docs/reference/command-line.md, and the manual pages in docs/man.

All are made from the table that the command line is parsed by. Each test run compares them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyturn._cli.about import DOCUMENTATION, about
from keyturn._cli.table import COMMANDS, COMMON

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "command-line.md"
MANUALS = ROOT / "docs" / "man"
START, END = "## Commands\n", "\n## Formats of"
CODES = (
    ("0", "done"),
    ("1", "any other failure"),
    ("2", "usage or configuration; a foreign origin"),
    ("3", "the authorization server refused the credentials or the scope"),
    ("4", "rate limited"),
    ("5", "token endpoint or network"),
    ("130", "interrupted"),
)
FILES = (
    ("~/.config/keyturn/keyturn.toml", "the configuration, unless KEYTURN_CONFIG names another"),
    ("~/.cache/keyturn", "the token store, unless store or KEYTURN_STORE names another"),
)


def page(text: str) -> str:
    """Return the reference page with all commands.

    Args:
        text: The page as it is.
    """
    before, _, rest = text.partition(START)
    after = rest[rest.index(END) :]
    lines = []
    for name, command in COMMANDS.items():
        if not command.module or not command.summary:
            continue
        details = about(name).details
        lines += ["", f"### keyturn {name}", "", " ".join([f"{command.summary}.", details]).strip()]
        lines += ["", f"`{usage(name)}`"]
        if command.arguments:
            lines += ["", "| argument | description |", "|---|---|"]
            lines += [f"| `{_names(*each)}` | {_cell(*each)} |" for each in _listed(name)]
        lines += ["", f"Examples: {' · '.join(f'`{each}`' for each in about(name).examples)}"]
    return f"{before}{START}{chr(10).join(lines)}\n{after}"


def usage(name: str) -> str:
    """Return a command's usage."""
    words = ["keyturn", name]
    for names, options in _listed(name):
        metavar = _metavar(names, options)
        if not names.startswith("-"):
            word = {"?": f"[{metavar}]", "*": f"[{metavar} …]"}.get(options.get("nargs"), metavar)
        else:
            shown = " ".join(filter(None, (names.split()[-1], metavar)))
            word = shown if options.get("required") else f"[{shown}]"
        words.append(word)
    return " ".join(words)


def manuals() -> dict[str, str]:
    """Return the manual pages by their file names: keyturn's, and one for each command."""
    pages = {"keyturn.1": _overview()}
    for name in _listed_commands():
        pages[f"{_page_name(name)}.1"] = _manual(name)
    return pages


def _listed_commands() -> list[str]:
    return [name for name, each in COMMANDS.items() if each.module and each.summary]


def _page_name(name: str) -> str:
    return f"keyturn-{name.replace(' ', '-')}"


def _overview() -> str:
    lines = [*_head("keyturn", "turn OAuth 2 client credentials into a valid access token")]
    lines += [".SH SYNOPSIS", r".B keyturn", r"[\fIOPTION\fR ...] \fICOMMAND\fR ..."]
    lines += [".SH COMMANDS"]
    for name in _listed_commands():
        lines += [".TP", rf".BR {_escaped(_page_name(name))} (1)"]
        lines += [_escaped(f"{COMMANDS[name].summary}.")]
    lines += [".SH OPTIONS", "Before a command or after it:", *_manual_arguments(COMMON)]
    for title, rows in (("EXIT STATUS", CODES), ("FILES", FILES)):
        lines += [f".SH {title}"]
        lines += [line for row in rows for line in (".TP", f".B {row[0]}", _escaped(row[1]))]
    return "\n".join([*lines, *_examples(""), ".SH SEE ALSO", DOCUMENTATION]) + "\n"


def _manual(name: str) -> str:
    summary = COMMANDS[name].summary
    lines = _head(_page_name(name), f"{summary[0].lower()}{summary[1:]}")
    lines += [".SH SYNOPSIS", f".B {_escaped(usage(name).replace('…', '...'))}"]
    lines += [".SH DESCRIPTION", _escaped(f"{summary}. {about(name).details}".strip())]
    if listed := dict(_listed(name)):
        lines += [".SH ARGUMENTS", *_manual_arguments(listed)]
    see_also = [".SH SEE ALSO", ".BR keyturn (1),", f"{DOCUMENTATION}#{_page_name(name)}"]
    return "\n".join([*lines, *_examples(name), *see_also]) + "\n"


def _head(name: str, summary: str) -> list[str]:
    """Return the beginning of a manual page, in the macros of man(7)."""
    title = f'.TH {_escaped(name.upper())} 1 "" keyturn "keyturn manual"'
    return [title, ".SH NAME", rf"{_escaped(name)} \- {_escaped(summary)}"]


def _examples(name: str) -> list[str]:
    examples = [f"{_escaped(each)}" for each in about(name).examples]
    return [".SH EXAMPLES", ".nf", *examples, ".fi"]


def _manual_arguments(arguments: dict[str, dict[str, Any]]) -> Iterator[str]:
    for names, options in arguments.items():
        yield ".TP"
        yield f".B {_escaped(_names(names, options))}"
        yield _escaped(_help(options))


def _listed(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return a command's arguments, the options last."""
    arguments = COMMANDS[name].arguments.items()
    return sorted(arguments, key=lambda each: each[0].startswith("-"))


def _names(names: str, options: dict[str, Any]) -> str:
    metavar = _metavar(names, options)
    if not names.startswith("-"):
        return metavar
    return f"{', '.join(names.split())} {metavar}".rstrip()


def _metavar(names: str, options: dict[str, Any]) -> str:
    if "action" in options and options["action"] != "append":
        return ""
    return options.get("metavar") or names.rsplit(maxsplit=1)[-1].lstrip("-").upper()


def _help(options: dict[str, Any]) -> str:
    choices = "" if "metavar" in options else ", ".join(options.get("choices", ()))
    return f"{options['help']}{choices and f'; one of {choices}'}"


def _cell(_: str, options: dict[str, Any]) -> str:
    return _help(options).replace("|", r"\|")


def _escaped(text: str) -> str:
    """Return text for roff."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace('"', r"\(dq")
    return re.sub(r"^\.", r"\\&.", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    for page_name, content in manuals().items():
        (MANUALS / page_name).write_text(content, encoding="utf-8")
