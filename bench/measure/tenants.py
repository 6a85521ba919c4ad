"""Thousands of tenants in one process: all cold at once, or healthy beside those that hang."""

from __future__ import annotations

import asyncio
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from bench.measure.context import Context
    from bench.peers._peer import Peer

    Figures = dict[str, float]

_DOMAIN = "hosts.test"
_TENANTS, _QUICK_TENANTS = 5_000, 1_000
_POOL = 64
_TENANTS_OF_ONE, _HANGING_HOSTS = 700, 200
_DESCRIPTORS = 1024
# A name server that does not respond: glibc gives up after 5 s and two attempts.
_DEAD_NAME_SECONDS = 12.0
_NEVER_SEEN_HANGING, _NEVER_SEEN = 400, 20
_IDLE, _QUICK_IDLE = 100_000, 10_000
_RATE = 20.0
_PATIENCE = 60.0
_SETTLE = 1.0


class Site(NamedTuple):
    """The tenants' endpoints.

    Args:
        port: The server's port.
        authority: The path of its certificate.
    """

    port: int
    authority: str

    def url(self, host: str) -> str:
        """Return the address of a host."""
        return f"https://{host}.{_DOMAIN}:{self.port}"


def entries(directory: str) -> int:
    """Return how many threads (`task`) or descriptors (`fd`) this process has."""
    return sum(1 for _ in Path("/proc/self", directory).iterdir())


class Watch:
    """Records the maximum numbers of threads and descriptors of this process."""

    def __init__(self) -> None:
        self.threads = self.descriptors = 0
        self._ended = threading.Event()
        self._start = time.perf_counter()
        threading.Thread(target=self._run, daemon=True).start()

    def end(self) -> float:
        """Return the seconds since the start."""
        self._ended.set()
        return time.perf_counter() - self._start

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            self.threads = max(self.threads, entries("task") - 1)
            self.descriptors = max(self.descriptors, entries("fd"))


def hosts(peer: Peer, context: Context) -> Figures | None:
    """Measure tenants of as many hosts, all cold at once."""
    return _cold(peer, context, lambda number: f"h{number}")


def one_host(peer: Peer, context: Context) -> Figures | None:
    """Measure tenants of one host, all cold at once."""
    return _cold(peer, context, lambda _: "h")


def hanging(peer: Peer, context: Context) -> Figures | None:
    """Measure healthy tenants alone, then beside one host that hangs, then beside 200 more."""
    with _site() as site:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
        return asyncio.run(_hanging(peer, site, 40 if context.quick else 100))


def unseen(peer: Peer, context: Context) -> Figures | None:
    """Measure healthy new hosts, beside hundreds of new hosts that hang."""
    del context
    with _site() as site:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
        return asyncio.run(_unseen(peer, site))


def idle(peer: Peer, context: Context) -> Figures | None:
    """Measure the cost of connections that request no token."""
    number = _QUICK_IDLE if context.quick else _IDLE
    kept = [peer.open_tenants(1)]  # imports
    threads, descriptors, before = entries("task"), entries("fd"), _resident()
    start = time.perf_counter()
    kept.append(peer.open_tenants(number))
    if kept[1] is None:
        return None
    return {
        "seconds": time.perf_counter() - start,
        "bytes": (_resident() - before) / number,
        "threads": entries("task") - threads,
        "descriptors": entries("fd") - descriptors,
    }


