"""Changes to the configuration file: one table is added or removed, the rest is unchanged.

keyturn edits the text of the file, so comments, order and formatting stay. It checks each change:
the values of the file must differ only by that table.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import stat
import tomllib
from typing import TYPE_CHECKING, Any, Final

from keyturn import errors
from keyturn._config.directories import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

# Seconds to wait for another process that changes the file.
_PATIENCE: Final = 10.0
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
# The TOML tokens that may span lines: strings, comments, brackets.
_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' + r"|'''.*?'{3,5}" + r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'"
    r"|#[^\n]*|[\[\]{}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)


def change_file(path: Path, change: Callable[[str], str]) -> None:
    """Replace the content of a configuration file atomically, under a lock.

    Only this user can read a new file; an existing file keeps its mode.

    Args:
        path: The file.
        change: Returns the new content from the old one.

    Raises:
        keyturn.errors.ConfigurationError: It can't be read, changed or written.
    """
    from keyturn.stores import _sqlite_lock

    # A symbolic link is kept, and its target is replaced.
    path = type(path)(os.path.realpath(path))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _sqlite_lock.locked(path.with_name(f".{path.name}.lock"), _PATIENCE):
            is_new = not path.exists()
            text = "" if is_new else path.read_bytes().decode()
            mode = 0o600 if is_new else stat.S_IMODE(path.stat().st_mode)
            replace_file(path, change(text), mode)
    except UnicodeError:
        problem = "is not UTF-8"
    except OSError as error:
        problem = f"can't be changed: {error.strerror}"
    else:
        return
    raise errors.ConfigurationError(
        f"the configuration file {path} {problem}.",
        hint="Set KEYTURN_CONFIG, or --config, to a file that you can write.",
    )


def with_table(text: str, name: str, table: Mapping[str, Any]) -> str:
    """Return the content of a configuration file with one more connection, at its end.

    Raises:
        keyturn.errors.ConfigurationError: The file's structure does not allow it.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [f"[connections.{_key(name)}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in table.items()]
    before = text if not text or text.endswith("\n") else text + newline
    if before.strip("\ufeff\r\n"):
        before += newline
    added = newline.join([*lines, ""])
    wanted = _meaning(text)
    connections = wanted.setdefault("connections", {})
    if isinstance(connections, dict) and name not in connections:
        connections[name] = dict(table)
        if _is_meant(before + added, wanted):
            return before + added
    raise errors.ConfigurationError(
        "keyturn can't add a table to this configuration file because of its structure.",
        hint=f"Add this with an editor: {'; '.join(lines)}",
    )


def without_table(text: str, name: str) -> str:
    """Return the content of a configuration file without a connection.

    Comments above a table stay; comments within it are removed.

    Raises:
        keyturn.errors.ConfigurationError: The connection is not a separate table.
    """
    wanted = _meaning(text)
    connections = wanted.get("connections")
    if isinstance(connections, dict) and connections.pop(name, None) is not None:
        headers = [*_headers(text), (len(text), ())]
        kept, start = "", 0
        for (begin, path), (end, _) in itertools.pairwise(headers):
            if path[:2] == ("connections", name):
                kept += text[start:begin]
                start = _end_of_table(text, begin, end)
        kept += text[start:]
        if start == len(text):
            kept = re.sub(r"(\r?\n)[\r\n]*\Z", r"\1", kept)
        if start and _is_meant(kept, wanted):
            return kept
    raise errors.ConfigurationError(
        f"connection {name} is not a separate table in the configuration file.",
        hint=f"Remove connections.{name} with an editor.",
    )


def _meaning(text: str) -> dict[str, Any]:
    """Return the values of a configuration file.

    Raises:
        keyturn.errors.ConfigurationError: It is not TOML.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError):
        problem = "the configuration file is not valid TOML."
    raise errors.ConfigurationError(problem, hint="Run keyturn doctor to see the location.")


def _is_meant(text: str, wanted: dict[str, Any]) -> bool:
    """Return whether a configuration file has these values."""
    try:
        return _comparable(_meaning(text)) == _comparable(wanted)
    except errors.ConfigurationError:
        return False


def _comparable(values: dict[str, Any]) -> str:
    # NaN equals nothing, and an empty table of connections means none.
    shown = {key: each for key, each in values.items() if key != "connections" or each}
    return json.dumps(shown, sort_keys=True, default=repr)


def _headers(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the position of each table's header line, and its keys."""
    depth, line, is_start = 0, 0, True
    for token in _TOKEN.finditer(text):
        found = token[0]
        if found == "\n":
            line, is_start = token.end(), True
            continue
        if found == "[" and is_start and not depth:
            yield line, _keys(text[token.start() :].split("\n", 1)[0].rstrip("\r"))
        if found in "[{":
            depth += 1
        elif found in "]}":
            depth -= 1
        is_start = is_start and not found.strip(" \t\ufeff")


def _keys(header: str) -> tuple[str, ...]:
    """Return the keys of a header such as `[connections."a.b"]`."""
    keys: list[str] = []
    found: Any = tomllib.loads(header)
    while isinstance(found, dict) and found:
        ((key, found),) = found.items()
        keys.append(key)
    return tuple(keys)


def _end_of_table(text: str, begin: int, end: int) -> int:
    """Return the end of a table: before the comment right above the next header."""
    lines = text[begin:end].splitlines(keepends=True)
    while end < len(text) and len(lines) > 1 and lines[-1].lstrip().startswith("#"):
        end -= len(lines.pop())
    return end


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    """Return a value of a setting as TOML."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # A JSON string is a TOML string, except for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
