"""`keyturn serve` as a reverse proxy, against nginx as a plain one and against a direct call."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Generator

    from bench.measure.context import Context
    from bench.peers._peer import Peer

_SECRET = "made-up-session-secret"  # noqa: S105 - made up
_CLIENTS = 8
_READY_WITHIN = 30.0
# The API is an nginx too, so that it uses as little CPU as possible.
_NGINX = """
daemon off; worker_processes 1; pid {directory}/pid; error_log stderr;
events {{}}
http {{
    access_log off; keepalive_requests 1000000;
    client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    upstream api {{ server 127.0.0.1:{api}; keepalive 32; keepalive_requests 1000000; }}
    server {{ listen 127.0.0.1:{api}; location / {{ return 200 "fine"; }} }}
    server {{
        listen 127.0.0.1:{proxy};
        location / {{
            proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}
}}
"""


def proxy(_: Peer, context: Context) -> dict[str, float] | None:
    """Measure requests one after the other, and of several clients at once."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        return None
    number = 300 if context.quick else 2_000
    figures: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        _nginx(nginx, Path(name)) as (api, plain),
        _agent(context, Path(name), api) as agent,
    ):
        own = f"/{_SECRET}/shop/"
        ports = {"": (agent, own), "_nginx": (plain, "/"), "_direct": (api, "/")}
        for suffix, (port, path) in ports.items():
            _requests(port, path, 20)  # for what the first request opens and imports
            times = sorted(_requests(port, path, number))
            figures[f"p50{suffix}"] = percentile(times, 50)
            figures[f"p99{suffix}"] = percentile(times, 99)
            figures[f"per_second{suffix}"] = _throughput(port, path, number)
    figures["ratio"] = figures["p50"] / figures["p50_nginx"]
    return figures


def _throughput(port: int, path: str, number: int) -> float:
    """Return how many requests of several clients are responded to in a second."""
    start, each = time.perf_counter(), number // 2
    with ThreadPoolExecutor(_CLIENTS) as pool:
        for done in [pool.submit(_requests, port, path, each) for _ in range(_CLIENTS)]:
            done.result()
    return _CLIENTS * each / (time.perf_counter() - start)


def _requests(port: int, path: str, number: int) -> list[float]:
    """Return the seconds that requests on one connection take."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    seconds = []
    with socket.create_connection(("127.0.0.1", port), _READY_WITHIN) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(number):
            start, received = time.perf_counter(), b""
            connection.sendall(request)
            while not received.endswith(b"fine"):
                chunk = connection.recv(65_536)
                if not chunk or not (received + chunk).startswith(b"HTTP/1.1 200 "):
                    raise RuntimeError(f"unexpected response: {received + chunk!r}")
                received += chunk
            seconds.append(time.perf_counter() - start)
    return seconds


@contextmanager
def _nginx(program: str, directory: Path) -> Generator[tuple[int, int]]:
    """Run nginx as API and as plain proxy; return their ports."""
    ports = _free_port(), _free_port()
    file = directory / "nginx.conf"
    configuration = _NGINX.format(directory=directory, api=ports[0], proxy=ports[1])
    file.write_text(configuration, encoding="utf-8")
    command = [program, "-e", "stderr", "-p", str(directory), "-c", str(file)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own
        try:
            _wait_for(ports[1])
            yield ports
        finally:
            process.terminate()


@contextmanager
def _agent(context: Context, directory: Path, api: int) -> Generator[int]:
    """Run `keyturn serve`, and return its port."""
    endpoint = context.scenario()
    settings = {
        "provider": "generic",
        "token_url": f"http://{context.address}/{endpoint.path}/token",
        "api_url": f"http://127.0.0.1:{api}",
        "client_id": "made-up",
        "client_secret": "made-up",
    }
    config = directory / "keyturn.toml"
    config.touch(mode=0o600)
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    config.write_text("\n".join(["[connections.shop]", *lines]), encoding="utf-8")
    port = _free_port()
    command = [sys.executable, "-m", "keyturn", "--config", str(config), "serve"]
    variables = {"KEYTURN_SERVE_SECRET": _SECRET, "KEYTURN_STORE": "memory://"}
    with subprocess.Popen(  # noqa: S603 - our own
        [*command, "--port", str(port)],
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    end = time.monotonic() + _READY_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
