"""Very many clients in one process: the memory of each, and what a call costs among them."""

from __future__ import annotations

import gc
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.floors import Slot
from bench.measure.compare import ratio
from bench.measure.tenants import entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure.context import Context
    from bench.peers._peer import Peer

    Figures = dict[str, float]

_SIZES = 1, 1_000, 100_000
_QUICK_SIZES = 1, 1_000, 10_000
_CALLS = 100_000
_BATCHES = 5
_PAGE = 4096


def many(peer: Peer, context: Context) -> Figures | None:
    """Measure the memory of a client, and the hit among 1, 1,000 and 100,000 of them."""
    sizes = _QUICK_SIZES if context.quick else _SIZES
    endpoint = context.scenario()
    if peer.many(endpoint, 1) is None:
        return None
    before, start = _memory(), time.perf_counter()
    clients = peer.many(endpoint, sizes[-1]) or []
    made = time.perf_counter() - start
    figures = {
        "bytes_each": (_memory() - before) / len(clients),
        "seconds_each_made": made / len(clients),
        "threads": entries("task"),
        "descriptors": entries("fd"),
    }
    slots = [Slot() for _ in clients]
    for size, name in zip(sizes, ("one", "thousand", "all"), strict=True):
        pairs = [(_round(clients[:size]), _round(slots[:size])) for _ in range(_BATCHES)]
        ours, floor = (list(times) for times in zip(*pairs, strict=True))
        figures[f"seconds_{name}"] = statistics.median(ours)
        figures[f"ratio_{name}"] = ratio(ours, floor)
    return figures


def _round(clients: Sequence[Any]) -> float:
    """Return the seconds of one call; the clients take turns."""
    # The loop has the same length for one as for many, so that its own cost for a call is equal.
    turns = [*clients] * max(1, _CALLS // len(clients))
    start = time.process_time()
    for client in turns:
        client.token()
    return (time.process_time() - start) / len(turns)


def _memory() -> int:
    """Return the resident memory of this process, in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
