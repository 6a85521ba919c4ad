"""Other processes that use a store, and their operations."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyturn.testing.store_kit._bounded import together
from keyturn.testing.store_kit._helpers import LONG, SHORT, STEPS, in_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from keyturn.stores._base import TokenStore
    from keyturn.testing.store_kit._bounded import Operations, WatchedStore

# On a busy machine, an operation may take its lease and its own limit.
_PATIENCE = 3 * LONG
# SIGKILL, which Windows doesn't name.
_KILL = 9
# Seconds that a process has to end.
_ENDING = 2.0
_held: list[AbstractContextManager[None]] = []


class Peer:
    """A forked process that applies functions to a store until it is killed.

    Args:
        open_store: Opens the store there, or returns the one that the parent has opened.
        operations: Bounds what it does.
    """

    def __init__(self, open_store: Callable[[], Any], operations: Operations) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        with warnings.catch_warnings():
            # Applications fork with threads running, and a store must support it.
            warnings.simplefilter("ignore", DeprecationWarning)
            fork: Callable[[], int] = getattr(os, "fork")  # noqa: B009 - Windows has none
            self._process = fork()
        if not self._process:  # pragma: no cover - the frame that forks is not traced
            self._connection.close()
            _serve(open_store, operations, theirs)
        theirs.close()

    def send(self, request: Callable[[Any], object]) -> None:
        """Send a function that can be pickled; it gets the store."""
        self._connection.send(request)

    def receive(self) -> Any:
        """Return the result of the function, or raise its exception."""
        outcome: Any = AssertionError("a process with the store does not respond.")
        with contextlib.suppress(EOFError, ConnectionError):
            outcome = self._connection.recv() if self._connection.poll(_PATIENCE) else outcome
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def wait(self) -> None:
        """Wait until the process responds or ends."""
        self._connection.poll(_PATIENCE)

    def ask(self, request: Callable[[Any], object]) -> Any:
        """Send a function, and return its result."""
        self.send(request)
        return self.receive()

    def kill(self) -> None:
        """Kill the process; a second time has no effect."""
        if self._process:
            os.kill(self._process, _KILL)
            self._connection.close()
            os.waitpid(self._process, 0)
            self._process = 0

    def end(self) -> None:
        """Let the process end; one that does not is killed."""
        self._connection.close()
        end = time.monotonic() + _ENDING
        while self._process and time.monotonic() < end:
            ended, _ = os.waitpid(self._process, getattr(os, "WNOHANG", 0))
            self._process = 0 if ended else self._process
            time.sleep(0.002)
        self.kill()


def _serve(open_store: Callable[[], Any], operations: Operations, connection: Any) -> None:
    operations.forget()
    try:
        store = None
        while True:
            request = connection.recv()
            try:
                store = store or operations.run(open_store)
                outcome: Any = operations.run(lambda: request(store))  # noqa: B023 - called here
            except (AssertionError, TimeoutError) as error:
                outcome = type(error)(str(error))
            connection.send(outcome)
    finally:
        os._exit(1)


def use(store: TokenStore, key: str, lease: float = LONG) -> str | None:
    """Use each operation but `delete`; return the entry that was there."""
    with store.lock(f"{key}-use", lease):
        entry = store.read(key)
        store.write(key, "of a peer", in_seconds(LONG))
    return entry


def hold(  # pragma: no cover - its process is killed
    store: TokenStore, key: str, lease: float
) -> None:
    """Take a lock, and keep it for as long as the process lives."""
    lock = store.lock(key, lease)
    lock.__enter__()
    _held.append(lock)


def is_free(store: TokenStore, key: str) -> bool:
    """Return whether this process can take a lock."""
    try:
        with store.lock(key, SHORT):
            return True
    except TimeoutError:
        return False


def count(store: TokenStore, key: str, rounds: int) -> list[tuple[float, float]]:
    """Add one to the number in an entry, under its lock; return when the lock was held."""
    held: list[tuple[float, float]] = []
    for _ in range(rounds):
        with store.lock(key, LONG):
            start = time.monotonic()
            number = int(store.read(key) or "0")
            time.sleep(0.001)
            store.write(key, str(number + 1), in_seconds(10 * LONG))
            held.append((start, time.monotonic()))
    return held


@contextlib.contextmanager
def _slowed(longest: float) -> Generator[None]:
    """Slow this thread down for a `with` block, at the calls where a write may be interrupted.

    Args:
        longest: The longest pause, in seconds.
    """
    rng = random.Random(0)  # noqa: S311 - no secret

    def pause(  # pragma: no cover - Python traces no profile function
        _: object, event: str, function: Any
    ) -> None:
        if event == "c_return" and function.__name__ in STEPS and rng.random() < 1 / 2:
            time.sleep(rng.random() * longest)

    sys.setprofile(pause)
    try:
        yield
    finally:
        sys.setprofile(None)


def write_in_turns(store: TokenStore, key: str, entries: list[str], rounds: int) -> None:
    """Write entries on two threads, each slowed down where a write may be interrupted."""

    def write() -> None:
        with _slowed(0.0005):
            for number in range(rounds):
                store.write(key, entries[number % len(entries)], in_seconds(6 * LONG))

    together(write, write)


def write_each(store: TokenStore, keys: list[str]) -> None:
    """Write an entry at each key, slowed down."""
    with _slowed(0.004):
        for key in keys:
            store.write(key, key, in_seconds(6 * LONG))


def delete_each(store: TokenStore, keys: list[str]) -> None:
    """Delete the entry at each key, slowed down."""
    with _slowed(0.004):
        for key in keys:
            store.delete(key)


def write_steps(store: TokenStore, key: str, entry: str, last: int | None = None) -> list[int]:
    """Write an entry; return the numbers of the calls after which the write may be incomplete.

    Args:
        store: The store.
        key: The entry's key.
        entry: The entry.
        last: The call after which the process is killed.
    """
    calls: list[str] = []

    def note(  # pragma: no cover - Python traces no profile function
        _: object, event: str, function: Any
    ) -> None:
        if event == "c_return":
            calls.append(function.__name__)
            if len(calls) == last:
                os.kill(os.getpid(), _KILL)

    store.read(key)  # the store stays open
    sys.setprofile(note)
    try:
        store.write(key, entry, in_seconds(6 * LONG))
    finally:
        sys.setprofile(None)
    return [number for number, name in enumerate(calls, 1) if name in STEPS]


def read_when(
    store: WatchedStore, key: str, change: Callable[[Any], AbstractContextManager[None]]
) -> str | None:
    """Change the process, and read an entry."""
    with change(store.store):
        return store.read(key)


@contextlib.contextmanager
def with_another_hash_seed(store: object) -> Generator[None]:
    """Let the store's own modules get other hashes of strings."""
    for cls in type(store).__mro__:
        if cls.__module__.partition(".")[0] not in sys.stdlib_module_names:
            vars(sys.modules[cls.__module__])["hash"] = _other_hash
    yield


@contextlib.contextmanager
def in_another_time_zone(_: object) -> Generator[None]:
    """Set the time zone to one far in the east."""
    os.environ["TZ"] = "EAST-14"
    change: Callable[[], None] = getattr(time, "tzset")  # noqa: B009 - Windows has none
    change()
    yield


@contextlib.contextmanager
def in_another_directory(_: object) -> Generator[None]:
    """Change the working directory to a deeper one, where no relative path leads to the same."""
    with tempfile.TemporaryDirectory(prefix="keyturn-") as directory:
        deeper = Path(directory, *("deeper" for _ in Path.cwd().parts))
        deeper.mkdir(parents=True)
        with contextlib.chdir(deeper):
            yield


def _other_hash(value: Any) -> int:
    return hash(("other", value) if isinstance(value, (str, bytes)) else value)
