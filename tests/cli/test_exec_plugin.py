"""`keyturn token --format exec-credential`, as kubectl runs it: again after a 401."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn.testing import Emulator

    from .conftest import Result

    Keyturn = Callable[..., Result]

INIT = 1
NO_PROCESS = 2**31 - 2


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, keyturn: Keyturn) -> Callable[..., str]:
    """Give a function that runs keyturn as the plugin of a client, and returns the token."""
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", "{}")

    def ask(pid: int = os.getpid(), name: str = "shop", *options: str) -> str:
        monkeypatch.setattr("os.getppid", lambda: pid)
        found = keyturn("token", name, "--format", "exec-credential", *options).json()
        return str(found["status"]["token"])

    return ask


@pytest.mark.usefixtures("shop")
def test_client_that_asks_again_gets_another_token(
    emulator: Emulator, client: Callable[..., str]
) -> None:
    """kubectl would get the refused token until its renewal point, or each kubectl a new one."""
    first = client()
    assert client(INIT) == first
    emulator.revoke_tokens("orocommerce")

    second = client()

    assert second != first
    # It met the same revocation.
    assert client(INIT) == second
    assert emulator.token_requests("orocommerce") == 2
    assert client(INIT) != second


@pytest.mark.usefixtures("shop")
def test_process_that_is_no_client_of_kubernetes_gets_the_same_token(
    emulator: Emulator, client: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that prints the format twice would request two tokens."""
    assert client(NO_PROCESS) == client(NO_PROCESS)
    monkeypatch.delenv("KUBERNETES_EXEC_INFO")
    assert client() == client()
    assert emulator.token_requests("orocommerce") == 1


@pytest.mark.usefixtures("shop")
def test_client_may_ask_for_a_new_token_in_so_many_words(
    emulator: Emulator, client: Callable[..., str]
) -> None:
    """`--renew` would request two tokens, or none."""
    first = client()

    assert client(os.getpid(), "shop", "--renew") != first
    assert emulator.token_requests("orocommerce") == 2


def test_client_may_use_two_connections(
    emulator: Emulator, configure: Callable[..., object], client: Callable[..., str]
) -> None:
    """A client of two clusters would never learn that a token was refused."""
    configure(
        **{
            side: {"provider": "orocommerce", **emulator.settings("orocommerce", side=side)}
            for side in ("backoffice", "storefront")
        }
    )
    before = [client(os.getpid(), side) for side in ("backoffice", "storefront")]
    after = [client(os.getpid(), side) for side in ("backoffice", "storefront")]

    assert not set(before) & set(after)
    assert emulator.token_requests("orocommerce") == 4
