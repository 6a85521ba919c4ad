"""Capture what a provider's methods log and print, and move the clock."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from keyturn._common.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from keyturn import errors

_DAY = 86_400.0
_DATETIME = dt.datetime


@contextlib.contextmanager
def tomorrow() -> Generator[None]:
    """Set this thread's wall clock a day ahead."""
    me, now, now_ns = threading.get_ident(), time.time, time.time_ns

    def ahead() -> float:
        return _DAY if threading.get_ident() == me else 0.0

    with (
        _replaced(time, "time", lambda: now() + ahead()),
        _replaced(time, "time_ns", lambda: now_ns() + int(ahead()) * 10**9),
    ):
        yield


@contextlib.contextmanager
def stopped(owner: type) -> Generator[None]:
    """Stop the clocks of this thread for the module of a class.

    Args:
        owner: The class.
    """
    module = sys.modules.get(owner.__module__)
    with _clocks(owner, lambda usual: type(usual())(1)), contextlib.ExitStack() as stack:
        for holder in filter(None, (dt, module)):
            if getattr(holder, "datetime", None) is _DATETIME:
                stack.enter_context(_replaced(holder, "datetime", _Still))
        yield


@contextlib.contextmanager
def counted(owner: type, count: Callable[[], None]) -> Generator[None]:
    """Call a function each time this thread reads the clock.

    Args:
        owner: A class; the names that its module has imported count too.
        count: The function; what it raises ends a loop.
    """

    def read(usual: Any) -> Any:
        count()
        return usual()

    with _clocks(owner, read):
        yield


@contextlib.contextmanager
def _clocks(owner: type, read: Callable[[Any], Any]) -> Generator[None]:
    """Replace the clocks of this thread, also those that the module of a class has imported."""
    me, module = threading.get_ident(), sys.modules.get(owner.__module__)
    names = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")

    def replacement(usual: Any) -> Any:
        return lambda: read(usual) if threading.get_ident() == me else usual()

    with contextlib.ExitStack() as stack:
        for name in names:
            usual = getattr(time, name)
            stack.enter_context(_replaced(time, name, replacement(usual)))
            if getattr(module, name, None) is usual:
                stack.enter_context(_replaced(module, name, replacement(usual)))
        yield


class _Still(dt.datetime):
    """A clock that always returns the first second of 1970."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(1, tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.fromtimestamp(1, dt.UTC).replace(tzinfo=None)

    today = now


@contextlib.contextmanager
def _replaced(owner: Any, name: str, replacement: object) -> Generator[None]:
    """Replace an attribute of a module or class for a while."""
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


# Attributes of each record, and those that others than the provider may add.
_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class _Messages(logging.Handler):
    """Keeps the message of every record."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: list[tuple[str, str]] = []
        self._formatter = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append((f"the log {record.name}", self._formatter.format(record)))
        self.messages.append((f"an argument in the log {record.name}", repr(record.args)))
        extra = {name: each for name, each in vars(record).items() if name not in _USUAL}
        if extra:
            self.messages.append((f"the extra of the log {record.name}", repr(extra)))


@contextlib.contextmanager
def captured_output() -> Generator[list[tuple[str, str]]]:
    """Yield log messages of any level, and output: pairs of origin and string."""
    handler, root = _Messages(), logging.getLogger()
    levels = {logger: logger.level for logger in (root, logging.getLogger("keyturn"))}
    printed = io.StringIO()
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    call = logging.Logger.callHandlers

    def seen(logger: logging.Logger, record: logging.LogRecord) -> None:
        handler.emit(record)  # also of loggers that do not propagate
        call(logger, record)

    try:
        with (
            _replaced(logging.Logger, "callHandlers", seen),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            yield handler.messages
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        handler.messages.append(("what is printed", printed.getvalue()))


@contextlib.contextmanager
def plugin_errors() -> Generator[list[str]]:
    """Yield the messages of errors in a provider's code, before keyturn hides secrets in them."""
    said: list[str] = []
    hide = Redaction.error

    def note(redaction: Redaction, error: errors.KeyturnError) -> errors.KeyturnError:
        said.append(f"{error} {error.args} {vars(error)}")
        return hide(redaction, error)

    with _replaced(Redaction, "error", note):
        yield said
