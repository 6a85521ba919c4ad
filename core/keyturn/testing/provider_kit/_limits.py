"""A time limit for each check, so that a provider that waits forever does not block the tests."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, TypeVar

from keyturn.testing.provider_kit._audit import forget, line_in
from keyturn.testing.provider_kit._examples import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SECONDS = 20.0
"""The seconds that a check may take."""
# How many quarters of that are added if the code does not stay on one line.
_PARTS = 16


class Hung(CheckFailed):
    """A check did not end in time; its thread still runs."""


def within_limit(
    work: Callable[[], CheckFailed | None], places: tuple[str, ...]
) -> CheckFailed | None:
    """Return what `work` returns, or a failure if it does not end in time.

    Args:
        work: Runs on its own thread.
        places: The files of the provider's own code, to say where it waits.
    """
    found: list[CheckFailed | None] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=run, name="keyturn-check", daemon=True)
    thread.start()
    where = _join(thread, places)
    if raised:
        raise raised[0]
    if found:
        return found[0]
    forget()
    return Hung(
        f"a method of the provider does not end within {SECONDS:g} s.",
        "remove waits and endless loops from it.",
        at=where,
    )


def _join(thread: threading.Thread, places: tuple[str, ...]) -> str:
    """Wait for a thread; if it does not end, return the current line of the provider's code.

    A busy machine is slow: the wait ends early only if the code stays on one line.
    """
    thread.join(SECONDS)
    if not thread.is_alive():  # as nearly always: the rest would take a tenth of a run
        return ""
    where = _waiting(places)
    for _ in range(_PARTS):
        thread.join(SECONDS / 4)
        before, where = where, _waiting(places)
        if not thread.is_alive() or (where and where == before):
            break
    return where


def _waiting(places: tuple[str, ...]) -> str:
    """Return the line of the provider's code that a thread runs."""
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - documented
    lines = (line_in(frame, places) for frame in frames.values())
    return next(filter(None, lines), "")
