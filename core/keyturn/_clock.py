"""The clocks that keyturn reads, in one place, so that a test can bring its own."""

from __future__ import annotations

import time as clocks
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

# On Linux, time.monotonic stands still while the machine sleeps; on macOS, this one does not.
_SINCE_BOOT = getattr(clocks, "CLOCK_BOOTTIME", clocks.CLOCK_MONOTONIC)


def _time() -> float:
    return clocks.time()


def _monotonic() -> float:
    return clocks.clock_gettime(_SINCE_BOOT)


@attrs.frozen
class Clock:
    """Two clocks and a way to wait.

    Both are needed: the wall clock can be set back, and the monotonic one, which can't be set and
    counts a machine's sleep where the system tells it, may stand still while a virtual machine is
    paused. A token is expired when either says so.

    Args:
        time: Returns epoch seconds.
        monotonic: Returns seconds that never go back.
        sleep: Waits for a number of seconds.
    """

    time: Callable[[], float] = _time
    monotonic: Callable[[], float] = _monotonic
    sleep: Callable[[float], None] = clocks.sleep


SYSTEM = Clock()
