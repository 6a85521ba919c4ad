"""Helpers of the tests of a token store: they record output and search for secrets."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import time
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from keyturn._common.redaction import Redaction
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Generator

LONG: Final = 10.0
SHORT: Final = 0.05
# Calls that may write a draft, a file or a statement; the kit checks writes after them.
STEPS: Final = {
    "__exit__", "close", "commit", "dump", "execute", "executescript", "fsync", "ftruncate", "link",
    "open", "remove", "rename", "replace", "send", "sendall", "truncate", "unlink", "write",
    "writelines",
}  # fmt: skip
_LONGEST_PART = 2000
# The number of characters that identify an entry.
_PART = 8
_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
# In a URL, with a password.
_PASSWORD = re.compile(r"://[^/\s@:]*:[^/\s@]+@")


class Shown(logging.Handler):
    """Collects log messages, output and warnings in a `with` block, with their source."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.strings: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Collect one record, with its arguments and traceback."""
        # A test server in this process is not the store.
        if "(process_request_thread)" not in str(record.threadName):
            extra = {name: each for name, each in vars(record).items() if name not in _USUAL}
            shown = f"{self.format(record)} {record.args!r} {extra or ''}"
            self.add(f"the log {record.name!r}", shown)

    def add(self, place: str, text: object) -> None:
        """Collect the two ends of a string."""
        shown = str(text)
        self.strings.append((place, f"{shown[:_LONGEST_PART]} {shown[-_LONGEST_PART:]}"))

    @contextlib.contextmanager
    def gathered(self) -> Generator[None]:
        """Collect for a `with` block."""
        root, printed = logging.getLogger(), io.StringIO()
        level, call = root.level, logging.Logger.callHandlers

        def seen(logger: logging.Logger, record: logging.LogRecord) -> None:
            self.handle(record)  # also of loggers that do not propagate
            call(logger, record)

        setattr(logging.Logger, "callHandlers", seen)  # noqa: B010 - a method of the library
        root.setLevel(logging.DEBUG)
        try:
            with (
                warnings.catch_warnings(record=True) as warned,
                contextlib.redirect_stdout(printed),
                contextlib.redirect_stderr(printed),
            ):
                warnings.simplefilter("always")
                yield
        finally:
            root.setLevel(level)
            setattr(logging.Logger, "callHandlers", call)  # noqa: B010 - as above
        self.add("standard output or error", printed.getvalue())
        for each in warned:
            self.add("a warning", each.message)

    def places(self, secret: str) -> list[str]:
        """Return where a secret is shown, in any common encoding."""
        redaction = Redaction([Secret(secret)])
        parts = {secret[start : start + _PART] for start in range(len(secret) - _PART + 1)}
        return sorted(
            {
                place
                for place, text in self.strings
                if redaction.text(text) != text or any(part in text for part in parts)
            }
        )

    def passwords(self) -> list[str]:
        """Return where a URL with a password is shown."""
        return sorted({place for place, text in self.strings if _PASSWORD.search(text)})


def attributes_with(store: object, entry: str) -> list[str]:
    """Return the names of a store's attributes, and of its class's, from which an entry is reached.

    Objects of other modules, such as a connection, are not checked.
    """
    module, known = type(store).__module__, set[int]()

    def has(found: Any) -> bool:
        if isinstance(found, (str, bytes)):
            return entry in found if isinstance(found, str) else entry.encode() in found
        if id(found) in known:
            return False
        known.add(id(found))
        if isinstance(found, (list, tuple, set, frozenset, deque)):
            return any(map(has, [*found]))
        if isinstance(found, dict):
            return any(map(has, [*found.items()]))
        return type(found).__module__ == module and has(dict(_attributes(found)))

    return [name for name, each in _attributes(store) if has(each)]


def _attributes(found: Any) -> list[tuple[str, Any]]:
    holders = [found, *(cls for cls in type(found).__mro__ if cls.__module__ != "builtins")]
    return [pair for each in holders for pair in [*getattr(each, "__dict__", {}).items()]]


def in_seconds(seconds: float) -> float:
    """Return the time after some seconds, in epoch seconds."""
    return time.time() + seconds
