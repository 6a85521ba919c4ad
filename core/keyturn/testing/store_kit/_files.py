"""The files of a store, and what other processes can see of it, from a forked process."""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import os
import re
import socket
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyturn._common.redaction import Redaction
from keyturn._secret import Secret
from keyturn.testing.store_kit._bounded import together
from keyturn.testing.store_kit._helpers import LONG, STEPS, in_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn.testing.store_kit._bounded import WatchedStore

ROUNDS = 8
_OTHERS = 0o077
_OPEN_FILES = Path("/proc/self/fd")
_LOOPBACK = re.compile(r"127\.|::1$|localhost$")
# Properties that all threads of a process share, by the functions that change them.
_OF_ALL_THREADS = {
    "umask": "umask",
    "chdir": "working directory",
    "fchdir": "working directory",
}
_COMMANDS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"}
# These modules decide who may create or write a file, not their callers.
_LIBRARY = tuple({str(Path(os.__file__).parent), "<frozen"})
_MODULE_REGEX = re.compile(r"\.py(?:c|\Z)|/__pycache__(?:/|\Z)")
_IGNORED = ("/dev/", "/proc/", "/sys/", sys.prefix, sys.base_prefix)

# Not imported in the audit hook, which an import that writes bytecode would call.
importlib.import_module("keyturn._common.encodings")


class Watch:
    """Records the files of this process, by audit events and open descriptors.

    An audit hook lasts as long as its process, so this runs in a forked one.

    Args:
        secret: A string that no command and no file name may contain.
    """

    def __init__(self, secret: str) -> None:
        self.findings: list[str] = []
        self._redaction = Redaction([Secret(secret)])
        self._known = self._opened()
        self._paths: set[str] = set()
        self._made: set[str] = set()

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record an audit event (https://docs.python.org/3/library/audit_events.html)."""
        if event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._note(path)
        elif event in {"os.rename", "os.link", "os.symlink"}:
            self._note(arguments[1])
        elif event == "sqlite3.connect":
            self._note(arguments[0])
        elif event == "os.mkdir":
            path = self._note(arguments[0], arguments[2])
            if path and not Path(path).exists() and not _is_the_tests_own():
                self._made.add(path)
        elif event == "socket.bind":
            self._check_address(*arguments)
        elif event in _COMMANDS and self._redaction.text(repr(arguments)) != repr(arguments):
            self._find("a command that the store runs shows an entry: give it on standard input")

    def step(  # pragma: no cover - Python traces no profile function
        self, _: object, event: str, function: Any
    ) -> None:
        """Check the files after a call, before a later call changes their mode."""
        if event != "c_return":
            return
        if function.__name__ in STEPS:
            self._look(self._paths | self._opened() - self._known)
        elif function.__name__ in _OF_ALL_THREADS:
            self._find(
                f"the store changes the {_OF_ALL_THREADS[function.__name__]} of its process, if "
                "only temporarily: other threads would use it. Give each file its own path and "
                "mode"
            )

    def files(self) -> set[str]:
        """Return the files that the store has written, and those in the same directories."""
        beside = {
            str(other)
            for path in self._paths
            for other in Path(path).parent.glob(f"{Path(path).name}*")
        }
        return self._paths | self._below() | beside

    def look_at_descriptors(self) -> None:
        """Check the descriptors of the store's open files."""
        with contextlib.suppress(OSError):  # where there is no /proc
            for each in [*_OPEN_FILES.iterdir()]:
                with contextlib.suppress(OSError):  # it is closed by now
                    path = str(each.readlink())
                    is_new = path.startswith("/") and path not in self._known
                    if is_new and not _is_of_python(path) and os.get_inheritable(int(each.name)):
                        self._find(
                            f"commands that the application runs inherit the open file {path}, "
                            "and hold its lock: leave descriptors as `os.open` returns them"
                        )

    def finish(self) -> list[str]:
        """Check all files at the end; return what is wrong."""
        self.look_at_descriptors()
        self._look(self.files())
        for path in sorted(self._made | self._below()):
            mode, _ = _status(path)
            if stat.S_ISDIR(mode) and mode & _OTHERS:
                self._find(
                    f"other users may open a directory of the store, {path} (mode "
                    f"{stat.S_IMODE(mode):o}): make it with mode 0o700, whatever the umask"
                )
        return self.findings

    def _below(self) -> set[str]:
        return {str(path) for each in self._made for path in Path(each).rglob("*")}

    def _look(self, paths: set[str]) -> None:
        for path in sorted(paths):
            mode, size = _status(path)
            is_special = stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)
            # An empty file is that of a lock.
            if mode & _OTHERS and (is_special or (stat.S_ISREG(mode) and size)):
                kind = "socket" if stat.S_ISSOCK(mode) else "file"
                self._find(
                    f"other users may open a {kind} of the store, {path} (mode "
                    f"{stat.S_IMODE(mode):o}): create it with mode 0o600, whatever the umask; as "
                    "with `os.open(path, flags, 0o600)`"
                )

    def _note(self, path: Any, directory: int = -1) -> str:
        """Record a path, and return it; "" for a descriptor, or a path that is not the store's."""
        if isinstance(path, int):
            return ""
        above = Path(f"{_OPEN_FILES}/{directory}").resolve() if directory >= 0 else Path.cwd()
        noted = str(above / os.fsdecode(path))
        if _is_of_python(noted):
            return ""
        if self._redaction.text(noted) != noted:
            self._find("the name of a file shows an entry: name files by keys")
        self._paths.add(noted)
        return noted

    def _check_address(self, bound: socket.socket, address: Any) -> None:
        if bound.family == getattr(socket, "AF_UNIX", None):
            if os.fsencode(address).startswith(b"\0"):
                self._find(
                    "all users of the host may connect to an abstract socket of the store: bind it "
                    "to a path, in a directory of mode 0o700"
                )
            else:
                self._note(address)
        elif bound.type & socket.SOCK_STREAM and not _LOOPBACK.match(str(address[0])):
            self._find(
                f"other hosts may connect to a socket of the store, at {address[0]!r}: bind "
                "it to 127.0.0.1, or use a Unix socket of mode 0o600"
            )

    def _opened(self) -> set[str]:
        opened: set[str] = set()
        with contextlib.suppress(OSError):  # where there is no /proc
            for each in _OPEN_FILES.iterdir():
                with contextlib.suppress(OSError):  # it is closed by now
                    opened.add(str(each.readlink()))
        return {path for path in opened if path.startswith("/") and not _is_of_python(path)}

    def _find(self, finding: str) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


