"""Watching what a provider's methods touch, log and print, on the thread that calls them."""

from __future__ import annotations

import builtins
import contextlib
import io
import logging
import os
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_DOORS: tuple[tuple[Any, str, str], ...] = (
    (socket.socket, "connect", "connects to another host"),
    (socket, "create_connection", "connects to another host"),
    (socket, "getaddrinfo", "looks a host's name up"),
    (builtins, "open", "opens a file"),
    (io, "open", "opens a file"),
    (os, "open", "opens a file"),
    (subprocess.Popen, "__init__", "starts a process"),
)
_DAY = 86_400.0


@contextlib.contextmanager
def doors() -> Generator[list[str]]:
    """Give the list of what is done to files, sockets and processes; each attempt raises."""
    seen: list[str] = []
    me = threading.get_ident()

    def shut(original: Callable[..., Any], what: str) -> Callable[..., Any]:
        def door(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != me:
                return original(*args, **kwargs)
            seen.append(what)
            raise PermissionError(what)

        return door

    with contextlib.ExitStack() as stack:
        for owner, name, what in _DOORS:
            stack.enter_context(_replaced(owner, name, shut(getattr(owner, name), what)))
        yield seen


@contextlib.contextmanager
def tomorrow() -> Generator[None]:
    """Let the wall clock of this thread show tomorrow's time."""
    me, now, now_ns = threading.get_ident(), time.time, time.time_ns

    def ahead() -> float:
        return _DAY if threading.get_ident() == me else 0.0

    with (
        _replaced(time, "time", lambda: now() + ahead()),
        _replaced(time, "time_ns", lambda: now_ns() + int(ahead()) * 10**9),
    ):
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, stand_in: object) -> Generator[None]:
    """Let another object stand in for an attribute of a module or class."""
    original = getattr(owner, name)
    setattr(owner, name, stand_in)
    try:
        yield
    finally:
        setattr(owner, name, original)


class _Texts(logging.Handler):
    """Keeps the text of every record."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[tuple[str, str]] = []
        self._formatter = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append((f"the log {record.name}", self._formatter.format(record)))
        self.texts.append((f"an argument in the log {record.name}", repr(record.args)))


@contextlib.contextmanager
def shown() -> Generator[list[tuple[str, str]]]:
    """Give all that is logged, at any level, and printed: where, and what."""
    handler, root = _Texts(), logging.getLogger()
    levels = {logger: logger.level for logger in (root, logging.getLogger("keyturn"))}
    printed = io.StringIO()
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield handler.texts
    finally:
        root.removeHandler(handler)
        for logger, level in levels.items():
            logger.setLevel(level)
        handler.texts.append(("what is printed", printed.getvalue()))
