"""The demonstration, against the emulator; each step checks its result."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import attrs
import httpx

from keyturn._cli.commands import DONE, FAILED
from keyturn._cli.emulate import connection_table
from keyturn._connection.connect import connect
from keyturn.integrations.httpx import KeyturnAuth
from keyturn.testing import Emulator

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from keyturn._connection import Connection

T = TypeVar("T")

_THREADS = 100
_PROCESSES = 8
_SLOW = 0.2
_LIFETIME = 3
_DEMO_HEADING = """\
keyturn turns client credentials into a valid access token, and requests it only when it is needed.
This demonstration emulates the four providers on this machine; no request leaves it.
"""
_ENDING = """
Next:  keyturn emulate     runs the emulator, and prints a keyturn.toml for it
       keyturn providers   lists the providers
       keyturn check       checks your own connections in keyturn.toml"""


def demo(arguments: argparse.Namespace) -> int:
    """Demonstrate keyturn against its own emulator, in a few seconds."""
    out = arguments.out
    print(_DEMO_HEADING, file=out)
    with tempfile.TemporaryDirectory(prefix="keyturn-") as directory, Emulator() as emulator:
        stage = _Stage(emulator, Path(directory), f"disk://{directory}/store")
        failed = [title for title, step in _STEPS if not _succeeds(title, step(stage), out)]
    print(f"\nFailed: {', '.join(failed)}." if failed else _ENDING, file=out)
    return FAILED if failed else DONE


def _succeeds(title: str, lines: Iterator[str], out: TextIO) -> bool:
    """Run a step, print its lines, and return whether it succeeds."""
    print(title, file=out, flush=True)
    try:
        for line in lines:
            print(f"   {line}", file=out, flush=True)
    except AssertionError as failure:
        print(f"   FAILED: {failure}", file=out, flush=True)
        return False
    return True


@attrs.frozen
class _Stage:
    """The emulator, a directory, and the URL of a store in it."""

    emulator: Emulator
    directory: Path
    store: str

    def connect(self, provider: str, **variant: str) -> Connection:
        return connect(provider, store=self.store, **self.emulator.settings(provider, **variant))

    def get(self, connection: Connection) -> int:
        """Send a request to the provider's protected resource and return its status."""
        path = self.emulator.resource(connection.provider.name)
        auth = KeyturnAuth(connection)
        return httpx.get(connection.api_url + path, auth=auth, trust_env=False).status_code

    def count(self, expected: int, action: Callable[[], T]) -> T:
        """Return an action's result; it must cause the expected number of token requests."""
        before = self._token_requests()
        result = action()
        requests = self._token_requests() - before
        _require(requests == expected, f"{requests} token requests were sent")
        return result

    def _token_requests(self) -> int:
        return sum(map(self.emulator.token_requests, self.emulator.providers))


def _each_provider(stage: _Stage) -> Iterator[str]:
    for provider in stage.emulator.providers:
        with stage.connect(provider) as connection:
            token, seconds = _timed(connection.token)
            status = stage.get(connection)
        _require(status == 200, f"the API of {provider} responded with {status}")
        yield (
            f"{provider:<15} a token valid for {token.lifetime:.0f} s, in {_ms(seconds)}; "
            f"GET {stage.emulator.resource(provider)}: {status}"
        )


def _second_call(stage: _Stage) -> Iterator[str]:
    # New connections, as in the next process.
    connections = [stage.connect(provider) for provider in stage.emulator.providers]
    calls = stage.count(0, lambda: [_timed(each.token) for each in connections])
    total = _ms(sum(seconds for _, seconds in calls))
    yield f"{len(connections)} new connections, 0 token requests, {total} in all"


def _many_threads(stage: _Stage) -> Iterator[str]:
    provider = "orocommerce"
    stage.emulator.fault(provider, "slow", seconds=_SLOW)
    with stage.connect(provider, side="storefront") as connection:
        calls = stage.count(1, lambda: _at_once(_THREADS, lambda: _timed(connection.token)))
    _require(len({token.access_token for token, _ in calls}) == 1, "the threads' tokens differ")
    longest = max(seconds for _, seconds in calls)
    yield (
        f"{_THREADS} threads: 1 token request; the longest wait: {_ms(longest)}, "
        f"of which the endpoint takes {_ms(_SLOW)}"
    )


