"""Many callers at once, and no token yet."""

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

from bench.peers._peer import Endpoint, Peer
from bench.peers.floor import fetch

if TYPE_CHECKING:
    from bench.peers._peer import AsyncCall, Call
    from bench.rows.measure import Context

    Figures = dict[str, float]

LATENCY = 0.2
CALLERS = 100
PROCESSES = 8
_BURST = 20
_PER_MINUTE = 3.0
_BURST_PATIENCE = 6.0
_PROCESS_PATIENCE = 60.0


def threads(peer: Peer, context: Context) -> Figures | None:
    """Let 100 threads ask at once."""
    endpoint = context.scenario(latency=LATENCY)
    call = peer.sync(endpoint)
    if call is None:
        return None
    _warm_up(peer.sync(context.scenario()))
    waits = _crowd(peer, call, _patience(context))
    return _figures(waits, CALLERS, context, endpoint)


def tasks(peer: Peer, context: Context) -> Figures | None:
    """Let 100 tasks ask at once."""
    return asyncio.run(_tasks(peer, context))


async def _tasks(peer: Peer, context: Context) -> Figures | None:
    endpoint = context.scenario(latency=LATENCY)
    call, first = peer.asynchronous(endpoint), peer.asynchronous(context.scenario())
    if call is None or first is None:
        return None
    await first()
    waits: list[float] = []
    start = time.perf_counter()

    async def ask(call: AsyncCall) -> None:
        with contextlib.suppress(Exception):
            peer.access_token(await call())
            waits.append(time.perf_counter() - start)

    await asyncio.wait(
        [asyncio.create_task(ask(call)) for _ in range(CALLERS)], timeout=_patience(context)
    )
    return _figures(waits, CALLERS, context, endpoint)


def processes(peer: Peer, context: Context) -> Figures | None:
    """Let 8 processes ask at once, sharing what the library can share between processes."""
    endpoint = context.scenario(latency=LATENCY)
    warm = context.scenario()
    with tempfile.TemporaryDirectory() as directory:
        places = [endpoint.address, endpoint.path, warm.path, directory]
        children = [_start(peer, places) for _ in range(PROCESSES)]
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
    return _figures(waits, PROCESSES, context, endpoint)


def burst(peer: Peer, context: Context) -> Figures | None:
    """Let 100 threads ask an endpoint that allows 20 token requests, and 3 more a minute."""
    endpoint = context.scenario(latency=LATENCY, burst=_BURST, per_minute=_PER_MINUTE)
    call = peer.sync(endpoint)
    if call is None:
        return None
    answered: list[bool] = []
    waits = _crowd(peer, call, _BURST_PATIENCE, answered)
    return {
        "succeeded": len(waits),
        "failed": len(answered) - len(waits),
        "waiting": CALLERS - len(answered),
        "token_requests": context.counts(endpoint)["token_requests"],
    }


def wait_for_word(peer: Peer) -> None:
    """Be one of the processes: get ready, wait for a word, ask, and print the seconds it took.

    It ends when it is killed: what an interpreter does at its end is not to slow down the others.
    """
    address, path, warm, directory = sys.argv[1:]
    _warm_up(peer.sync(Endpoint(address, warm)))
    endpoint = Endpoint(address, path)
    call = peer.on_disk(endpoint, Path(directory)) or peer.sync(endpoint)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    if call is not None:
        peer.access_token(call())
    print(time.perf_counter() - start, flush=True)
    sys.stdin.readline()


def _start(peer: Peer, arguments: list[str]) -> subprocess.Popen[str]:
    spec = sys.modules[type(peer).__module__].__spec__  # its module runs as `__main__` here
    module, kind = spec.name if spec else type(peer).__module__, type(peer).__name__
    program = f"import {__name__} as cold, {module} as peers; cold.wait_for_word(peers.{kind}())"
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
    """Get a first token elsewhere: what is imported for that is measured by a row of its own."""
    if call is not None:
        call()


def _patience(context: Context) -> float:
    """Return the seconds after which a caller counts as stuck."""
    return 3.0 if context.quick else 1.1 * CALLERS * LATENCY


def _crowd(
    peer: Peer, call: Call, patience: float, answered: list[bool] | None = None
) -> list[float]:
    """Return how long each thread waited that got a token, in seconds."""
    waits: list[float] = []
    barrier = threading.Barrier(CALLERS + 1)
    outcomes = [] if answered is None else answered

    def ask() -> None:
        barrier.wait()
        start = time.perf_counter()
        try:
            peer.access_token(call())
        except Exception:  # noqa: BLE001 - whatever a library raises, there is no token
            outcomes.append(False)
        else:
            waits.append(time.perf_counter() - start)
            outcomes.append(True)

    workers = [threading.Thread(target=ask, daemon=True) for _ in range(CALLERS)]
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
