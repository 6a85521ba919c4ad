"""A provider's method that two threads call at once, for two connections, line by line in turn."""

from __future__ import annotations

import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import attrs

from keyturn.testing.provider_kit._audit import is_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Work = Callable[[], object]
    Result = Callable[[], object]

# Seconds after which a thread goes on alone: the other waits for a lock that it holds.
_PATIENCE = 0.1
# By how many lines one is ahead of the other, and how often they take turns.
_MOST_AHEAD, _MOST_TURNS = 6, 400


def interleaved(
    pairs: list[tuple[str, Work, Work]], places: tuple[str, ...]
) -> list[tuple[str, Result, Result]]:
    """Call each pair on two threads that take turns at each line of the provider's own code.

    Args:
        pairs: A name, and what each thread calls.
        places: The files and directories of the provider's own code.

    Returns:
        The same names, and what returns or raises what the calls did, for each way of taking turns.
    """
    found: list[tuple[str, Result, Result]] = []
    threads = [_Worker(places) for _ in range(2)]
    try:
        for name, one, other in pairs:
            lines = _together(threads, one, lambda: None, _MOST_TURNS).lines
            for ahead in range(1, min(lines, _MOST_AHEAD) + 1):
                turns = _together(threads, one, other, ahead)
                found.append((name, turns.results[0], turns.results[1]))
                if turns.is_locked:  # the provider sees to it that no two do it at once
                    break
    finally:
        for each in threads:
            each.end()
    return found


def _together(threads: list[_Worker], one: Work, other: Work, ahead: int) -> _Turns:
    turns = _Turns(ahead)
    for number, work in enumerate((one, other)):
        threads[number].start(turns, number, work)
    for each in threads:
        each.wait()
    return turns


@attrs.define
class _Turns:
    """The turns of two threads, of which the first begins.

    Args:
        ahead: The lines that the first one runs before the other begins.
        lines: The lines that both have run.
        is_locked: Whether one had to wait for a lock that the other held.
    """

    ahead: int
    lines: int = 0
    is_locked: bool = False
    results: list[Result] = attrs.field(factory=lambda: [_nothing, _nothing])
    _is_alone: bool = False
    _go: tuple[threading.Semaphore, ...] = attrs.field(
        factory=lambda: (threading.Semaphore(1), threading.Semaphore(0))
    )

    def run(self, number: int, work: Work) -> None:  # pragma: no cover - its thread is traced
        """Run one thread's call when it is its turn, and leave the rest to the other."""
        self._go[number].acquire()
        self.results[number] = result(work)
        self._is_alone = True
        self._go[1 - number].release()

    def line(self, number: int) -> None:  # pragma: no cover - as run
        """Let the other thread go on, if there is one, and wait for the next turn."""
        self.lines += 1
        if self._is_alone or self.lines < self.ahead or self.lines > _MOST_TURNS:
            return
        self._go[1 - number].release()
        if not self._go[number].acquire(timeout=_PATIENCE):
            self.is_locked = self._is_alone = True


class _Worker:
    """A thread that is traced, and runs one call after another."""

    def __init__(self, places: tuple[str, ...]) -> None:
        self._places = places
        self._turns, self._number = _Turns(0), 0
        self._works: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        name = "keyturn-interleaved"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._works.put(self._trace)
        self.wait()  # CPython 3.11 fails if two threads begin to be traced at once

    def start(self, turns: _Turns, number: int, work: Work) -> None:
        """Begin a call."""
        self._turns, self._number = turns, number
        self._works.put(lambda: turns.run(number, work))

    def wait(self) -> None:
        """Wait until the call has ended."""
        self._done.get()

    def end(self) -> None:
        """End the thread."""
        self._works.put(None)
        self._thread.join()

    def _run(self) -> None:
        for work in iter(self._works.get, None):
            work()
            self._done.put(None)
        sys.settrace(None)

    def _trace(self) -> None:
        sys.settrace(self._called)

    def _called(
        self, frame: FrameType, event: str, argument: Any
    ) -> Any:  # pragma: no cover - as run
        del event, argument
        return self._line if is_in(frame.f_code.co_filename, self._places) else None

    def _line(
        self, frame: FrameType, event: str, argument: Any
    ) -> Any:  # pragma: no cover - as run
        del frame, argument
        if event == "line":
            self._turns.line(self._number)
        return self._line


def _nothing() -> None:
    """The result of a call that has not ended."""


def result(work: Work) -> Result:
    """Call something, and return what returns or raises the same again."""
    try:
        made = work()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is compared
        raised = error

        def fail() -> object:
            raise raised

        return fail
    return lambda: made