def _many_processes(stage: _Stage) -> Iterator[str]:
    provider = "commercelayer"
    settings = stage.emulator.settings(provider, kind="sales_channel") | {"store": stage.store}
    config = stage.directory / "keyturn.toml"
    config.write_text(connection_table("shop", provider, settings), encoding="utf-8")
    stage.emulator.fault(provider, "slow", seconds=_SLOW)
    outputs = stage.count(1, lambda: _run_processes(config))
    _require(len(set(outputs)) == 1 and all(outputs), "the processes' tokens differ")
    yield f"{_PROCESSES} processes, each `keyturn token shop`: 1 token request"


def _run_processes(config: Path) -> list[str]:
    """Run `keyturn token shop` in many processes at once and return the output of each."""
    command = [sys.executable, "-P", "-m", "keyturn", "--config", str(config), "token", "shop"]
    overrides = "KEYTURN_CONNECTIONS__"
    inherited = {name: v for name, v in os.environ.items() if not name.startswith(overrides)}
    return _at_once(
        _PROCESSES,
        lambda: (
            subprocess.run(  # noqa: S603 - our own command
                command, env=inherited, stdout=subprocess.PIPE, text=True, timeout=30, check=False
            ).stdout
        ),
    )


def _early_renewal(stage: _Stage) -> Iterator[str]:
    provider = "norce-storm"
    stage.emulator.set_lifetime(provider, _LIFETIME)
    # In memory: a slow disk could delay the renewal of so short a token beyond its expiry.
    with connect(provider, store="memory://", **stage.emulator.settings(provider)) as connection:
        first = connection.token()
        stage.emulator.fault(provider, "slow", seconds=_SLOW)
        before = stage.emulator.token_requests(provider)
        served, longest, token = 0, 0.0, first
        while token is first and time.time() < first.expires_at:
            is_pending = stage.emulator.token_requests(provider) > before
            token, seconds = _timed(connection.token)
            longest = max(longest, seconds)
            served += is_pending and token is first
            time.sleep(0.005)
    _require(token is not first, "the token was not renewed")
    _require(served > 0, "calls waited for the renewal")
    yield (
        f"a token valid for {_LIFETIME} s is renewed {_ms(first.expires_at - token.issued_at)} "
        f"before it expires; while the endpoint takes {_ms(_SLOW)},"
    )
    yield f"{served} calls get the old token, which is still valid; longest wait: {_ms(longest)}"


def _rejected_token(stage: _Stage) -> Iterator[str]:
    provider = "norce-commerce"
    with stage.connect(provider) as connection:
        connection.token()
        stage.emulator.revoke_tokens(provider)
        before = stage.emulator.api_requests(provider)
        status = stage.count(1, lambda: stage.get(connection))
        sent = stage.emulator.api_requests(provider) - before
    _require(status == 200, f"the API responded with {status}")
    _require(sent == 2, f"{sent} API requests were sent")
    yield f"the API responds 401; 1 token request; the repeated request: {status}"


def _at_once(count: int, action: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(count) as pool:
        return [call.result() for call in [pool.submit(action) for _ in range(count)]]


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    return action(), time.perf_counter() - begin


def _require(condition: bool, failure: str) -> None:  # noqa: FBT001 - as for assert
    if not condition:
        raise AssertionError(failure)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f} ms"


_STEPS: tuple[tuple[str, Callable[[_Stage], Iterator[str]]], ...] = (
    ("1. Get a token from each provider, by its name, and call its API", _each_provider),
    ("2. Get the same tokens from the store, without a token request", _second_call),
    ("3. Threads that find no token send one token request together", _many_threads),
    ("4. Processes that find no token send one token request together", _many_processes),
    ("5. keyturn renews a token before it expires, and no call waits", _early_renewal),
    ("6. keyturn replaces a token that the API rejects, and repeats the request", _rejected_token),
)
