"""Where the agent listens: loopback, a Unix socket, or a socket that systemd passes."""

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

# sd_listen_fds(3): the first descriptor that is passed.
_FIRST_PASSED = 3
_BACKLOG = 1024
# Windows has no such sockets.
_UNIX: Any = getattr(socket, "AF_UNIX", None)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Listener(NamedTuple):
    """A socket that listens.

    Args:
        socket: The socket.
        url: Its address, for people; of a Unix socket its path.
        hosts: What `Host` may be in a request to it; None for a Unix socket.
        is_private: Whether the socket's mode lets this user alone connect.
    """

    socket: socket.socket
    url: str
    hosts: frozenset[str] | None
    is_private: bool


@contextlib.contextmanager
def listening(port: int, path: Path | None) -> Generator[Listener]:
    """Listen for the length of a `with` block.

    Args:
        port: A port of 127.0.0.1; 0 for one that is free.
        path: Where to create a Unix socket, which this user alone may connect to; instead of the
            port.

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
    # asyncio sends without delay (TCP_NODELAY) on sockets of this protocol alone.
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
    """Remove a socket on which no process listens any more.

    Raises:
        keyturn.errors.ConfigurationError: A process does, or it is no socket.
    """
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:  # `bind` reports what is wrong
        return
    with socket.socket(_UNIX, socket.SOCK_STREAM) as client:
        if is_socket and client.connect_ex(str(path)):
            path.unlink()
            return
    what = "another process listens there" if is_socket else "a file is there that is no socket"
    raise errors.ConfigurationError(
        f"serve can't listen on {path}: {what}.", hint="Choose another --socket, or remove it."
    )


def _passed() -> socket.socket | None:
    """Return the socket that systemd passes (sd_listen_fds(3)), if it passes one.

    Raises:
        keyturn.errors.ConfigurationError: It passes several, or one that can't be used.
    """
    number, process = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    if process != str(os.getpid()):
        return None
    if number != "1":
        raise errors.ConfigurationError(
            f"systemd passes {number or 'no'} sockets (LISTEN_FDS).",
            hint="Give the socket unit one ListenStream.",
        )
    return socket.socket(fileno=_FIRST_PASSED)


def _described(listener: socket.socket) -> Listener:
    """Return a socket with what is to be known of it.

    Raises:
        keyturn.errors.ConfigurationError: It is not on the loopback interface.
    """
    address = listener.getsockname()
    if listener.family == _UNIX:
        # Of an abstract socket there is no mode.
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
    """Report a state to systemd (sd_notify(3)), if it wants to know.

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
