"""The command that shows what keyturn does; each step checks what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import attrs
import httpx

from keyturn._cli.emulate import connection_table
from keyturn._cli.exit_codes import DONE, FAILED
from keyturn._connect import connect
from keyturn.integrations.httpx import KeyturnAuth
from keyturn.testing import Emulator

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from keyturn._connection import Connection
    from keyturn._token import Token

_THREADS = 100
_PROCESSES = 8
_SLOW = 0.2
_LIFETIME = 3
_PATIENCE = 30.0
_HEADING = """\
keyturn turns client credentials into a valid access token, whenever one is needed.
Four providers are emulated on this machine; nothing leaves it.
"""
_ENDING = """
Yours to try:  keyturn emulate     the emulator, with a keyturn.toml for it
               keyturn providers   what can be connected to
               keyturn check       your own connections, once they are in keyturn.toml"""


class _StepFailedError(Exception):
    """A step of the demonstration did not do what it says."""


def demo(arguments: argparse.Namespace) -> int:
    """Show what keyturn does, against an emulator of its own, in a few seconds."""
    out = arguments.out
    print(_HEADING, file=out)
    with tempfile.TemporaryDirectory(prefix="keyturn-") as directory, Emulator() as emulator:
        stage = _Stage(emulator, Path(directory))
        failed = [title for title, step in _STEPS if not _shown(title, step(stage), out)]
    print(f"\nNot as promised: {', '.join(failed)}." if failed else _ENDING, file=out)
    return FAILED if failed else DONE


def _shown(title: str, lines: Iterator[str], out: TextIO) -> bool:
    """Print a step as it goes on, and tell whether it did what it says."""
    print(title, file=out, flush=True)
    try:
        for line in lines:
            print(f"   {line}", file=out, flush=True)
    except _StepFailedError as failure:
        print(f"   FAILED: {failure}", file=out, flush=True)
        return False
    return True


@attrs.frozen
class _Stage:
    """What the steps share: the emulator, and a directory for the tokens."""

    emulator: Emulator
    directory: Path

    @property
    def store(self) -> str:
        return f"disk://{self.directory}/store"

    def connect(self, provider: str, **variant: str) -> Connection:
        return connect(provider, store=self.store, **self.emulator.settings(provider, **variant))

    def get(self, connection: Connection) -> int:
        """Send a request to the provider's protected resource and return its status."""
        url = connection.api_url + self.emulator.resource(connection.provider.name)
        with httpx.Client(auth=KeyturnAuth(connection), trust_env=False) as client:
            return client.get(url).status_code

    def count(self, provider: str, action: Callable[[], None]) -> int:
        """Return how many token requests an action causes."""
        before = self.emulator.token_requests(provider)
        action()
        return self.emulator.token_requests(provider) - before


def _each_provider(stage: _Stage) -> Iterator[str]:
    for provider in stage.emulator.providers:
        with stage.connect(provider) as connection:
            begin = time.perf_counter()
            token = connection.token()
            seconds = time.perf_counter() - begin
            status = stage.get(connection)
        _require(status == 200, f"the API of {provider} answered with {status}")
        resource = stage.emulator.resource(provider)
        yield (
            f"{provider:<15} a token for {token.lifetime:.0f} s in {_ms(seconds)}; "
            f"GET {resource}: {status}"
        )


def _second_call(stage: _Stage) -> Iterator[str]:
    providers = stage.emulator.providers
    before = sum(map(stage.emulator.token_requests, providers))
    begin = time.perf_counter()
    for provider in providers:
        # A connection of its own, as the next script would have.
        with stage.connect(provider) as connection:
            connection.token()
    seconds = time.perf_counter() - begin
    requests = sum(map(stage.emulator.token_requests, providers)) - before
    _require(requests == 0, f"{requests} token requests were sent")
    yield f"{len(providers)} new connections, {requests} token requests, {_ms(seconds)} in all"


