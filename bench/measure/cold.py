"""Many callers at once that have no token yet."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.floors import fetch
from bench.peers._peer import Endpoint, Peer

if TYPE_CHECKING:
    from bench.measure.context import Context
    from bench.peers._peer import AsyncCall, Call

    Figures = dict[str, float]

LATENCY = 0.2
CALLERS = 100
_BURST = 20
_PER_MINUTE = 3.0
_BURST_PATIENCE = 6.0
_PROCESS_PATIENCE = 150.0


def threads(peer: Peer, context: Context) -> Figures | None:
    """Start 100 threads that call at once."""
    endpoint = context.scenario(latency=LATENCY)
    call = peer.sync(endpoint)
    if call is None:
        return None
    _warm_up(peer.sync(context.scenario()))
    waits = _crowd(peer, call, _patience(context))
    return _figures(waits, CALLERS, context, endpoint)


def tasks(peer: Peer, context: Context) -> Figures | None:
    """Start 100 tasks that call at once."""
    return asyncio.run(_tasks(peer, context))


async def _tasks(peer: Peer, context: Context) -> Figures | None:
    endpoint = context.scenario(latency=LATENCY)
    call, first = peer.asynchronous(endpoint), peer.asynchronous(context.scenario())
    if call is None or first is None:
        return None
    await first()
    waits: list[float] = []
    start = time.perf_counter()

    async def wait(call: AsyncCall) -> None:
        with contextlib.suppress(Exception):
            peer.access_token(await call())
            waits.append(time.perf_counter() - start)

    await asyncio.wait(
        [asyncio.create_task(wait(call)) for _ in range(CALLERS)], timeout=_patience(context)
    )
    return _figures(waits, CALLERS, context, endpoint)


def processes(peer: Peer, context: Context, count: int) -> Figures | None:
    """Start processes that call at once, with the store that the library can share between them."""
    endpoint = context.scenario(latency=LATENCY)
    warm = context.scenario()
    with tempfile.TemporaryDirectory() as directory:
        arguments = [endpoint.url, warm.url, directory]
        children = [_start(peer, arguments) for _ in range(count)]
        watchdog = threading.Timer(_PROCESS_PATIENCE, _kill, [children])
        watchdog.start()
        try:
            for child in children:
                _line(child)
            for child in children:
                assert child.stdin is not None  # noqa: S101 - for the type checkers
                child.stdin.write("go\n")
                child.stdin.flush()
            waits = [json.loads(_line(child)) for child in children]
        finally:
            watchdog.cancel()
            _kill(children)
    return _figures(waits, count, context, endpoint)


def burst(peer: Peer, context: Context) -> Figures | None:
    """Start 100 threads against an endpoint that allows 20 token requests, and 3 more a minute."""
    endpoint = context.scenario(latency=LATENCY, burst=_BURST, per_minute=_PER_MINUTE)
    call = peer.sync(endpoint)
    if call is None:
        return None
    outcomes: list[bool] = []
    waits = _crowd(peer, call, _BURST_PATIENCE, outcomes)
    return {
        "succeeded": len(waits),
        "failed": len(outcomes) - len(waits),
        "waiting": CALLERS - len(outcomes),
        "token_requests": context.counts(endpoint)["token_requests"],
    }


def wait_and_call(peer: Peer) -> None:
    """Run as one of the processes: get ready, wait for a line, call, and print the seconds.

    It ends when it is killed, so that an interpreter's shutdown does not delay the others.
    """
    url, warm, directory = sys.argv[1:]
    _warm_up(peer.sync(Endpoint.from_url(warm)))
    endpoint = Endpoint.from_url(url)
    call = peer.on_disk(endpoint, Path(directory)) or peer.sync(endpoint)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    if call is not None:
        peer.access_token(call())
    print(time.perf_counter() - start, flush=True)
    sys.stdin.readline()


def _start(peer: Peer, arguments: list[str]) -> subprocess.Popen[str]:
    module = type(peer).__module__
    program = f"import {__name__} as cold, {module} as peers; cold.wait_and_call(peers.PEER)"
    return subprocess.Popen(  # noqa: S603 - a command of our own
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None  # noqa: S101 - for the type checkers
    return child.stdout.readline()


def _kill(children: list[subprocess.Popen[str]]) -> None:
    for child in children:
        child.kill()
        child.wait()


def _warm_up(call: Call | None) -> None:
    """Get a token from another endpoint first, so that all modules are imported."""
    if call is not None:
        call()


def _patience(context: Context) -> float:
    """Return the seconds after which a caller counts as stuck."""
    return 3.0 if context.quick else 1.1 * CALLERS * LATENCY


def _crowd(peer: Peer, call: Call, patience: float, seen: list[bool] | None = None) -> list[float]:
    """Return the seconds that each thread waited that got a token."""
    waits: list[float] = []
    barrier = threading.Barrier(CALLERS + 1)
    outcomes = [] if seen is None else seen

    def wait() -> None:
        barrier.wait()
        start = time.perf_counter()
        try:
            peer.access_token(call())
        except Exception:  # noqa: BLE001 - whatever the library raises, there is no token
            outcomes.append(False)
        else:
            waits.append(time.perf_counter() - start)
            outcomes.append(True)

    workers = [threading.Thread(target=wait, daemon=True) for _ in range(CALLERS)]
    for worker in workers:
        worker.start()
    barrier.wait()
    deadline = time.monotonic() + patience
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
    return list(waits)


def _figures(waits: list[float], callers: int, context: Context, endpoint: Endpoint) -> Figures:
    bare = context.scenario(latency=LATENCY)
    floor = statistics.median(_timed_fetch(bare) for _ in range(3))
    without = callers - len(waits)
    slowest = _patience(context) if without else max(waits)
    return {
        "token_requests": context.counts(endpoint)["token_requests"],
        "without": without,
        "seconds": slowest,
        "floor": floor,
        "ratio": slowest / floor,
    }


def _timed_fetch(endpoint: Endpoint) -> float:
    start = time.perf_counter()
    fetch(endpoint)
    return time.perf_counter() - start
