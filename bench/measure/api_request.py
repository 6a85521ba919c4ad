"""What a library adds to an API request, against the same headers set manually."""

from __future__ import annotations

import asyncio
import statistics
from typing import TYPE_CHECKING

from bench.measure.compare import compare, compare_async, ratio

if TYPE_CHECKING:
    from bench.measure.compare import Samples
    from bench.measure.context import Context
    from bench.peers._apis import Api
    from bench.peers._peer import Peer

    Figures = dict[str, float]


def api_request(peer: Peer, context: Context, api: Api) -> Figures | None:
    """Time an API request against the fastest way to set the headers manually."""
    calls = peer.session(context.scenario(), api)
    return None if calls is None else _figures(compare([calls.ours, *calls.floors, *calls.least]))


def async_api_request(peer: Peer, context: Context, api: Api) -> Figures | None:
    """Time the same request of an asynchronous client."""

    async def measure() -> Samples | None:
        calls = peer.async_session(context.scenario(), api)
        if calls is None:
            return None
        return await compare_async([calls.ours, *calls.floors, *calls.least])

    samples = asyncio.run(measure())
    return None if samples is None else _figures(samples)


def _figures(samples: Samples) -> Figures:
    ours, by_hand, least = samples[0], samples[1:4], samples[4:]
    fastest = min(by_hand, key=statistics.median)
    pairs = zip(ours, fastest, strict=True)
    figures = {
        "seconds": statistics.median(ours),
        "floor": statistics.median(fastest),
        "ratio": ratio(ours, fastest),
        "added": statistics.median(a - b for a, b in pairs),
    }
    if least:
        figures["least_ratio"] = ratio(least[0], fastest)
    return figures
