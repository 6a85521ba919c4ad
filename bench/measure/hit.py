"""The cost of one call with a valid token."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from timeit import Timer
from typing import TYPE_CHECKING

from bench.floors import CountingSlot, Empty, Slot
from bench.measure.compare import BATCH, calls_in, compare, compare_async, ratio

if TYPE_CHECKING:
    from bench.measure.context import Context
    from bench.peers._peer import Call, Peer

    Figures = dict[str, float]

_PAUSE = 0.11
_THREADS = 8
_THREADED_CALLS = 400_000


def hit(peer: Peer, context: Context) -> Figures | None:
    """Time `token()` in a loop, against a slot read and a clock read."""
    call = peer.sync(context.scenario())
    if call is None:
        return None
    ours, slot, least = compare([call, Slot().token, CountingSlot().token])
    return {
        "seconds": statistics.median(ours),
        "ratio": ratio(ours, slot),
        "least_ratio": ratio(least, slot),
    }


def hit_after_pause(peer: Peer, context: Context) -> Figures | None:
    """Time one `token()` after a pause, against a slot read and a clock read after the same."""
    call = peer.sync(context.scenario())
    if call is None:
        return None
    call()
    calls: list[Call | None] = [call, Slot().token, None]
    samples: list[list[float]] = [[] for _ in calls]
    for round_ in range(15 if context.quick else 41):
        # Another call comes first in each round.
        for place in (0, 1, 2) if round_ % 2 else (1, 0, 2):
            samples[place].append(_after_pause(calls[place]))
    measured, slot, timer = map(statistics.median, samples)
    ours, floor = measured - timer, slot - timer
    return {"seconds": ours, "floor": floor, "ratio": ours / floor}


def async_hit(peer: Peer, context: Context) -> Figures | None:
    """Time `await atoken()` against an awaited slot and clock read, and an empty method."""
    call = peer.asynchronous(context.scenario())
    if call is None:
        return None
    calls = [call, Slot().atoken, CountingSlot().atoken, Empty().atoken]
    ours, slot, least, empty = asyncio.run(compare_async(calls))
    return {
        "seconds": statistics.median(ours),
        "ratio": ratio(ours, slot),
        "least_ratio": ratio(least, slot),
        "empty_ratio": ratio(ours, empty),
        "slot_empty_ratio": ratio(slot, empty),
    }


def threads(peer: Peer, context: Context) -> Figures | None:
    """Time the hits of 8 threads against as many of 1 thread."""
    call = peer.sync(context.scenario())
    if call is None:
        return None
    call()
    total = min(_THREADED_CALLS, calls_in(Timer(call), 50 * BATCH))
    pairs = [(_threaded(call, _THREADS, total), _threaded(call, 1, total)) for _ in range(15)]
    many, one = (list(times) for times in zip(*pairs, strict=True))
    return {"seconds": statistics.median(many) / total, "ratio": ratio(many, one)}


def _after_pause(call: Call | None) -> float:
    """Return the seconds of a call after a pause; without a call, of the measurement itself."""
    clock = time.perf_counter
    time.sleep(_PAUSE)
    if call is None:
        start = clock()
        return clock() - start
    start = clock()
    call()
    return clock() - start


def _threaded(call: Call, threads: int, total: int) -> float:
    """Return the seconds in which several threads make `total` calls together."""
    barrier = threading.Barrier(threads + 1)

    def work() -> None:
        barrier.wait()
        for _ in range(total // threads):
            call()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    start = time.perf_counter()
    barrier.wait()
    for worker in workers:
        worker.join()
    return time.perf_counter() - start
