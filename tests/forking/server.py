"""Forks processes that have imported keyturn, because imports take most of a process's time.

The server listens on the socket that is its first argument, and ends with its standard input.
`python.py` opens a connection for each process. It sends three descriptors, a length, and a value
of `marshal`: directory, environment and arguments. The response is 1, or 0 if the process needs a
new interpreter; then the exit status. A byte from the client is a signal for the process; the end
of the connection kills it.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import importlib
import marshal
import os
import pkgutil
import runpy
import selectors
import signal
import site
import socket
import struct
import sys
import threading
import time
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

NUMBER = struct.Struct("=i")
# The modules that a token request and a command import.
PACKAGES = (
    *("keyturn", "keyturn._cli", "keyturn._common", "keyturn._config", "keyturn._connection"),
    *("keyturn._http", "keyturn._plugins", "keyturn._providers", "keyturn._tokens"),
    "keyturn.stores",
)


class Request(NamedTuple):
    """The directory, environment, arguments and descriptors of a process."""

    directory: str
    environment: dict[str, str]
    arguments: list[str]
    descriptors: list[int]

    def can_be_forked(self) -> bool:
        """Return whether a forked process can run this, without a new interpreter."""
        return (
            self.arguments[:1] in (["-c"], ["-m"]) or self.arguments[:3] == ["-W", "ignore", "-c"]
        ) and starting(self.environment) == starting(os.environ)


def starting(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Python, and its libraries, read at startup."""
    names = ("PYTHON", "LC_", "LANG", "LD_", "OPENSSL_")
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(names) and name != "PYTHONPATH"
    }


def receive(connection: socket.socket) -> Request:
    """Return the request of a connection."""
    length, descriptors, _, _ = socket.recv_fds(connection, NUMBER.size, 3)
    missing, data = NUMBER.unpack(length)[0], b""
    while missing and (more := connection.recv(missing)):
        data += more
        missing -= len(more)
    directory, environment, arguments = marshal.loads(data)  # noqa: S302 - sent by our own client
    return Request(directory, environment, list(arguments), descriptors)


def wake(_: int, __: FrameType | None) -> None:
    """Make a signal that is otherwise ignored interrupt a wait."""


class Server:
    """Forks a process for each connection, and reports its exit status."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._children: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self._wakes = socket.socketpair()
        for each in (self._woken, self._wakes):
            each.setblocking(False)  # noqa: FBT003 - its only argument
        self._selector.register(0, selectors.EVENT_READ, self._end)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._reap)
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, wake)

    def run(self) -> Request:
        """Serve until the end; in each child, return its request."""
        while True:
            for key, _ in self._selector.select():
                if request := key.data():
                    return request  # type: ignore[no-any-return]

    def _end(self) -> None:
        for process in self._children:
            os.kill(process, signal.SIGKILL)
        sys.exit()

    def _accept(self) -> Request | None:
        connection, _ = self._listener.accept()
        try:
            request = receive(connection)
        except (ConnectionError, struct.error):  # it was killed before it had sent its request
            connection.close()
            return None
        process = os.fork() if request.can_be_forked() else None
        if process == 0:
            self._leave()
            connection.close()
            return request
        for each in request.descriptors:
            os.close(each)
        with contextlib.suppress(ConnectionError):
            connection.sendall(bytes([bool(process)]))
        if process:
            self._children[process] = connection
            self._selector.register(connection, selectors.EVENT_READ, lambda: self._signal(process))
        else:
            connection.close()
        return None

    def _leave(self) -> None:
        """Close the server's resources in a child."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for each in (self._listener, self._woken, self._wakes, *self._children.values()):
            each.close()

    def _signal(self, process: int) -> None:
        if process not in self._children:  # it has already ended
            return
        connection = self._children[process]
        number = b""
        with contextlib.suppress(ConnectionError):
            number = connection.recv(1)
        if not number:
            self._selector.unregister(connection)
        os.kill(process, number[0] if number else signal.SIGKILL)

    def _reap(self) -> None:
        self._woken.recv(4096)
        for process in list(self._children):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                connection = self._children.pop(process)
                with contextlib.suppress(KeyError):
                    self._selector.unregister(connection)
                with contextlib.suppress(ConnectionError):
                    connection.sendall(NUMBER.pack(status))
                connection.close()


def become(request: Request, path: list[str]) -> None:
    """Set up a child as a new process would start, independent of the server."""
    os.setsid()
    os.chdir(request.directory)
    for number, descriptor in enumerate(request.descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    if "COVERAGE_PROCESS_CONFIG" in os.environ:  # as pytest-cov sets it
        importlib.import_module("coverage").process_startup()
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())  # type: ignore[union-attr]
    extra = os.environ.get("PYTHONPATH")
    sys.path[:] = [*(extra.split(os.pathsep) if extra else ()), *path]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    site.execsitecustomize()


def execute(arguments: list[str]) -> None:
    """Run code or a module, as `python` does."""
    if arguments[0] == "-W":
        sys.warnoptions[:] = [arguments[1]]
        warnings.simplefilter("ignore")
        del arguments[:2]
    kind, code, *rest = arguments
    sys.argv[:] = [kind, *rest]
    main = sys.modules["__main__"] = ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    sys.path.insert(0, "" if kind == "-c" else str(Path.cwd()))
    if kind == "-c":
        exec(compile(code, "<string>", "exec"), vars(main))  # noqa: S102 - a test's code
    else:
        runpy.run_module(code, run_name="__main__", alter_sys=True)


def status(arguments: list[str]) -> int:
    """Run code or a module; return the process's exit status."""
    try:
        execute(arguments)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        sys.stderr.write(f"{error.code}\n")
    except BaseException as error:  # noqa: BLE001 - shown as by Python
        own = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(own and own.tb_next), own)
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    else:
        return 0
    return 1


def end(number: int) -> None:
    """Exit as Python does, but without freeing imported modules, which takes long."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing does
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - the only way
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(number)


def main() -> None:
    """Import, serve, and run the request in each child."""
    own = 1 + len(os.environ["PYTHONPATH"].split(os.pathsep))
    path = sys.path[own:]
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__, f"{name}."):
            if not module.ispkg and not module.name.endswith("__"):
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
    request = Server(socket.socket(fileno=int(sys.argv[1]))).run()
    become(request, path)
    end(status(request.arguments))


if __name__ == "__main__":
    main()
