"""Real Redis servers on loopback and a Unix socket, each ended with the test that started it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import redis

from keyturn.stores._redis import RedisStore

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator
    from pathlib import Path

READY_WITHIN = 10.0


class RedisServer:
    """An empty Redis server, whose port stays the same when it is restarted.

    Args:
        directory: The directory for its socket and its log.
        options: Its configuration.
    """

    def __init__(self, directory: Path, options: dict[str, object]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.socket_url = f"unix://{directory}/redis.sock?db=0"
        self.admin = redis.Redis(
            unix_socket_path=f"{directory}/redis.sock",
            password=options.get("requirepass"),  # type: ignore[arg-type]  # a string, if any
            protocol=2,
        )
        self._log = directory / "log"
        ports = {"port": 0, "tls-port": self.port} if "tls-key-file" in options else {}
        usual = {"port": self.port, "bind": "127.0.0.1", "save": "", "dir": directory}
        given = usual | ports | {"unixsocket": f"{directory}/redis.sock"} | options
        self._options = [
            part for name, value in given.items() for part in (f"--{name}", str(value))
        ]

    def start(self) -> None:
        """Start it, and wait until it responds."""
        program, mortal = shutil.which("redis-server"), shutil.which("setpriv")
        if program is None or mortal is None:
            pytest.fail("redis-server is not installed: run make test-servers")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                # The kernel ends the server even if this process is killed.
                [mortal, "--pdeathsig", "KILL", "--", program, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(redis.ConnectionError):
                self.admin.ping()
                return
            time.sleep(0.01)
        pytest.fail(f"Redis did not start:\n{self._log.read_text(errors='replace')}")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Stop the process, even if it hangs."""
        self.admin.close()
        self._process.kill()
        self._process.wait()


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Yield a function that starts a server; `_` in the name of an option means `-`."""
    servers: list[RedisServer] = []

    def start(**options: object) -> RedisServer:
        directory = tmp_path / f"redis-{len(servers)}"
        directory.mkdir()
        named = {name.replace("_", "-"): value for name, value in options.items()}
        servers.append(RedisServer(directory, named))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """Return a working server."""
    return start_redis()


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    """Return a store on that server, whose clock stays at 1000."""
    found = RedisStore(server.socket_url, now=lambda: 1000.0)
    yield found
    found.close()
