"""The sources of secrets, each bounded in bytes and in seconds.

A source returns the secret, or the problem as a string, which contains no secret.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import stat
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from keyturn._common.once import PerProcess
from keyturn._secret import Secret

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Hashable

T = TypeVar("T")

MAX_SIZE = 65_536
# Seconds between two checks whether a command has ended, if another process keeps its output open.
_TICK = 0.02
# Seconds to wait for the end of a killed command.
_KILL_SECONDS = 1.0

_running: PerProcess[dict[Hashable, Future[object]]] = PerProcess(dict)


def within(seconds: float, key: Hashable, work: Callable[[], T]) -> T:
    """Return the result of `work`, which runs on its own thread because it may hang.

    Hanging work is not started again: later callers with the same key wait for it.

    Args:
        seconds: The longest wait.
        key: Identifies the work.
        work: Raises nothing; it runs in the caller's context.

    Raises:
        TimeoutError: The work takes longer.
    """
    running = _running.get()
    new: Future[object] = Future()
    future = running.setdefault(key, new)

    def run() -> None:
        try:
            found = work()
        except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
            running.pop(key, None)
            new.set_exception(error)
        else:
            running.pop(key, None)
            new.set_result(found)

    if future is new:
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(run,), name="keyturn-secret", daemon=True
        )
        try:
            # At interpreter shutdown, a thread would be started but never run.
            (run if sys.is_finalizing() else thread.start)()
        except RuntimeError:  # no more threads
            run()
    found: T = future.result(seconds)  # type: ignore[assignment]
    return found


def in_words(seconds: float) -> str:
    """Return a source's time limit in words, for messages."""
    return f"{round(seconds, 1):g} s, which timeout bounds"


def from_environment(variable: str, _: float) -> Secret | str:
    """Return the value of an environment variable."""
    value = os.environ.get(variable)
    return f"the environment variable {variable} is not set" if value is None else Secret(value)


def absolute(path: str) -> Path | None:
    """Return an absolute path, with `~` expanded, or None if it is not absolute."""
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:  # the user in `~user` does not exist
        return None
    return expanded if expanded.is_absolute() and "\0" not in path else None


def from_file(path: str, _: float) -> Secret | str:
    """Return the content of a regular file; reading any other file could block."""
    name = absolute(path) or Path(path)
    # With this flag, neither opening nor reading blocks if the file is replaced in the meantime.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        # Checked before opening, because opening some devices has an effect.
        if not stat.S_ISREG(name.stat().st_mode):
            return f"the file {path} is not a regular file"
        with open(os.open(name, flags), "rb") as file:  # noqa: PTH123 - it needs flags
            content = file.read(MAX_SIZE + 1) or b""
        if len(content) > MAX_SIZE:
            return f"the file {path} is larger than {MAX_SIZE} bytes"
        return Secret(content.decode().removesuffix("\n").removesuffix("\r"))
    except OSError as error:
        return f"the file {path} can't be read: {error.strerror or type(error).__name__}"
    except UnicodeDecodeError:
        return f"the file {path} is not UTF-8"


def from_keyring(entry: str, seconds: float) -> Secret | str:
    """Return a password of the system's keyring."""
    try:
        return within(seconds, ("keyring", entry), lambda: _password(entry))
    except TimeoutError:
        return f"the keyring did not respond within {in_words(seconds)}"


def _password(entry: str) -> Secret | str:
    try:
        import keyring
    except ImportError:
        return "the package keyring is missing: install keyturn[keyring]"
    service, _, user = entry.rpartition("/")
    try:
        password = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - a back end may raise anything
        return f"the keyring failed with {type(error).__name__}"
    return f"the keyring has no entry {entry}" if password is None else Secret(password)


def from_command(command: list[str], seconds: float) -> Secret | str:
    """Return the first line of a command's output, or the whole PEM; its status must be 0."""
    import subprocess

    end = time.monotonic() + seconds
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Without a terminal, keyturn can end its child processes too. A session at a terminal
            # stays, because password managers unlock by session.
            start_new_session=not any(map(os.isatty, range(3))),
        )
        try:
            printed = _printed(process, end)
            if len(printed) > MAX_SIZE:
                return f"the command {command[0]} printed more than {MAX_SIZE} bytes"
            status = process.wait(max(0.0, end - time.monotonic()))
        finally:
            _end(process)
    except (subprocess.TimeoutExpired, TimeoutError):
        return f"the command {command[0]} took longer than {in_words(seconds)}"
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else type(error).__name__
        return f"the command {command[0]} can't be used: {cause}"
    return _first_line(command[0], status, printed)


def _first_line(command: str, status: int, printed: bytes) -> Secret | str:
    if status != 0:
        return f"the command {command} failed with status {status}"
    try:
        text = printed.decode()
        if text.startswith("-----BEGIN "):  # PEM has several lines
            return Secret(text)
        return Secret(text.partition("\n")[0].removesuffix("\r"))
    except UnicodeDecodeError:
        return f"the command {command} can't be used: its output is not UTF-8"


def _printed(process: subprocess.Popen[bytes], end: float) -> bytes:
    """Return a process's output, slightly more than `MAX_SIZE` bytes at most.

    Child processes may keep its output open; this does not wait for them.

    Raises:
        TimeoutError: The process did not end in time.
    """
    import selectors

    if process.stdout is None or sys.platform == "win32":  # pragma: no cover - it can't wait so
        return process.communicate(timeout=max(0.0, end - time.monotonic()))[0]
    printed, output = bytearray(), process.stdout.fileno()
    os.set_blocking(output, False)
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while len(printed) <= MAX_SIZE:
            has_ended = process.poll() is not None
            left = end - time.monotonic()
            if left <= 0 and not has_ended:
                raise TimeoutError
            # The output before its end is available at once.
            if selector.select(0 if has_ended else min(_TICK, left)):
                found = os.read(output, MAX_SIZE)
                printed += found
                if not found:
                    break
            elif has_ended:
                break
    return bytes(printed)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that is still running, and close its output."""
    import signal
    import subprocess

    if process.stdout is not None:  # pragma: no branch - it is always a pipe
        process.stdout.close()
    if process.poll() is None:
        if sys.platform != "win32" and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_SECONDS)