def _resident() -> int:
    """Return how many bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def _unseen(peer: Peer, site: Site) -> Figures:
    async def get(host: str, number: int) -> float:
        tenant, start = peer.tenant(site.url(host), number, site.authority), time.perf_counter()
        if tenant is not None:
            await tenant.atoken()
        return time.perf_counter() - start

    await get("first", 0)  # imports
    watch = Watch()
    hosts = [f"hang-{each}" for each in range(_NEVER_SEEN_HANGING)]
    hanging = [asyncio.create_task(get(host, each)) for each, host in enumerate(hosts)]
    await asyncio.sleep(_SETTLE)
    tasks: list[asyncio.Task[float]] = []
    for each in range(_NEVER_SEEN):
        tasks.append(asyncio.create_task(get(f"unseen-{each}", each)))
        await asyncio.sleep(1 / _RATE)
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), _PATIENCE)
    watch.end()
    times = [each for each in results if isinstance(each, float)]
    return {
        "slowest": max(times, default=_PATIENCE),
        "failed": len(results) - len(times),
        "hanging": sum(not each.done() for each in hanging),
        "threads": watch.threads,
        "descriptors": watch.descriptors,
    }


def _cold(peer: Peer, context: Context, host: Callable[[int], str]) -> Figures | None:
    number = _QUICK_TENANTS if context.quick else _TENANTS
    with _site() as site:
        urls = [site.url(host(each)) for each in range(number)]
        first = peer.tenant(site.url("first"), 0, site.authority)
        if first is None:
            return None
        first.token()  # imports
        floor = _floor(urls, site)
        tenants = [peer.tenant(url, each, site.authority) for each, url in enumerate(urls)]
        watch = Watch()
        failed = asyncio.run(_all(tenants))
        seconds = watch.end()
    return {
        "seconds": seconds,
        "floor": floor,
        "ratio": seconds / floor,
        "threads": watch.threads,
        "descriptors": watch.descriptors,
        "failed": failed,
    }


def _floor(urls: list[str], site: Site) -> float:
    """Return the seconds that one `httpx.Client` takes for the bare requests in 64 threads."""
    import ssl

    import httpx

    limits = httpx.Limits(max_connections=_POOL, max_keepalive_connections=_POOL)
    trusted = ssl.create_default_context(cafile=site.authority)
    with httpx.Client(verify=trusted, limits=limits, timeout=120) as client:

        def post(url: str) -> str:
            data = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "x" * 24}
            response = client.post(f"{url}/oauth2-token", data=data)
            return str(response.json()["access_token"])

        start = time.perf_counter()
        with ThreadPoolExecutor(_POOL) as pool:
            list(pool.map(post, urls))
        return time.perf_counter() - start


async def _all(tenants: list[Any]) -> int:
    """Get a token for each tenant at once; return how many get none."""
    results = await asyncio.gather(*(each.atoken() for each in tenants), return_exceptions=True)
    return sum(isinstance(each, BaseException) for each in results)


async def _hanging(peer: Peer, site: Site, number: int) -> Figures:
    clients = 0
    background: list[asyncio.Task[Any]] = []

    async def get(host: str) -> float:
        nonlocal clients
        clients += 1
        tenant, start = peer.tenant(site.url(host), clients, site.authority), time.perf_counter()
        if tenant is not None:
            await tenant.atoken()
        return time.perf_counter() - start

    async def healthy(label: str) -> list[float | BaseException]:
        """Request tokens of tenants of a known host, and of as many new hosts."""
        tasks: list[asyncio.Task[float]] = []
        for each in range(number):
            tasks += [asyncio.create_task(get(host)) for host in ("known", f"{label}-{each}")]
            await asyncio.sleep(1 / _RATE)
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), _PATIENCE)

    def hang(host: str) -> None:
        background.append(asyncio.create_task(get(host)))

    await healthy("first")  # imports
    watch = Watch()
    alone = await healthy("alone")
    for _ in range(_TENANTS_OF_ONE):
        hang("hang")
    await asyncio.sleep(_SETTLE)
    beside_one = await healthy("one")
    for each in range(_HANGING_HOSTS):
        hang(f"hang-{each}" if each % 2 else f"dead-{each}")
    await asyncio.sleep(_SETTLE)
    beside_many = await healthy("many")
    watch.end()
    times = [
        sorted(each for each in some if isinstance(each, float))
        for some in (alone, beside_one, beside_many)
    ]
    floor = percentile(times[0], 99)
    return {
        "p99_alone": floor,
        "ratio_one": percentile(times[1], 99) / floor,
        "ratio_many": percentile(times[2], 99) / floor,
        "failed": 6 * number - sum(map(len, times)),
        "threads": watch.threads,
        "descriptors": watch.descriptors,
    }


@contextmanager
def _site() -> Generator[Site]:
    """Start the endpoints; their names resolve to this machine, those of dead hosts to none."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name.startswith("dead-"):
            time.sleep(_DEAD_NAME_SECONDS)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve("127.0.0.1" if name.endswith(_DOMAIN) else host, port, *args, **kwargs)

    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(  # noqa: S603 - a command of our own
            [sys.executable, "-m", "bench.tenant_server", directory, _DOMAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        socket.getaddrinfo = getaddrinfo
        try:
            assert server.stdout is not None  # noqa: S101 - for the type checkers
            yield Site(int(server.stdout.readline()), str(Path(directory) / "ca.pem"))
        finally:
            socket.getaddrinfo = resolve
            server.kill()
            server.wait()
