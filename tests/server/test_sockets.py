"""The addresses of `keyturn serve`, and its session secret."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn._server import secret as session
from keyturn._server import sockets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_unix_socket_needs_no_secret(tmp_path: Path, serve: Callable[..., Any]) -> None:
    """Other users of the host could get tokens, or this user would need a secret."""
    path = tmp_path / "socket"
    agent = serve(tmp_path / "keyturn.toml", "shop", path=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert agent.secret == ""
    with agent.client(headers={"Host": "anything"}) as client:
        assert client.get("/shop/v1/echo").status_code == 200
        assert client.get("/nothing/v1/echo").status_code == 404


def test_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    """An old socket would prevent the next start, or another program's file would be removed."""
    path = tmp_path / "socket"
    with sockets.listening(0, path):
        pass
    assert not path.exists()
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with sockets.listening(0, path):
        path.unlink()
    assert not path.exists()
    with sockets.listening(0, path):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


def test_path_in_use_is_reported(tmp_path: Path) -> None:
    """Another program's socket or file would be removed, or the cause would be hidden."""
    path = tmp_path / "socket"
    with sockets.listening(0, path) as first:
        with pytest.raises(keyturn.errors.ConfigurationError, match="another process listens"):
            sockets.listening(0, path).__enter__()
        assert first.socket.getsockname() == str(path)
    path.write_text("a file")
    with pytest.raises(keyturn.errors.ConfigurationError, match="is not a socket"):
        sockets.listening(0, path).__enter__()
    with pytest.raises(keyturn.errors.ConfigurationError, match="No such file"):
        sockets.listening(0, tmp_path / "nothing" / "socket").__enter__()
    with sockets.listening(0, None) as listener:
        port = listener.socket.getsockname()[1]
        with pytest.raises(keyturn.errors.ConfigurationError, match="already in use"):
            sockets.listening(port, None).__enter__()


def passed(monkeypatch: pytest.MonkeyPatch, listener: socket.socket, number: str = "1") -> None:
    """Make a socket look like one that systemd passes."""
    monkeypatch.setenv("LISTEN_FDS", number)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setattr(sockets, "_FIRST_PASSED", os.dup(listener.fileno()))


@pytest.mark.parametrize(("mode", "is_private"), [(0o600, True), (0o660, False), (0o666, False)])
def test_passed_unix_socket_for_all_users_needs_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, is_private: bool
) -> None:
    """Every user could get tokens from a socket that systemd opens for all users."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        (tmp_path / "socket").chmod(mode)
        passed(monkeypatch, listener)
        with sockets.listening(0, None) as found:
            assert found.is_private is is_private
            assert found.hosts is None
        assert "LISTEN_FDS" not in os.environ


def test_passed_abstract_socket_needs_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every user could get tokens from an abstract socket, which has no mode."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0keyturn-test-{os.getpid()}")
        passed(monkeypatch, listener)
        with sockets.listening(0, None) as found:
            assert not found.is_private


def test_passed_address_of_another_interface_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other hosts could get tokens."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))  # noqa: S104 - the rejected address
        passed(monkeypatch, listener)
        with pytest.raises(keyturn.errors.ConfigurationError, match="other hosts can reach"):
            sockets.listening(0, None).__enter__()


def test_passed_ipv6_address_is_written_as_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of an IPv6 socket would be no URL."""
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        passed(monkeypatch, listener)
        with sockets.listening(0, None) as found:
            port = listener.getsockname()[1]
            assert found.url == f"http://[::1]:{port}"
            assert found.hosts == {f"[::1]:{port}", f"localhost:{port}"}


def test_several_passed_sockets_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sockets but the first would be ignored silently."""
    with socket.socket() as listener:
        passed(monkeypatch, listener, "2")
        with pytest.raises(keyturn.errors.ConfigurationError, match="one ListenStream"):
            sockets.listening(0, None).__enter__()
        os.close(sockets._FIRST_PASSED)  # noqa: SLF001 - which `passed` has set


@pytest.mark.parametrize("name", ["{tmp}/notify", "@keyturn-notify-{pid}"])
def test_readiness_is_reported_to_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """systemd would wait for a unit that is already ready."""
    name = name.format(tmp=tmp_path, pid=os.getpid())
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    sockets.notify("READY=1")  # no process listens there
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        sockets.notify("READY=1")
        assert manager.recv(100) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", "vsock:1")
    sockets.notify("READY=1")


def test_secret_is_generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two agents would have the same secret, or other users could read it in a file."""
    made = [session.session_secret(None) for _ in range(2)]
    assert made[0].value.reveal() != made[1].value.reveal()
    assert all(each.is_new for each in made)
    file = tmp_path / "secret"
    first = session.session_secret(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not first.is_new
    assert session.session_secret(file).value.reveal() == first.value.reveal()
    monkeypatch.setenv("KEYTURN_SERVE_SECRET", "made-up-secret-of-the-environment")
    assert session.session_secret(None).value.reveal() == "made-up-secret-of-the-environment"


def test_unusable_secrets_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that others can read or guess, or that a path can't contain, would be accepted."""
    file = tmp_path / "secret"
    file.write_text("made-up-secret-of-a-file")
    file.chmod(0o644)
    with pytest.raises(keyturn.errors.ConfigurationError, match="chmod 600"):
        session.session_secret(file)
    with pytest.raises(keyturn.errors.ConfigurationError, match="No such file"):
        session.session_secret(tmp_path / "nothing" / "secret")
    for wrong in ("", "short", "has a space in it, and is long", "a/b" * 10):
        monkeypatch.setenv("KEYTURN_SERVE_SECRET", wrong)
        with pytest.raises(keyturn.errors.ConfigurationError, match="20 to 200") as caught:
            session.session_secret(None)
        assert not wrong or wrong not in str(caught.value)
