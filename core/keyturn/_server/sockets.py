"""The agent's socket: loopback, a Unix socket, or a socket that systemd passes."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn import errors
from keyturn._common.system_errors import advice, system_failure

if TYPE_CHECKING:
    from collections.abc import Generator

# sd_listen_fds(3): the first passed descriptor.
_FIRST_PASSED = 3
_BACKLOG = 1024
# Windows has no such sockets.
_UNIX: Any = getattr(socket, "AF_UNIX", None)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Listener(NamedTuple):
    """A socket that listens.

    Args:
        socket: The socket.
        url: Its address for output; for a Unix socket its path.
        hosts: The allowed values of `Host` in a request to it; None for a Unix socket.
        is_private: Whether the socket's mode allows only this user to connect.
    """

    socket: socket.socket
    url: str
    hosts: frozenset[str] | None
    is_private: bool


@contextlib.contextmanager
def listening(port: int, path: Path | None) -> Generator[Listener]:
    """Listen for a `with` block.

    Args:
        port: A port of 127.0.0.1; 0 for a free one.
        path: The path of a Unix socket to create instead, which only this user may connect to.

    Raises:
        keyturn.errors.ConfigurationError: It can't listen there.
    """
    passed = _passed()
    place = passed.getsockname() if passed else path or f"127.0.0.1, port {port}"
    try:
        if passed is not None:
            with passed:
                yield _described(passed)
        elif path is not None:
            with _unix_socket(path) as listener:
                yield _described(listener)
        else:
            with _bound(socket.AF_INET, ("127.0.0.1", port)) as listener:
                yield _described(listener)
    except _CantListen as error:
        failure = error.cause
    else:
        return
    raise errors.ConfigurationError(
        f"serve can't listen on {place}: {system_failure(failure) or failure}.",
        hint=f"Choose another --port or --socket. {advice(failure)}",
    )


class _CantListen(Exception):
    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _bound(family: int, address: Any) -> socket.socket:
    # asyncio sends without delay (TCP_NODELAY) only on sockets of this protocol.
    protocol = 0 if family == _UNIX else socket.IPPROTO_TCP
    listener = socket.socket(family, socket.SOCK_STREAM, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _CantListen(error) from None
    return listener


@contextlib.contextmanager
def _unix_socket(path: Path) -> Generator[socket.socket]:
    _remove_stale(path)
    previous = os.umask(_OTHERS | stat.S_IXUSR)
    try:
        listener = _bound(_UNIX, str(path))
    finally:
        os.umask(previous)
    own = path.lstat().st_ino
    try:
        with listener:
            yield listener
    finally:
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_ino == own:
                path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove a socket on which no process listens anymore.

    Raises:
        keyturn.errors.ConfigurationError: A process listens on it, or it is not a socket.
    """
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:  # `bind` reports the failure
        return
    with socket.socket(_UNIX, socket.SOCK_STREAM) as client:
        if is_socket and client.connect_ex(str(path)):
            path.unlink()
            return
    what = "another process listens there" if is_socket else "the file exists and is not a socket"
    raise errors.ConfigurationError(
        f"serve can't listen on {path}: {what}.", hint="Choose another --socket, or remove it."
    )


def _passed() -> socket.socket | None:
    """Return the socket that systemd passes (sd_listen_fds(3)), or None.

    Raises:
        keyturn.errors.ConfigurationError: It passes several sockets, or an unusable one.
    """
    number, process = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    if process != str(os.getpid()):
        return None
    if number != "1":
        raise errors.ConfigurationError(
            f"systemd passes {number or 'no'} sockets (LISTEN_FDS).",
            hint="Set exactly one ListenStream in the socket unit.",
        )
    return socket.socket(fileno=_FIRST_PASSED)


def _described(listener: socket.socket) -> Listener:
    """Return a listener for a socket.

    Raises:
        keyturn.errors.ConfigurationError: It does not listen on the loopback interface.
    """
    address = listener.getsockname()
    if listener.family == _UNIX:
        # An abstract socket has no mode.
        file = Path(address) if isinstance(address, str) and address else None
        mode = file.stat().st_mode if file else _OTHERS
        return Listener(listener, str(file or address), None, not mode & _OTHERS)
    host, port = address[:2]
    if not ipaddress.ip_address(host).is_loopback:
        raise errors.ConfigurationError(
            f"serve does not listen on {host}, which other hosts can reach.",
            hint="Set ListenStream of the socket unit to a loopback address or to a path.",
        )
    shown = f"[{host}]" if ":" in host else host
    names = (shown, "localhost")
    hosts = {f"{name}:{port}" for name in names} | {name for name in names if port == 80}
    return Listener(listener, f"http://{shown}:{port}", frozenset(hosts), is_private=False)


def notify(state: str) -> None:
    """Report a state to systemd (sd_notify(3)), if it requested that.

    Args:
        state: Such as `READY=1`.
    """
    name = os.environ.get("NOTIFY_SOCKET", "")
    if name.startswith(("/", "@")):
        address = name.replace("@", "\0", 1) if name[0] == "@" else name
        with (
            socket.socket(_UNIX, socket.SOCK_DGRAM) as client,
            contextlib.suppress(OSError),
        ):
            client.sendto(state.encode(), address)
