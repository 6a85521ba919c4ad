"""Side effects of a provider's code, detected and blocked by an audit hook (PEP 578)."""

from __future__ import annotations

import codecs
import contextlib
import functools
import locale
import os
import random
import select
import signal
import sys
import threading
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

_NETWORK = {
    "socket.connect": "connects to another host",
    "socket.sendto": "sends to another host",
    "socket.sendmsg": "sends to another host",
    "socket.getaddrinfo": "resolves a host name",
    "socket.gethostbyname": "resolves a host name",
    "socket.gethostbyaddr": "resolves a host name",
}
_PROCESSES = {
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.exec": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.spawn": "starts a process",
    "os.startfile": "starts a process",
    "os.fork": "starts a process",
    "os.forkpty": "starts a process",
    "pty.spawn": "starts a process",
}
_OTHERS = {
    "open": "opens a file",
    "os.listdir": "reads a directory",
    "os.scandir": "reads a directory",
    "os.mkdir": "makes a directory",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "os.rmdir": "removes a directory",
    "os.chmod": "changes a file's mode",
    "os.chdir": "changes the working directory",
    "os.link": "links a file",
    "os.symlink": "links a file",
    "sqlite3.connect": "opens a database",
    "os.putenv": "changes an environment variable",
    "os.unsetenv": "changes an environment variable",
    "ctypes.dlopen": "loads a library",
    "socket.bind": "listens on a port",
    "socket.gethostname": "reads the host's name",
    "builtins.input": "reads the terminal",
    "sys.addaudithook": "adds an audit hook",
    "resource.setrlimit": "changes the limits of the process",
}
# Without an audit event in each version of Python.
_CALLS = {
    "time.sleep": "sleeps",
    "threading.Condition.wait": "waits",
    "select.select": "waits",
    "threading.Thread.start": "starts a thread",
    "os.stat": "reads the status of a file",
    "os.access": "reads the permissions of a file",
    "random.seed": "seeds the random numbers of the whole process",
    "codecs.register": "registers a codec",
    "locale.setlocale": "changes the locale",
    "signal.setitimer": "sets a timer of the process",
    "os.register_at_fork": "registers a fork hook",
}
_ACTS = _NETWORK | _PROCESSES | _OTHERS
_READS = {"open", "os.stat", "os.access"}
_LOCAL = {"127.0.0.1", "localhost", "::1", None, b"127.0.0.1", b"localhost"}
# Code that reads the clock more often waits for a time.
_MANY = 1000
_IMPORTING = "<frozen importlib._bootstrap>"


