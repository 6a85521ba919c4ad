"""Times calls that never wait, in batches that take turns.

The time is the CPU time of all threads, so that other processes of a busy machine do not count.
"""

from __future__ import annotations

import gc
import statistics
import time
from timeit import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers._peer import AsyncCall, Call

    Samples = list[list[float]]
    """The seconds of one call, by call and round."""

BATCH = 0.002
"""Seconds of a batch; many short ones, so that a busy machine slows all calls alike."""
_ROUNDS = 241


def compare(calls: Sequence[Call]) -> Samples:
    """Return the seconds of each call, in every round."""
    timers = [Timer(call, timer=time.process_time) for call in calls]
    for call in calls:
        call()
    numbers = [calls_in(timer, BATCH) for timer in timers]
    samples: Samples = [[] for _ in calls]
    for order in _orders(len(calls)):
        for place in order:
            samples[place].append(timers[place].timeit(numbers[place]) / numbers[place])
    return samples


async def compare_async(calls: Sequence[AsyncCall]) -> Samples:
    """Return the seconds of each awaited call, in every round."""
    for call in calls:
        await call()
    numbers = [max(5, int(BATCH / await _awaited(call, 50))) for call in calls]
    samples: Samples = [[] for _ in calls]
    gc.disable()  # as timeit does
    try:
        for order in _orders(len(calls)):
            for place in order:
                samples[place].append(await _awaited(calls[place], numbers[place]))
            gc.collect(0)
    finally:
        gc.enable()
    return samples


def ratio(ours: Sequence[float], floor: Sequence[float]) -> float:
    """Return the median of the ratios of all rounds."""
    return statistics.median(a / b for a, b in zip(ours, floor, strict=True))


def calls_in(timer: Timer, seconds: float) -> int:
    """Return how many calls take about so many seconds."""
    number = 1
    while (taken := timer.timeit(number)) < seconds / 10:
        number *= 4
    return max(1, int(number * seconds / taken))


def _orders(count: int) -> list[range]:
    """Return the order of each round, reversed each time: no call always follows the same one."""
    there = range(count)
    return [there[::-1] if each % 2 else there for each in range(_ROUNDS)]


async def _awaited(call: AsyncCall, number: int) -> float:
    start = time.process_time()
    for _ in range(number):
        await call()
    return (time.process_time() - start) / number
