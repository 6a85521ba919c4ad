"""What the tests of a token store watch and report with."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager


class Log(logging.Handler):
    """Gathers what is logged, arguments and tracebacks included, for a `with` block."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Gather one record."""
        text = f"{self.format(record)} {record.args!r}"
        self.records.append((record.name, text))

    def __enter__(self) -> None:
        root = logging.getLogger()
        self._level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.setLevel(self._level)
        root.removeHandler(self)


@contextlib.contextmanager
def taken(lock: AbstractContextManager[None], holder: str) -> Generator[None]:
    """Hold a lock for a `with` block; a `TimeoutError` fails the test."""
    try:
        lock.__enter__()
    except TimeoutError:
        raise AssertionError(
            f"a lock can't be taken over after its lease when its holder {holder}."
        ) from None
    with contextlib.ExitStack() as stack:
        stack.push(lock)
        yield


def require(condition: bool, message: str) -> None:  # noqa: FBT001 - as in `assert`
    """Fail the test with a message if the condition does not hold."""
    if not condition:
        raise AssertionError(f"{message}.")


def in_seconds(seconds: float) -> float:
    """Return the time in some seconds, in epoch seconds."""
    return time.time() + seconds
