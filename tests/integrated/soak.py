"""A soak test of `keyturn serve`: no request is lost, and memory and descriptors stay constant.

Usage: python -m tests.integrated.soak [--seconds 600]

Sixteen clients send requests through the agent for the whole time. Meanwhile the tokens are revoked
every few seconds, the token endpoint fails now and then, and the Redis of the agent's token store
is killed and started again. It needs `redis-server`, which `make test-servers` installs.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from tests.server.conftest import Api, write_config

if TYPE_CHECKING:
    from collections.abc import Generator

SECRET = "made-up-session-secret"
CLIENTS = 16
PAUSE = 0.05
REVOKED_EVERY, FAILS_EVERY, RESTARTED_EVERY = 40.0, 25.0, 30.0
BODY = b"a" * 2000


class Redis:
    """A Redis on loopback that can be killed and started again."""

    def __init__(self, directory: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self._directory = directory
        self.start()

    def start(self) -> None:
        """Start it."""
        command = [shutil.which("redis-server") or "redis-server", "--port", str(self.port)]
        command += ["--bind", "127.0.0.1", "--save", "", "--dir", self._directory]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def agent(config: Path) -> Generator[tuple[str, int]]:
    """Run the agent; yield its address and its process ID."""
    command = [sys.executable, "-m", "keyturn", "--config", str(config), "serve"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "KEYTURN_SERVE_SECRET": SECRET},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()
            assert process.wait(60) == 0


def held(process: int) -> tuple[int, int]:
    """Return the memory of a process in KiB, and its number of open descriptors."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4, len(list(Path(f"/proc/{process}/fd").iterdir()))


def send(url: str, ended: threading.Event, statuses: collections.Counter[str]) -> None:
    """Send requests until the end, and count the responses."""
    chosen = random.SystemRandom()
    headers = {"X-Keyturn-Secret": SECRET}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client:
        while not ended.is_set():
            method = chosen.choice(("GET", "POST"))
            content = BODY if method == "POST" else None
            name = chosen.choice(("one", "two"))
            try:
                response = client.request(method, f"/{name}/v1/echo", content=content)
                is_whole = response.content == (content or b"")
                outcome = str(response.status_code) if is_whole else "another body"
                if outcome != "200":
                    outcome += f" {response.headers.get('x-keyturn-not-repeated', '')}"
                    outcome += f" {response.text[:100]}"
            except httpx.HTTPError as error:
                outcome = type(error).__name__
            statuses[outcome] += 1
            ended.wait(PAUSE)


def disturb(api: Api, redis: Redis, seconds: float, process: int) -> list[tuple[int, int]]:
    """Revoke, fail and restart for that many seconds; return the agent's resources meanwhile."""
    start, samples = time.monotonic(), []
    due = {"revoke": REVOKED_EVERY, "fail": FAILS_EVERY, "restart": RESTARTED_EVERY, "sample": 5.0}
    every = dict(due)
    while (now := time.monotonic() - start) < seconds:
        for what in [name for name, at in due.items() if now >= at]:
            due[what] += every[what]
            if what == "revoke":
                api.revoke()
            elif what == "fail":
                # A valid token stays usable; keyturn retries a token request after a 503.
                api.token_failure = 503, b"{}"
                threading.Timer(2.0, lambda: setattr(api, "token_failure", None)).start()
            elif what == "restart":
                redis.kill()
                threading.Timer(3.0, redis.start).start()
            else:
                samples.append(held(process))
                print(f"{now:4.0f} s: {samples[-1][0]} KiB, {samples[-1][1]} descriptors")
        time.sleep(0.2)
    return samples


def main() -> int:
    """Run the soak; return 1 if a request was lost or if memory or descriptors grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    seconds = parser.parse_args().seconds
    api, ended = Api(), threading.Event()
    api.lifetime = 20
    statuses: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as directory:
        redis = Redis(directory)
        store = f"redis://127.0.0.1:{redis.port}"
        config = write_config(Path(directory) / "keyturn.toml", api, "one", "two", store=store)
        with agent(config) as (url, process):
            clients = [
                threading.Thread(target=send, args=(url, ended, statuses)) for _ in range(CLIENTS)
            ]
            for each in clients:
                each.start()
            samples = disturb(api, redis, seconds, process)
            ended.set()
            for each in clients:
                each.join()
        time.sleep(4)  # a Redis may be starting
        redis.kill()
    api.stop()
    print(f"{api.issued} tokens were issued; responses: {dict(statuses)}")
    settled, last = samples[len(samples) // 3], samples[-1]
    is_flat = last[0] < settled[0] * 1.15 and max(each[1] for each in samples) < 200
    print(f"memory {settled[0]} -> {last[0]} KiB, descriptors {settled[1]} -> {last[1]}")
    return 0 if is_flat and set(statuses) == {"200"} else 1


if __name__ == "__main__":
    sys.exit(main())