def _crowd_of_threads(stage: _Stage) -> Iterator[str]:
    provider = "orocommerce"
    stage.emulator.fault(provider, "slow", seconds=_SLOW)
    waits: list[float] = []
    tokens: list[Token] = []

    def ask(_: int) -> None:
        begin = time.perf_counter()
        tokens.append(connection.token())
        waits.append(time.perf_counter() - begin)

    def ask_all() -> None:
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(ask, range(_THREADS)))

    with stage.connect(provider, side="storefront") as connection:
        requests = stage.count(provider, ask_all)
    _require(requests == 1, f"{requests} token requests were sent")
    _require(len({token.access_token for token in tokens}) == 1, "the threads' tokens differ")
    yield (
        f"{_THREADS} threads: {requests} token request; the longest wait was {_ms(max(waits))}, "
        f"of which the endpoint took {_ms(_SLOW)}"
    )


def _crowd_of_processes(stage: _Stage) -> Iterator[str]:
    provider = "commercelayer"
    settings = stage.emulator.settings(provider, kind="sales_channel") | {"store": stage.store}
    config = stage.directory / "keyturn.toml"
    config.write_text(connection_table("shop", provider, settings), encoding="utf-8")
    stage.emulator.fault(provider, "slow", seconds=_SLOW)
    outputs: list[str] = []
    requests = stage.count(provider, lambda: outputs.extend(_run_processes(config)))
    _require(requests == 1, f"{requests} token requests were sent")
    _require(len(set(outputs)) == 1 and all(outputs), "the processes' tokens differ")
    yield f"{_PROCESSES} processes, each `keyturn token shop`: {requests} token request"


def _run_processes(config: Path) -> list[str]:
    """Run `keyturn token shop` in many processes at once and return what each printed."""
    overrides = "KEYTURN_CONNECTIONS__"
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(overrides)}
    command = [sys.executable, "-P", "-m", "keyturn", "--config", str(config), "token", "shop"]
    processes = [
        subprocess.Popen(command, env=inherited, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
        for _ in range(_PROCESSES)
    ]
    try:
        return [process.communicate(timeout=_PATIENCE)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _renewal_ahead(stage: _Stage) -> Iterator[str]:
    provider = "norce-storm"
    stage.emulator.set_lifetime(provider, _LIFETIME)
    # In memory: a disk that stalls for a moment must not make so short a token come too late.
    with connect(provider, store="memory://", **stage.emulator.settings(provider)) as connection:
        first = connection.token()
        stage.emulator.fault(provider, "slow", seconds=_SLOW)
        before = stage.emulator.token_requests(provider)
        meanwhile, longest, token = 0, 0.0, first
        while token is first and time.time() < first.expires_at:
            under_way = stage.emulator.token_requests(provider) > before
            begin = time.perf_counter()
            token = connection.token()
            longest = max(longest, time.perf_counter() - begin)
            meanwhile += under_way and token is first
            time.sleep(0.005)
    _require(token is not first, "the token was not renewed")
    _require(meanwhile > 0, "calls waited for the renewal")
    yield (
        f"a token of {_LIFETIME} s was renewed {_ms(first.expires_at - token.issued_at)} before "
        f"its end; while the endpoint took {_ms(_SLOW)},"
    )
    yield f"{meanwhile} calls were answered with the old one; the longest wait was {_ms(longest)}"


def _refused_token(stage: _Stage) -> Iterator[str]:
    provider = "norce-commerce"
    statuses: list[int] = []
    with stage.connect(provider) as connection:
        connection.token()
        stage.emulator.revoke_tokens(provider)
        before = stage.emulator.api_requests(provider)
        requests = stage.count(provider, lambda: statuses.append(stage.get(connection)))
        sent = stage.emulator.api_requests(provider) - before
    _require(statuses == [200], f"the API answered with {statuses[0]}")
    _require((requests, sent) == (1, 2), f"{requests} token and {sent} API requests were sent")
    yield f"the API answered 401; {requests} token request, the same request again: {statuses[0]}"


def _require(promise: bool, otherwise: str) -> None:  # noqa: FBT001 - it is what is required
    if not promise:
        raise _StepFailedError(otherwise)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f} ms"


_STEPS: tuple[tuple[str, Callable[[_Stage], Iterator[str]]], ...] = (
    ("1. A token from each provider, chosen by name, and a call to its API", _each_provider),
    ("2. The second time the tokens come from the store", _second_call),
    ("3. A crowd that finds no token makes one request", _crowd_of_threads),
    ("4. A crowd of processes does, too", _crowd_of_processes),
    ("5. A token is renewed before it ends, and nobody waits", _renewal_ahead),
    ("6. A token that the API refuses is replaced, and the call goes through", _refused_token),
)
