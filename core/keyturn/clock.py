"""The clocks that keyturn reads, in one place, so that a test can bring its own."""

from __future__ import annotations

import time as clocks
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable


def _time() -> float:
    return clocks.time()


def _monotonic() -> float:
    return clocks.monotonic()


@attrs.frozen
class Clock:
    """Two clocks and a way to wait.

    Both are needed: the wall clock sees a machine's sleep but can be set back, the monotonic one
    can't be set but may stand still while the machine sleeps. A token is expired when either says
    so.

    Args:
        time: Returns epoch seconds.
        monotonic: Returns seconds that never go back.
        sleep: Waits for a number of seconds.
    """

    time: Callable[[], float] = _time
    monotonic: Callable[[], float] = _monotonic
    sleep: Callable[[float], None] = clocks.sleep


SYSTEM = Clock()
