"""`keyturn serve` as a process: arguments, secrets, signals, socket activation by systemd."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from keyturn import connect

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

# Passes a socket as systemd does: descriptor 3, for the process ID in LISTEN_PID.
PASS_SOCKET = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "keyturn", "serve"])
"""


@pytest.mark.usefixtures("shop")
def test_command_serves_tokens_until_a_signal(
    start: Callable[..., subprocess.Popen[str]], emulator: Any, tmp_path: Path
) -> None:
    """The secret would be in the log or in the arguments, or a signal would be a failure."""
    file = tmp_path / "token"
    process = start("-v", "serve", "--token-file", f"shop={file}", stdin=None)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    secret = url.rstrip("/").rpartition("/")[2]
    with connect("orocommerce", **emulator.settings("orocommerce")) as connection:
        path = urlsplit(connection.api_url).path + emulator.resource("orocommerce")
    response = httpx.get(f"{url}shop{path}", trust_env=False)
    assert response.status_code == 200
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "shop: GET: 200" in log
    assert secret not in log
    assert secret not in str(process.args)
    assert file.read_text() not in log


@pytest.mark.usefixtures("shop")
def test_socket_of_systemd_is_used_and_readiness_is_reported(
    tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    """A systemd unit with a socket would not start, or would never become ready."""
    path, states = tmp_path / "socket", tmp_path / "notify"
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        manager.bind(str(states))
        manager.settimeout(20)
        process = spawn(
            [sys.executable, "-c", PASS_SOCKET, listener.fileno()],
            env=os.environ | {"NOTIFY_SOCKET": str(states), "JOURNAL_STREAM": "8:1"},
            pass_fds=[listener.fileno()],
        )
        assert manager.recv(100) == b"READY=1"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://localhost/-/token/shop").json()["access_token"]
        process.send_signal(signal.SIGINT)
        assert manager.recv(100) == b"STOPPING=1"
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == f"{path}\n"


@pytest.mark.usefixtures("shop")
def test_signals_end_the_command_and_handlers_are_restored(
    keyturn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The signal itself would kill the command, or its handlers would remain installed."""
    monkeypatch.setenv("KEYTURN_SERVE_SECRET", "made-up-session-secret")
    before = signal.getsignal(signal.SIGTERM)
    path = tmp_path / "socket"
    killer = threading.Thread(target=_terminate_when_ready, args=(path,))
    killer.start()
    result = keyturn("serve", "--socket", str(path))
    killer.join()
    assert (result.code, result.out) == (0, f"{path}\n")
    assert signal.getsignal(signal.SIGTERM) is before
    assert not path.exists()


def _is_reachable(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(path))
        return True
    return False


def _terminate_when_ready(path: Path) -> None:
    # httpx would leave a socket open at each failed attempt.
    while not _is_reachable(path):
        time.sleep(0.02)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        assert client.get("http://localhost/metrics").status_code == 200
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.usefixtures("shop")
def test_wrong_arguments_are_reported_at_the_start(
    keyturn: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake would show at the first token request, or a secret would get into the journal."""
    for argument in ("shop", "nothing=/tmp/x", "shop=", f"shop={tmp_path}/nothing/token"):
        result = keyturn("serve", "--token-file", argument)
        assert result.code == 2
        assert "NAME=PATH" in result.err
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    result = keyturn("serve")
    assert result.code == 2
    assert re.search("printed to the journal.*--secret-file", result.err)


def test_command_without_a_usable_connection_fails(
    keyturn: Callable[..., Any], configure: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A useless agent would run, or one mistake would disable all connections."""
    configure()
    result = keyturn("serve")
    assert result.code == 2
    assert "no connection is configured" in result.err
    configure(bad={"provider": "not-installed"})
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")  # which ends the command
    assert "not-installed" in keyturn("serve").err


def test_missing_packages_are_reported(
    keyturn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command would fail with a traceback where the extra is not installed."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "uvicorn" else find_spec(name, *rest),
    )
    result = keyturn("serve")
    assert result.code == 2
    assert "not installed: uvicorn. Run pip install 'keyturn[serve]'" in result.err
