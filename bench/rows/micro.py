"""What one call costs when the token is there, in batches that take turns with the floor."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from timeit import Timer
from typing import TYPE_CHECKING

from bench.peers.floor import Empty, Slot

if TYPE_CHECKING:
    from bench.peers._peer import AsyncCall, Call, Peer
    from bench.rows.measure import Context

    Figures = dict[str, float]

_BATCH = 0.005
_BATCHES = 41
_THREADS = 8
_THREADED_CALLS = 400_000


def hit(peer: Peer, context: Context) -> Figures | None:
    """Time `token()` against a slot and a look at the clock."""
    call = peer.sync(context.scenario())
    return None if call is None else _compare(call, Slot().token)


def async_hit(peer: Peer, context: Context) -> Figures | None:
    """Time `await atoken()` against an empty awaited method, and so the least that there is."""
    call = peer.asynchronous(context.scenario())
    if call is None:
        return None
    figures = asyncio.run(_async_compare(call, Empty().atoken))
    least = asyncio.run(_async_compare(Slot().atoken, Empty().atoken))
    return {**figures, "least_ratio": least["ratio"]}


def request(peer: Peer, context: Context) -> Figures | None:
    """Time an API request against one with a static header."""
    calls = peer.session(context.scenario())
    return None if calls is None else _compare(*calls)


def async_request(peer: Peer, context: Context) -> Figures | None:
    """Time an API request of an asynchronous client against one with a static header."""

    async def measure() -> Figures | None:
        calls = peer.async_session(context.scenario())
        return None if calls is None else await _async_compare(*calls)

    return asyncio.run(measure())


def threads(peer: Peer, context: Context) -> Figures | None:
    """Time the hits of 8 threads against as many of 1 thread."""
    call = peer.sync(context.scenario())
    if call is None:
        return None
    call()
    total = min(_THREADED_CALLS, _calls_in(call, 40 * _BATCH))
    pairs = [(_threaded(call, _THREADS, total), _threaded(call, 1, total)) for _ in range(15)]
    many, one = (statistics.median(times) / total for times in zip(*pairs, strict=True))
    return {"seconds": many, "floor": one, "ratio": many / one}


def _compare(call: Call, floor: Call) -> Figures:
    call()
    numbers = [_calls_in(each, _BATCH) for each in (call, floor)]
    timers = [*zip((Timer(call), Timer(floor)), numbers, strict=True)]
    pairs = [[timer.timeit(number) / number for timer, number in timers] for _ in range(_BATCHES)]
    return _figures(pairs)


async def _async_compare(call: AsyncCall, floor: AsyncCall) -> Figures:
    await call()
    seconds = await _awaited(call, 20), await _awaited(floor, 20)
    numbers = [max(10, int(_BATCH / each)) for each in seconds]
    pairs = [
        [await _awaited(each, n) for each, n in zip((call, floor), numbers, strict=True)]
        for _ in range(_BATCHES)
    ]
    return _figures(pairs)


async def _awaited(call: AsyncCall, number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        await call()
    return (time.perf_counter() - start) / number


def _figures(pairs: list[list[float]]) -> Figures:
    seconds, floor = (statistics.median(times) for times in zip(*pairs, strict=True))
    return {"seconds": seconds, "floor": floor, "ratio": seconds / floor}


def _calls_in(call: Call, seconds: float) -> int:
    number = 1
    while (taken := Timer(call).timeit(number)) < seconds / 10:
        number *= 4
    return max(1, int(number * seconds / taken))


def _threaded(call: Call, threads: int, total: int) -> float:
    """Return the seconds in which some threads make `total` calls together."""
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
