"""What a cold call of `token()` costs through a memory store: CPU, Python calls, files, threads."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure.compare import ratio
from bench.peers._apis import APIS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import FrameType

    from bench.measure.context import Context
    from bench.peers._apis import Api
    from bench.peers._peer import Call, Peer

    Figures = dict[str, float]

_BATCH = 8  # Commerce Layer's rate limit allows 12 at once.
_SETTLE = 0.02


class Counter:
    """Counts the Python calls of one package in all threads.

    Args:
        package: The package's directory.
    """

    def __init__(self, package: Path) -> None:
        self._package = f"{package}/"
        self._counting = self._installed = False
        self.calls = 0
        self.threads = 0
        self.files: set[str] = set()

    @contextmanager
    def installed(self) -> Generator[None]:
        """Watch this thread and all that start from now on, so that no idle worker is missed."""
        start = threading.Thread.start

        def counted_start(thread: threading.Thread) -> None:
            self.threads += self._counting
            start(thread)

        threading.Thread.start = counted_start  # type: ignore[method-assign, assignment]
        self._installed = True
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            self._installed = False
            sys.setprofile(None)
            threading.setprofile(None)
            threading.Thread.start = start  # type: ignore[method-assign]

    def count(self, call: Call) -> Figures:
        """Return the counts of one call, including its work on background threads."""
        self.calls, self.threads, self.files = 0, 0, set()
        self._counting = True
        call()
        time.sleep(5 * _SETTLE)
        self._counting = False
        return {"calls": self.calls, "files": len(self.files), "threads": self.threads}

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        if not self._installed:
            sys.setprofile(None)  # a thread that continues
        name = frame.f_code.co_filename
        if self._counting and event == "call" and name.startswith(self._package):
            self.calls += 1
            self.files.add(name)


def cold_call(peer: Peer, context: Context) -> Figures | None:
    """Measure cold calls at each of the four providers; a figure is the highest of them."""
    import keyturn
    from bench.measure import listener

    counter = Counter(Path(keyturn.__file__).parent)
    with counter.installed():  # before there is a worker
        if peer.cold(context.scenario(), APIS["orocommerce"], 1) is None:
            return None
        time.sleep(
            50 * _SETTLE
        )  # until its plugins are loaded, for which one of these events waits
        counts = [_counts(peer, context, api, counter) for api in APIS.values()]
    # Two calls at each provider; without their events, the calls of a hook would not be counted.
    if len(listener.received) < 2 * len(APIS):
        raise RuntimeError(f"the plugin got {len(listener.received)} events")
    times = [_times(peer, context, api) for api in APIS.values()]
    every = [{**counted, **timed} for counted, timed in zip(counts, times, strict=True)]
    return {name: max(each[name] for each in every) for name in every[0]}


def _counts(peer: Peer, context: Context, api: Api, counter: Counter) -> Figures:
    calls = peer.cold(context.scenario(), api, 2) or []
    calls[0]()
    time.sleep(5 * _SETTLE)
    return counter.count(calls[1])


def _times(peer: Peer, context: Context, api: Api) -> Figures:
    """Compare the CPU of cold calls with that of the same requests by bare httpx."""
    import httpx

    endpoint = context.scenario()
    request = api.token_request()
    ours, bare = [], []
    with httpx.Client() as client:

        def post() -> str:
            return str(client.post(endpoint.token_url, **request).json()["access_token"])

        for _ in range(5 if context.quick else 15):
            ours.append(_cpu(peer.cold(endpoint, api, _BATCH) or []))
            bare.append(_cpu([post] * _BATCH))
    return {
        "cpu": statistics.median(ours),
        "floor": statistics.median(bare),
        "ratio": ratio(ours, bare),
    }


def _cpu(calls: Sequence[Call]) -> float:
    """Return the CPU seconds of a call, in all threads and until they are idle."""
    start = time.process_time()
    for call in calls:
        call()
    time.sleep(_SETTLE)
    return (time.process_time() - start) / len(calls)
