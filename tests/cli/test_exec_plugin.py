"""`keyturn token --format exec-credential`, as kubectl runs it, repeatedly after a 401."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from keyturn.testing import Emulator

    from .conftest import Result

    Keyturn = Callable[..., Result]
    Ask = Callable[..., str]

NO_PROCESS = 2**31 - 2


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, keyturn: Keyturn) -> Ask:
    """Return a function that runs keyturn as the plugin of a process, and returns the token."""

    def token(pid: int, name: str = "shop", *options: str) -> str:
        monkeypatch.setattr("os.getppid", lambda: pid)
        found = keyturn("token", name, "--format", "exec-credential", *options).json()
        return str(found["status"]["token"])

    return token


@pytest.fixture
def start_kubectl(tmp_path: Path) -> Iterator[Callable[[], int]]:
    """Return a function that starts a process of this name, and returns its process ID."""
    program = tmp_path / "kubectl"
    program.symlink_to(sys.executable)
    with contextlib.ExitStack() as processes:

        def start() -> int:
            command = [program, "-ISc", "print(); input()"]
            pipe = subprocess.PIPE
            process = processes.enter_context(
                subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
            )
            # It has the name once it prints.
            assert process.stdout is not None
            process.stdout.read(1)
            processes.callback(process.communicate)
            return process.pid

        yield start


@pytest.mark.usefixtures("shop")
def test_kubectl_that_asks_again_gets_a_new_token(
    emulator: Emulator, ask: Ask, start_kubectl: Callable[[], int]
) -> None:
    """kubectl would get the rejected token again, or each kubectl would get a new one."""
    kubectl, other = start_kubectl(), start_kubectl()
    first = ask(kubectl)
    assert ask(other) == first
    emulator.revoke_tokens("orocommerce")

    second = ask(kubectl)

    assert second != first
    # The same revocation affected this process.
    assert ask(other) == second
    assert emulator.token_requests("orocommerce") == 2
    assert ask(other) != second


@pytest.mark.usefixtures("shop")
def test_other_programs_get_the_same_token(emulator: Emulator, ask: Ask) -> None:
    """A program that reads its configuration again would request a token each time."""
    for pid in (os.getpid(), NO_PROCESS):
        assert ask(pid) == ask(pid)
    assert emulator.token_requests("orocommerce") == 1


@pytest.mark.usefixtures("shop")
def test_renew_sends_one_request(
    emulator: Emulator, ask: Ask, start_kubectl: Callable[[], int]
) -> None:
    """`--renew` would request two tokens, or none."""
    kubectl = start_kubectl()
    first = ask(kubectl)

    assert ask(kubectl, "shop", "--renew") != first
    assert emulator.token_requests("orocommerce") == 2


def test_kubectl_may_use_two_connections(
    emulator: Emulator,
    configure: Callable[..., object],
    ask: Ask,
    start_kubectl: Callable[[], int],
) -> None:
    """A request for one connection's token would be read as a rejection of another's."""
    kubectl, sides = start_kubectl(), ("backoffice", "storefront")
    settings = {side: emulator.settings("orocommerce", side=side) for side in sides}
    configure(**{side: {"provider": "orocommerce", **settings[side]} for side in sides})

    before = [ask(kubectl, side) for side in sides]
    assert emulator.token_requests("orocommerce") == 2
    after = [ask(kubectl, side) for side in sides]

    assert not set(before) & set(after)
    assert emulator.token_requests("orocommerce") == 4
