"""The clocks that keyturn reads, in one place, so that a test can replace them."""

from __future__ import annotations

import functools
import os
import time as clocks
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Callable

# On Linux, CLOCK_MONOTONIC stops while the machine is suspended and CLOCK_BOOTTIME does not
# (clock_gettime(2)); on macOS, CLOCK_MONOTONIC counts that time. Windows has one that counts it
# (GetTickCount64), and no clock_gettime.
_read: Any = getattr(clocks, "clock_gettime", None)
_id = getattr(clocks, "CLOCK_BOOTTIME", getattr(clocks, "CLOCK_MONOTONIC", None))
# Without a Python frame, because every cache hit reads it.
_monotonic: Callable[[], float] = functools.partial(_read, _id) if _read else clocks.monotonic


class Clock:
    """Two clocks and a way to wait.

    Args:
        time: Returns epoch seconds. Only entries of a store contain these, because this clock can
            be set.
        monotonic: Returns seconds that never decrease and that count suspended time. Within a
            process, only this clock determines the expiry of a token.
        sleep: Waits for a number of seconds.

    Attributes:
        id: Identifies this clock, so that only the process that wrote an entry (and its forks) uses
            the reading of `monotonic` in that entry.
    """

    __slots__ = ("id", "monotonic", "sleep", "time")

    def __init__(
        self,
        time: Callable[[], float] = clocks.time,
        monotonic: Callable[[], float] = _monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
    ) -> None:
        self.time = time
        self.monotonic = monotonic
        self.sleep = sleep
        self.id = os.urandom(8).hex()


SYSTEM = Clock()

# Epoch seconds in the year 5138: a later time in a store's entry is out of range.
MAX_TIME = 1e11


def is_time(value: object) -> bool:
    """Return whether a value can be a time in an entry of a store."""
    return is_number(value) and 0 <= value <= MAX_TIME


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a JSON value is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