@attrs.define
class Watch:
    """The scope and the findings of the audit.

    Args:
        places: The files and directories of the provider's own code.
        address: Host and port that may be reached; None for none.
        is_strict: Whether files, threads and the environment count, besides network and processes.
        files: The names of files that may be read.
        attempts: The recorded actions, each with its place.
    """

    places: tuple[str, ...]
    address: tuple[str, int] | None = None
    is_strict: bool = False
    files: frozenset[str] = frozenset()
    attempts: list[tuple[str, str]] = attrs.field(factory=list)
    _reads: int = 0
    _thread: int = attrs.field(factory=threading.get_ident)
    _others: set[int | None] = attrs.field(
        factory=lambda: {each.ident for each in threading.enumerate()}
    )

    def saw(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record an event of the provider's own code, or of its threads.

        Raises:
            PermissionError: The event must not happen.
        """
        if event in _NETWORK and self._is_allowed(event, arguments):
            return
        if event in _READS and Path(str(arguments[0])).name in self.files:
            return
        if event not in _NETWORK | _PROCESSES and not self.is_strict:
            return
        where = culprit(self.places)
        me = threading.get_ident()
        is_ours = me == self._thread or me not in self._others
        if not where and not (event in _NETWORK and is_ours):
            return
        what = (_ACTS | _CALLS)[event]
        self.attempts.append((what, where))
        raise PermissionError(what)

    def loops(self) -> None:
        """Count that the clock is read, and record that the provider's own code does so in a loop.

        Raises:
            PermissionError: It does.
        """
        where = culprit(self.places)
        self._reads += bool(where)
        if where and self._reads > _MANY:
            self.attempts.append(("waits in a loop that reads the clock", where))
            raise PermissionError(where)

    def read_variable(self, name: str) -> None:
        """Record that the provider's own code reads an environment variable."""
        where = culprit(self.places) if self.is_strict else ""
        if where:
            self.attempts.append((f"reads the environment variable {name}", where))

    def _is_allowed(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "socket.connect":
            return self.address is not None and tuple(arguments[1][:2]) == self.address
        return event == "socket.getaddrinfo" and bool(self.address) and arguments[0] in _LOCAL


_watches: list[Watch] = []
# The functions that are wrapped, as they were.
_EVENTS: dict[Callable[..., Any], str] = {}
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)


def is_in(file: str, places: tuple[str, ...]) -> bool:
    """Return whether a file is one of some files, or in one of some directories."""
    return any(file == each or file.startswith(each + os.sep) for each in places)


def culprit(places: tuple[str, ...]) -> str:
    """Return the line of the provider's own code that runs now; empty if none does.

    Actions of modules that the provider imports do not count.
    """
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - as the docs say
    return line_in(frame, places)


def line_in(frame: FrameType | None, places: tuple[str, ...]) -> str:
    """Return the innermost line of some files in a stack, unless it imports something."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_IMPORTING):
            return ""
        if is_in(file, places):
            return f"{Path(file).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@contextlib.contextmanager
def watched(watch: Watch) -> Generator[list[tuple[str, str]]]:
    """Block forbidden actions of a provider, and yield the list of its attempts."""
    install()
    if watch.is_strict:
        _wrap_imported(watch.places)
    _watches.append(watch)
    try:
        yield watch.attempts
    finally:
        with contextlib.suppress(ValueError):  # a check that hung has left it acquired
            _watches.remove(watch)


@contextlib.contextmanager
def unwatched() -> Generator[None]:
    """Allow the kit itself, for a `with` block, actions that a provider must not do."""
    paused, _watches[:] = _watches[:], []
    try:
        yield
    finally:
        _watches[:] = paused


def forget() -> None:
    """Stop the audit of a check that hangs."""
    _watches.clear()


@functools.cache
def install() -> None:
    """Install the hook, which can't be removed, and which is cheap while no audit is active."""
    hook: Any = _hook
    hook.__cantrace__ = True  # sys.addaudithook: debuggers and coverage see it
    sys.addaudithook(hook)
    environment: Any = type(os.environ)
    get: Callable[[Any, str], str] = environment.__getitem__

    def watched_get(self: Any, name: str) -> str:
        if _watches:
            _watches[-1].read_variable(str(name))
        return get(self, name)

    environment.__getitem__ = watched_get
    _wrap(time, "sleep", "time.sleep")
    _wrap(select, "select", "select.select")
    _wrap(threading.Condition, "wait", "threading.Condition.wait")
    _wrap(threading.Thread, "start", "threading.Thread.start")
    _wrap(random, "seed", "random.seed")
    _wrap(codecs, "register", "codecs.register")
    _wrap(locale, "setlocale", "locale.setlocale")
    for name in {"setitimer"} & vars(signal).keys():  # Windows does not have it
        _wrap(signal, name, f"signal.{name}")
    for name in {"register_at_fork"} & vars(os).keys():  # nor this
        _wrap(os, name, f"os.{name}")
    abilities = (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks)
    for name in ("stat", "access"):
        usual = getattr(os, name)
        _wrap(os, name, f"os.{name}")
        for able in (*abilities, os.supports_effective_ids):
            able.update({getattr(os, name)} if usual in able else ())


def _wrap(owner: Any, name: str, event: str) -> None:
    """Let a function report its calls permanently, which is cheap while no audit is active."""
    usual: Callable[..., Any] = getattr(owner, name)
    _EVENTS[usual] = event

    setattr(owner, name, _watched_call(usual, event))


def _watched_call(usual: Callable[..., Any], event: str) -> Callable[..., Any]:
    @functools.wraps(usual)
    def watched_call(*arguments: Any, **options: Any) -> Any:
        is_asked = event == "locale.setlocale" and arguments[1:] in {(), (None,)}
        if _watches and not (is_asked and not options):
            _watches[-1].saw(event, arguments)
        return usual(*arguments, **options)

    return watched_call


@functools.lru_cache(maxsize=64)
def _wrap_imported(places: tuple[str, ...]) -> None:
    """Let the functions report that a provider's modules have imported by their names before."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) or ""
        if is_in(file, places):
            for name, value in list(vars(module).items()):
                if isinstance(value, _FUNCTIONS) and value in _EVENTS:
                    setattr(module, name, _watched_call(value, _EVENTS[value]))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watches and event in _ACTS:
        _watches[-1].saw(event, arguments)
