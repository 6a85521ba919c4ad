"""Rows that time whole processes, from their start to their end."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from bench.environments import OURS, REPOSITORY, crowd
from bench.peers._apis import APIS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.environments import Library
    from bench.measure.context import Context
    from bench.peers._peer import Endpoint

    Figures = dict[str, float]

_TIMEOUT = 60.0
_CONFIGURATION = """\
[connections.bench]
provider = "orocommerce"
url = "{url}"
token_url = "{url}/token"
client_id = "made-up"
client_secret = {{ env = "BENCH_SECRET" }}
"""
_FIRST = APIS["norce-storm"]
_KEYTURN = f"""\
import sys, keyturn
connection = keyturn.connect(
    {_FIRST.provider!r}, token_url=sys.argv[1], client_id="made-up",
    client_secret="s3cret-for-tests", **{dict(_FIRST.settings)!r})
print(connection.token().access_token)
"""
_HTTPX = f"""\
import sys, httpx
print(httpx.post(sys.argv[1], **{_FIRST.token_request()!r}).json()["access_token"])
"""
_LEAST = "from bench.least_command import main; main()"


class Took(NamedTuple):
    """The time of a process.

    Args:
        seconds: From its start to its end.
        cpu: Its CPU time, in seconds.
    """

    seconds: float
    cpu: float


class Place(NamedTuple):
    """The environment of one library's processes.

    Args:
        library: The library.
        python: The interpreter of keyturn's environment, which has httpx too.
        directory: Their home, with what they keep on disk.
        endpoint: The token endpoint.
        context: The server.
    """

    library: Library
    python: Path
    directory: Path
    endpoint: Endpoint
    context: Context

    def run(self, *command: str | Path, **environment: str | Path) -> Took:
        """Run a command and return its time.

        Raises:
            subprocess.CalledProcessError: It failed, or took too long.
        """
        start = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - a command of our own
            command,
            cwd=REPOSITORY,
            env=_environment(self.directory, environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # `wait` with a timeout looks every 50 ms, which would be the resolution.
        watchdog = threading.Timer(_TIMEOUT, process.kill)
        watchdog.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        watchdog.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, [str(each) for each in command])
        return Took(seconds, usage.ru_utime + usage.ru_stime)


def first_token(place: Place) -> Figures:
    """Time a process that gets a token, against one that does the same POST by httpx."""
    url, others = place.endpoint.token_url, crowd()
    command: tuple[str | Path, ...] = (place.library.python, "-c", _KEYTURN, url)
    if place.library.name != OURS:
        module = "bench.peers.one_token"
        command = (
            place.library.python, "-m", module, place.library.module, place.endpoint.url
        )  # fmt: skip
    bare = place.run(place.python, "-c", _HTTPX, url, PYTHONPATH=others).seconds
    seconds = place.run(*command, PYTHONPATH=others).seconds
    floor = place.run(place.library.python, "-c", "pass", PYTHONPATH=others).seconds
    return {"seconds": seconds, "ratio": seconds / bare, "added": seconds - floor}


def command(place: Place) -> Figures:
    """Time a process that finds a token on disk: keyturn's command, or a script of the others.

    It never waits, so its CPU time counts: other processes of the machine do not.
    """
    command = _disk_command(place)
    if not place.context.counts(place.endpoint)["token_requests"]:
        place.run(*command)
    floor = place.run(place.library.python, "-c", "pass").cpu
    took = place.run(*command)
    # More than one token request means that the token was not found on disk.
    requests = place.context.counts(place.endpoint)["token_requests"]
    figures = {"seconds": took.seconds, "cpu_ratio": took.cpu / floor, "token_requests": requests}
    if place.library.name == OURS:
        least = (place.python, "-c", _LEAST, *command[1:])
        place.run(*least)  # the first run writes the token
        figures["least_ratio"] = place.run(*least).cpu / floor
    return figures


def importing(place: Place) -> Figures:
    """Time a process that only imports the library."""
    floor = place.run(place.library.python, "-c", "pass").seconds
    seconds = place.run(place.library.python, "-c", place.library.statement).seconds
    return {"seconds": seconds, "added": seconds - floor}


WHOLE = {"first_token": first_token, "command": command, "import": importing}
"""The functions for the rows that time whole processes."""


def _disk_command(place: Place) -> list[str | Path]:
    if place.library.name != OURS:
        module, where = "bench.peers.one_token", place.endpoint.url
        return [place.library.python, "-m", module, place.library.module, where, place.directory]
    configuration = place.directory / "keyturn.toml"
    configuration.write_text(_CONFIGURATION.format(url=place.endpoint.url), encoding="utf-8")
    configuration.chmod(0o600)
    return [place.library.bin / OURS, "--config", configuration, "token", "bench"]


def _environment(home: Path, more: Mapping[str, str | Path]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    own = {"HOME": str(home), "BENCH_SECRET": "s3cret-for-tests"}
    return kept | own | {name: str(value) for name, value in more.items()}