# Debuggers and coverage see what an audit hook does.
vars(Watch)["hook"].__cantrace__ = True


def observe(open_store: Callable[[], WatchedStore], key: str, entry: str) -> list[str]:
    """Use a store in this process, with a umask of 0; return what is wrong."""
    watch = Watch(entry)
    os.umask(0)
    sys.addaudithook(watch.hook)
    store = open_store()
    sys.setprofile(watch.step)
    try:
        store.write(key, entry, in_seconds(LONG))
        with store.lock(key, LONG):
            store.read(key)
            watch.look_at_descriptors()
        store.write(key, f"{entry}{entry}", in_seconds(LONG))
    finally:
        sys.setprofile(None)
    findings = watch.finish()
    if os.umask(0):
        findings.append("the store changes the umask of its process: give each file its own mode")
    store.delete(key)
    return findings


def leftovers(store: WatchedStore, key: str) -> int:
    """Return how many descriptors and threads some operations add to this process."""

    def use() -> int:
        for number in range(ROUNDS):
            store.write(key, str(number), in_seconds(LONG))
            store.read(key)
            with store.lock(key, LONG):
                together(late)
            store.delete(key)
        gc.collect()
        open_files = len(list(_OPEN_FILES.iterdir())) if _OPEN_FILES.is_dir() else 0
        return open_files + threading.active_count()

    def late() -> None:
        with contextlib.suppress(TimeoutError):
            store.lock(key, 0.001).__enter__()

    before = use()
    return use() - before


def _is_the_tests_own() -> bool:
    """Return whether `new_store` itself makes a directory, for the store."""
    frame = inspect.currentframe()
    frame = frame and frame.f_back and frame.f_back.f_back
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARY):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "new_store"


def _is_of_python(path: str) -> bool:
    """Return whether a file is the system's or a module: an import may come late."""
    return path.startswith(_IGNORED) or _MODULE_REGEX.search(path) is not None


def _status(path: str) -> tuple[int, int]:
    """Return the mode and the size of a file; zeros where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0, 0
    return status.st_mode, status.st_size
