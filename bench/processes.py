"""Rows that time whole processes, from their start to their end."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from bench.environments import OURS, REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from bench.environments import Library
    from bench.peers._peer import Endpoint
    from bench.rows.measure import Context

    Figures = dict[str, float]
    Command = list[str | Path]

_TIMEOUT = 60.0
_CONFIGURATION = """\
[connections.bench]
provider = "orocommerce"
url = "{url}"
token_url = "{url}/token"
client_id = "made-up"
client_secret = {{ env = "BENCH_SECRET" }}
"""
_DISKCACHE = "import sys, diskcache; print(diskcache.Cache(sys.argv[1])['token'])"
_FILL_DISKCACHE = "import sys, diskcache; diskcache.Cache(sys.argv[1])['token'] = 'made-up'"


class Place(NamedTuple):
    """Where one library's processes run.

    Args:
        library: The library.
        directory: Their home, with what they keep on disk.
        endpoint: Where their tokens come from.
        context: The server.
    """

    library: Library
    directory: Path
    endpoint: Endpoint
    context: Context

    def run(self, *command: str | Path) -> float:
        """Run a command and return the seconds it took.

        Raises:
            subprocess.CalledProcessError: It failed, or took too long.
        """
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        own = {"HOME": str(self.directory), "BENCH_SECRET": "s3cret-for-tests"}
        start = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - a command of our own
            command,
            cwd=REPOSITORY,
            env=kept | own,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # To wait with a timeout is to look every 50 ms, which would be the resolution.
        watchdog = threading.Timer(_TIMEOUT, process.kill)
        watchdog.start()
        code = process.wait()
        taken = time.perf_counter() - start
        watchdog.cancel()
        if code:
            raise subprocess.CalledProcessError(code, [str(each) for each in command])
        return taken

    def python(self, *arguments: str | Path) -> float:
        """Run the library's interpreter."""
        return self.run(self.library.python, *arguments)


def importing(place: Place) -> Figures:
    """Time the library's import, over bare Python."""
    return _figures(place.python("-c", place.library.statement), place)


def first(place: Place) -> Figures:
    """Time a process that gets a token from an endpoint that responses at once, over bare Python."""
    module = f"bench.peers.{place.library.module}"
    return _figures(place.python("-m", module, "token", place.endpoint.url), place)


def disk(place: Place) -> Figures:
    """Time a process that finds a token on disk: keyturn's command, or a script of the others."""
    command = _disk_command(place)
    if not place.context.counts(place.endpoint)["token_requests"]:
        place.run(*command)
    figures = _figures(place.run(*command), place)
    # More than one means that the token was not found on disk.
    figures["token_requests"] = place.context.counts(place.endpoint)["token_requests"]
    if place.library.name == OURS:
        cache = place.directory / "diskcache"
        if not cache.exists():
            place.python("-c", _FILL_DISKCACHE, cache)
        alone = place.python("-c", _DISKCACHE, cache)
        figures["diskcache_ratio"] = alone / figures["floor"]
    return figures


def _disk_command(place: Place) -> Command:
    if place.library.name != OURS:
        module = f"bench.peers.{place.library.module}"
        return [place.library.python, "-m", module, "disk", place.endpoint.url, place.directory]
    configuration = place.directory / "keyturn.toml"
    configuration.write_text(_CONFIGURATION.format(url=place.endpoint.url), encoding="utf-8")
    configuration.chmod(0o600)
    return [place.library.bin / OURS, "--config", configuration, "token", "bench"]


def _figures(seconds: float, place: Place) -> Figures:
    floor = place.python("-c", "pass")
    return {"seconds": seconds, "floor": floor, "ratio": seconds / floor, "added": seconds - floor}
