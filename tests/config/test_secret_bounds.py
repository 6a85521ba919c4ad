"""Secret references are bounded in bytes and in seconds, and block no other connection."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn._plugins.loading import plugin_manager
from keyturn.errors import ConfigurationError
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "c4nary-s3cret-for-tests"


class HangingKeyring:
    """A replacement for the package keyring."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.may_end = threading.Event()

    def get_password(self, service: str, user: str) -> str:
        """Return the password when it is released."""
        del user
        self.calls.append(service)
        self.may_end.wait(60)
        return CANARY


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., keyturn.Connection]:
    """Give a function that loads a connection whose secret is written as in TOML."""

    def load_with(secret: str, seconds: float = 20, name: str = "oro") -> keyturn.Connection:
        lines = [
            'store = "memory://"',
            f"[connections.{name}]",
            'provider = "orocommerce"\nurl = "https://shop.example"\nclient_id = "made-up"',
            f"timeout = {seconds}\nclient_secret = {secret}",
        ]
        return keyturn.load_connection(name, config=write("\n".join(lines)))

    return load_with


def sent(connection: keyturn.Connection) -> str:
    """Return the client's secret as it would be sent."""
    secret: str = json.loads(connection.token_request().body)["client_secret"]
    return secret


def shell(script: str) -> str:
    """Return a reference to the output of a shell script."""
    return f'{{ command = ["sh", "-c", {json.dumps(script)}] }}'


@pytest.mark.parametrize(
    ("reference", "seconds", "problem"),
    [
        ('{ command = ["yes"] }', 20, "printed more than 65536 bytes"),
        (shell(f"printf {CANARY}; cat /dev/zero"), 20, "printed more than 65536 bytes"),
        (shell(f"echo {CANARY}; exec sleep 60"), 0.3, "took longer than 0.3 s"),
        (shell(f"trap '' TERM; echo {CANARY}; sleep 60"), 0.3, "took longer than 0.3 s"),
        (shell(f"echo {CANARY}; exec >&-; sleep 60"), 0.3, "took longer than 0.3 s"),
        (shell("exec >&-; kill -9 $$"), 20, "failed with status -9"),
        ('{ file = "~/fifo" }', 20, "~/fifo is not a regular file"),
        ('{ file = "~/linked" }', 20, "~/linked is not a regular file"),
        ('{ file = "/dev/zero" }', 20, "/dev/zero is not a regular file"),
        ('{ file = "/dev/tty" }', 20, "/dev/tty is not a regular file"),
        ('{ file = "~" }', 20, "~ is not a regular file"),
        ('{ file = "~/sparse" }', 20, "~/sparse is larger than 65536 bytes"),
        ('{ file = "~/loop" }', 20, "~/loop can't be read: Too many levels of symbolic links"),
        ('{ file = "~/fifo/x" }', 20, "~/fifo/x can't be read: Not a directory"),
    ],
)
def test_endless_source_is_reported(
    load: Callable[..., keyturn.Connection],
    home: Path,
    reference: str,
    seconds: float,
    problem: str,
) -> None:
    """A process would hang, or exhaust its memory, instead of naming the wrong setting."""
    os.mkfifo(home / "fifo")
    (home / "linked").symlink_to(home / "fifo")
    (home / "loop").symlink_to(home / "loop")
    with (home / "sparse").open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(ConfigurationError) as caught:
        load(reference, seconds).token()

    (found,) = map(str, caught.value.problems)
    assert found.startswith("connections.oro.client_secret: ")
    assert problem in found
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "script",
    [
        f"sleep 25 & echo {CANARY}",
        f"(sleep 25; echo late) & printf {CANARY}",
        f"head -c 300000 /dev/zero >&2; echo {CANARY}",
        f"echo {CANARY}; head -c 60000 /dev/zero",
        f"sleep 0.1; printf {CANARY[:5]}; sleep 0.1; echo {CANARY[5:]}",
    ],
)
def test_valid_secret_is_read_despite_background_processes_and_output(
    load: Callable[..., keyturn.Connection], script: str
) -> None:
    """A secret would be lost if the command starts an agent, or prints notes or errors."""
    assert sent(load(shell(script))) == CANARY


