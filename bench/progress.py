"""The progress of a long run, on standard error."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_WIDTH = 30


class Progress:
    """A bar on a terminal; one line for each step elsewhere.

    Args:
        total: The number of steps.
        stream: Where to write.
    """

    def __init__(self, total: int, stream: TextIO = sys.stderr) -> None:
        self._total = total
        self._stream = stream
        self._bar = stream.isatty()
        self._done = 0
        self._start = time.monotonic()

    def step(self, what: str) -> None:
        """Show that the next step begins."""
        seconds = int(time.monotonic() - self._start)
        place = f"{self._done}/{self._total} {seconds // 60}:{seconds % 60:02}"
        if self._bar:
            full = _WIDTH * self._done // self._total
            bar = "#" * full + "." * (_WIDTH - full)
            self._stream.write(f"\r\x1b[2K[{bar}] {place} {what}")
        else:
            self._stream.write(f"{place} {what}\n")
        self._stream.flush()
        self._done += 1

    def finish(self) -> None:
        """Show that all steps are done."""
        self.step("done")
        if self._bar:
            self._stream.write("\n")
