"""Application servers and task queues on loopback, each of which ends with its test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import RawServer

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PACKAGES = ROOT / ".cache/process-models"
READY_WITHIN = 40.0
RESPONSE = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


class Endpoint:
    """A token endpoint with a new token for each request.

    Args:
        serve: Starts a server.
        held: How many of the first requests wait for `release`; the file `reached` then exists.
        reached: The path of the file `reached`.
    """

    def __init__(self, serve: Callable[..., RawServer], held: int, reached: Path) -> None:
        self.requests, self._held, self._reached = 0, held, reached
        self._lock, self._released = threading.Lock(), threading.Event()
        self.url = serve(self._handle).url.removesuffix("/token")
        self.release = self._released.set

    def _handle(self, server: RawServer, connection: socket.socket) -> None:
        while True:
            server.read_request(connection)
            with self._lock:
                self.requests += 1
                number = self.requests
            if number <= self._held:
                self._reached.touch()
                self._released.wait(60)
            else:
                time.sleep(0.2)  # so that callers overlap
            token = {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": 3600}
            body = json.dumps(token)
            connection.sendall((RESPONSE.format(len(body)) + body).encode())


class Program:
    """Starts the commands of an application."""

    def __init__(self, spawn: Callable[..., subprocess.Popen[str]], folder: Path) -> None:
        if not (PACKAGES / "gunicorn").is_dir():
            pytest.fail("gunicorn is not installed: run make test-servers")
        self._spawn, self.folder = spawn, folder
        self.processes: list[subprocess.Popen[str]] = []
        self.reached = folder / "reached"

    @staticmethod
    def path(*folders: Path) -> str:
        """Return PYTHONPATH with these folders first."""
        return ":".join(map(str, (*folders, HERE, PACKAGES)))

    def start(
        self, endpoint: Endpoint, command: list[object], **variables: Any
    ) -> subprocess.Popen[str]:
        """Start a command."""
        usual = {"ENDPOINT": endpoint.url, "STORE": "memory://", "FOLDER": str(self.folder)}
        usual["PYTHONPATH"] = self.path()
        with (self.folder / "log").open("wb") as log:
            process = self._spawn(
                # The kernel ends it even if this process is killed.
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                cwd=self.folder,
                env=os.environ | usual | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Stop all started commands, with their workers."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def python(self, endpoint: Endpoint, *arguments: object, **variables: Any) -> str:
        """Return the output of a Python program."""
        process = self.start(endpoint, [sys.executable, *arguments], **variables)
        status, printed = process.wait(READY_WITHIN), (self.folder / "log").read_text()
        assert status == 0, printed
        return printed

    def ask(
        self, process: subprocess.Popen[str], port: int, enough: Callable[[dict[str, str]], bool]
    ) -> dict[str, str]:
        """Send requests to a web server until the tokens by process are enough; return them."""
        found: dict[str, str] = {}
        end = time.monotonic() + READY_WITHIN

        def get(_: int) -> str:
            try:
                return httpx.get(f"http://127.0.0.1:{port}", trust_env=False, timeout=20).text
            except httpx.TransportError:
                time.sleep(0.05)
                return ""

        with ThreadPoolExecutor(4) as threads:  # so that several workers respond
            while not enough(found):
                assert time.monotonic() < end, self.log(found)
                assert process.poll() is None, self.log(found)
                for text in filter(None, threads.map(get, range(4))):
                    number, _, token = text.partition(" ")
                    assert found.setdefault(number, token) == token, self.log(found)
        return found

    def log(self, found: object) -> str:
        """Return the output of the program."""
        return f"{found}\n{(self.folder / 'log').read_text(errors='replace')}"


@pytest.fixture
def program(spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> Iterator[Program]:
    """Yield a starter of commands, which end with the test."""
    program = Program(spawn, tmp_path)
    yield program
    program.end()


@pytest.fixture
def endpoint(serve: Callable[..., RawServer], program: Program) -> Callable[..., Endpoint]:
    """Return a function that starts a token endpoint."""
    return lambda held=0: Endpoint(serve, held, program.reached)


@pytest.fixture
def port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        return number
