"""Parallel work for several names, with progress on a terminal."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_THREADS: Final = 16


def for_each(names: Sequence[str], work: Callable[[str], T], progress: str = "") -> list[T]:
    """Return the result of a function for each name, in the order of the names.

    Args:
        names: The names, each once.
        work: The function; its exceptions are raised.
        progress: The label of the counter on standard error if that is a terminal; none by default.
    """
    # One iterator for all threads: each name goes to one of them.
    waiting = iter(names)
    found: dict[str, T] = {}
    failures: list[Exception] = []

    def run() -> None:
        for name in waiting:
            try:
                found[name] = work(name)
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
            if progress and sys.stderr is not None and sys.stderr.isatty():
                end = "\r" if len(found) < len(names) else "\r\x1b[K"
                print(f"{len(found)} of {len(names)} {progress}", end=end, file=sys.stderr)

    threads = [threading.Thread(target=run, daemon=True) for _ in names[1:_THREADS]]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except RuntimeError:  # no more threads: this one does the rest
        pass
    run()
    for thread in started:
        thread.join()
    if failures:
        raise failures[0]
    return [found[name] for name in names]