@pytest.mark.parametrize("source", ["keyring", "plugin"])
def test_hanging_source_times_out(
    load: Callable[..., keyturn.Connection], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A keyring that waits for its user would block a service, with a new thread for each call."""
    keyring = HangingKeyring()
    monkeypatch.setitem(sys.modules, "keyring", keyring)  # type: ignore[arg-type]

    class Vault:
        @keyturn.plugins.hookimpl
        def keyturn_secret(self, source: str, reference: str) -> str | None:
            return keyring.get_password(source, reference)

    plugin = Vault()
    plugin_manager().register(plugin)
    reference = '{ keyring = "a/b" }' if source == "keyring" else '{ vault = "a" }'
    try:
        connection = load(reference, 0.3)
        for _ in range(3):
            with pytest.raises(ConfigurationError, match=r"within 0\.3 s"):
                connection.token_request()
        assert len(keyring.calls) == 1

        keyring.may_end.set()
        deadline = time.monotonic() + 20
        while any(each.name == "keyturn-secret" for each in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert sent(connection) == CANARY
    finally:
        keyring.may_end.set()
        plugin_manager().unregister(plugin)


def test_secret_is_read_where_no_thread_can_be_started(
    load: Callable[..., keyturn.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cannot start a thread would not get its secret."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match="install keyturn"):
        load('{ keyring = "a/b" }').token_request()


def test_keyboard_interrupt_in_a_plugin_reaches_the_caller(
    load: Callable[..., keyturn.Connection],
) -> None:
    """Ctrl-C while a plugin waits for a password would have no effect."""

    class Vault:
        @keyturn.plugins.hookimpl
        def keyturn_secret(self, source: str, reference: str) -> str | None:
            del source, reference
            raise KeyboardInterrupt

    plugin = Vault()
    plugin_manager().register(plugin)
    try:
        with pytest.raises(KeyboardInterrupt):
            load('{ vault = "x" }').token_request()
    finally:
        plugin_manager().unregister(plugin)


@pytest.mark.parametrize("has_terminal", [False, True])
def test_command_is_ended_at_the_timeout(
    load: Callable[..., keyturn.Connection],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    has_terminal: bool,
) -> None:
    """Each attempt would leave processes running, or a new session lock a password manager."""

    def isatty(_: int) -> bool:
        return has_terminal

    monkeypatch.setattr(os, "isatty", isatty)
    session = f"{sys.executable} -c 'import os; print(os.getsid(0))'"
    assert (sent(load(shell(session))) == str(os.getsid(0))) == has_terminal

    with pytest.raises(ConfigurationError, match="took longer"):
        load(shell("sleep 5 & echo $! $$ > ~/pids; wait"), 0.3).token_request()

    child, parent = map(int, (home / "pids").read_text().split())
    for process in (parent,) if has_terminal else (parent, child):
        assert not is_alive(process)


def is_alive(process: int) -> bool:
    """Return whether a process still runs after at most ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return False
        if state[0] == "Z":  # it has ended, but its parent has not read its status
            return False
        time.sleep(0.01)
    return True


def test_hanging_secret_of_a_connection_blocks_no_other(
    write: Callable[..., Path], home: Path
) -> None:
    """One tenant's unavailable secret manager would block all other tenants."""
    with Emulator() as emulator:
        settings = emulator.settings("orocommerce")
        secret = settings.pop("client_secret")
        (home / "secret").write_text(str(secret))
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        shared = "\n".join(['provider = "orocommerce"', *lines, ""])
        content = (
            f'store = "memory://"\n[connections.a]\n{shared}'
            f'client_secret = {{ command = ["cat", "{home}/manager"] }}\n'
            f'[connections.b]\n{shared}client_secret = {{ file = "~/secret" }}\n'
        )
        path = write(content)
        hanging = keyturn.load_connection("a", config=path)
        healthy = keyturn.load_connection("b", config=path)
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                hanging.token()
            except ConfigurationError as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(20)]
        os.mkfifo(home / "manager")
        for thread in threads:
            thread.start()
        assert healthy.token().access_token
        assert failures == []
        end = os.open(home / "manager", os.O_RDWR)  # what hangs goes on, and gets nothing
        (home / "nothing").touch()
        (home / "nothing").replace(home / "manager")
        os.close(end)
        for thread in threads:
            thread.join(20)

    assert len(failures) == 20
    assert {str(each) for each in failures} == {str(failures[0])}
    assert "client_secret" in str(failures[0])


def test_mounted_secret_is_read_again_after_a_rotation(
    write: Callable[..., Path], home: Path
) -> None:
    """A process would keep an old secret after its mounted symbolic link was replaced."""
    with Emulator() as emulator:
        settings = emulator.settings("orocommerce")
        secret = str(settings.pop("client_secret"))
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        reference = 'client_secret = { file = "~/mounted/secret" }'
        path = write(
            "\n".join(
                [
                    'store = "memory://"',
                    "[connections.a]",
                    'provider = "orocommerce"',
                    *lines,
                    reference,
                ]
            )
        )
        for name, value in (("old", "rotated-away"), ("new", secret)):
            (home / name).mkdir()
            (home / name / "secret").write_text(value)
        (home / "mounted").symlink_to(home / "old")
        connection = keyturn.load_connection("a", config=path)
        with pytest.raises(keyturn.errors.InvalidClient):
            connection.token()

        (home / "next").symlink_to(home / "new")
        (home / "next").replace(home / "mounted")

        assert connection.token().access_token
