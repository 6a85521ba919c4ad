"""50 workers that send 200 API requests a second, while tokens live for 2 seconds.

Latency is measured from the moment at which a request is due: a delayed worker is late for its next
request too. A request more than 4 seconds late at the end is not sent. API requests are sent in the
same plain way for every library.
"""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from typing import TYPE_CHECKING

from bench.figures import percentile
from bench.tokens import expiry

if TYPE_CHECKING:
    from bench.measure.context import Context
    from bench.peers._peer import AsyncCall, Call, Endpoint, Peer

    Figures = dict[str, float]

WORKERS = 50
RATE = 200
_LATENCY = 0.2
_LIFETIME = 2
_SHORT, _LONG = 6, 60
_GRACE = 4.0


def load(peer: Peer, context: Context) -> Figures | None:
    """Measure 50 threads for 6 seconds."""
    return _load(peer, context, _SHORT)


def minute(peer: Peer, context: Context) -> Figures | None:
    """Measure 50 threads for a minute."""
    return _load(peer, context, _LONG)


def async_load(peer: Peer, context: Context) -> Figures | None:
    """Measure 50 tasks for 6 seconds."""
    return asyncio.run(_async_load(peer, context, _SHORT))


def async_minute(peer: Peer, context: Context) -> Figures | None:
    """Measure 50 tasks for a minute."""
    return asyncio.run(_async_load(peer, context, _LONG))


class _Tally:
    """The workers' results."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.latencies: list[float] = []
        self.late = 0
        self.failed = 0

    def access_token(self, result: object) -> str:
        """Return the token in a call's result, and count it if it has expired already."""
        token = self._peer.access_token(result)
        if expiry(token) <= time.time():
            self.late += 1
        return token

    def figures(self, context: Context, endpoint: Endpoint, expected: int) -> Figures:
        counts = context.counts(endpoint)
        latencies = sorted(self.latencies)
        return {
            "token_requests": counts["token_requests"],
            "unauthorized": counts["unauthorized"],
            "late_tokens": self.late,
            "failed": self.failed,
            "unsent": expected - len(latencies),
            "p50": percentile(latencies, 50),
            "p99": percentile(latencies, 99),
            "p99.9": percentile(latencies, 99.9),
        }


def _endpoint(peer: Peer, context: Context) -> Endpoint:
    return context.scenario(latency=_LATENCY, lifetime=peer.lifetime or _LIFETIME)


def _due(worker: int, seconds: float) -> list[float]:
    """Return when a worker's requests are due, in seconds from the start."""
    first, period = worker / RATE, WORKERS / RATE
    return [first + period * number for number in range(int(seconds / period))]


def _load(peer: Peer, context: Context, seconds: float) -> Figures | None:
    endpoint = _endpoint(peer, context)
    call = peer.sync(endpoint)
    if call is None:
        return None
    call()
    tally = _Tally(peer)
    start = time.perf_counter() + 0.1
    workers = [
        threading.Thread(
            target=_work, args=(call, endpoint, tally, start, _due(n, seconds)), daemon=True
        )
        for n in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(0.0, start + seconds + _GRACE - time.perf_counter()))
    return tally.figures(context, endpoint, int(RATE * seconds))


def _work(call: Call, endpoint: Endpoint, tally: _Tally, start: float, due: list[float]) -> None:
    connection = http.client.HTTPConnection(endpoint.address)
    for moment in due:
        time.sleep(max(0.0, start + moment - time.perf_counter()))
        if time.perf_counter() - start > due[-1] + _GRACE:
            break
        try:
            headers = {"Authorization": f"Bearer {tally.access_token(call())}"}
            connection.request("GET", f"/{endpoint.path}/api", headers=headers)
            connection.getresponse().read()
        except Exception:  # noqa: BLE001 - whatever the library raises, the request is not sent
            tally.failed += 1
            connection.close()
        else:
            tally.latencies.append(time.perf_counter() - start - moment)


async def _async_load(peer: Peer, context: Context, seconds: float) -> Figures | None:
    endpoint = _endpoint(peer, context)
    call = peer.asynchronous(endpoint)
    if call is None:
        return None
    await call()
    tally = _Tally(peer)
    start = time.perf_counter() + 0.1
    workers = [
        asyncio.create_task(_async_work(call, endpoint, tally, start, _due(n, seconds)))
        for n in range(WORKERS)
    ]
    await asyncio.wait(workers, timeout=seconds + _GRACE)
    return tally.figures(context, endpoint, int(RATE * seconds))


async def _async_work(
    call: AsyncCall, endpoint: Endpoint, tally: _Tally, start: float, due: list[float]
) -> None:
    reader, writer = await asyncio.open_connection(*endpoint.address.split(":"))
    for moment in due:
        await asyncio.sleep(max(0.0, start + moment - time.perf_counter()))
        if time.perf_counter() - start > due[-1] + _GRACE:
            break
        try:
            token = tally.access_token(await call())
        except Exception:  # noqa: BLE001 - whatever the library raises, the request is not sent
            tally.failed += 1
            continue
        head = f"GET /{endpoint.path}/api HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        response = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(response.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        tally.latencies.append(time.perf_counter() - start - moment)
    writer.close()
