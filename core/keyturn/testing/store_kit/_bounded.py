"""A limit for each operation of a store, so that one that hangs fails its test."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import Future, wait
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from keyturn.stores._base import TokenStore

T = TypeVar("T")

_STEP = 0.1
# What to change if an operation raises an exception.
_NEVER_RAISES = {
    "new_store": "override it, and return a store",
    "read": "return None where there is no entry, and let any thread read",
    "write": "accept any key of 80 characters, and strings of 150 KiB, from any thread",
    "delete": "a missing entry is not an error",
    "lock": "return the lock, or raise a TimeoutError after `lease` seconds of waiting",
    "unlock": "leave the block of a lock without an error, even if its lease has ended",
    "close": "let a store be closed once",
}


class Operations:
    """The operations of a test's stores that are in progress.

    Args:
        patience: Seconds after which an operation counts as hanging.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._ends: dict[object, tuple[str, float]] = {}

    @contextlib.contextmanager
    def doing(self, name: str, lease: float = 0.0) -> Generator[None]:
        """Record an operation for a `with` block; its exceptions become an `AssertionError`.

        Args:
            name: The operation.
            lease: The seconds for which it may wait for a lock.
        """
        operation = object()
        self._ends[operation] = name, time.monotonic() + lease + self._patience
        try:
            yield
        except Exception as error:
            is_late = name == "lock" and isinstance(error, TimeoutError)
            if is_late or isinstance(error, AssertionError):
                raise
            raise AssertionError(f"`{name}` raised {error!r}: {_NEVER_RAISES[name]}.") from error
        finally:
            del self._ends[operation]

    def run(self, work: Callable[[], T]) -> T:
        """Return the result of a function; an operation in it that hangs is a failure."""
        done = start(work)
        while not wait([done], _STEP).done:
            now = time.monotonic()
            for name, end in [*self._ends.values()]:
                if now > end:
                    advice = (
                        "raise a TimeoutError after `lease` seconds of waiting"
                        if name == "lock"
                        else "set a timeout for everything that it waits for"
                    )
                    message = f"`{name}` has not ended after {self._patience:g} s: {advice}."
                    raise AssertionError(message)
        return done.result()

    def forget(self) -> None:
        """Forget the operations in progress, in a forked process."""
        self._ends.clear()


class WatchedStore:
    """A store whose operations are recorded while they are in progress."""

    def __init__(self, store: TokenStore, operations: Operations) -> None:
        self.store = store
        self._doing = operations.doing

    def read(self, key: str) -> str | None:
        """Read an entry."""
        with self._doing("read"):
            return self.store.read(key)

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry."""
        with self._doing("write"):
            self.store.write(key, entry, expires_at)

    def delete(self, key: str) -> None:
        """Delete an entry."""
        with self._doing("delete"):
            self.store.delete(key)

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Generator[None]:
        """Hold a lock for a `with` block."""
        with self._doing("lock", lease):
            lock = self.store.lock(key, lease)
            lock.__enter__()
        try:
            yield
        except BaseException as error:
            with self._doing("unlock"):
                hides = lock.__exit__(type(error), error, error.__traceback__)
            if hides:
                raise AssertionError(
                    "a lock hides the error of its block: `__exit__` must return None."
                ) from error
            raise
        with self._doing("unlock"):
            lock.__exit__(None, None, None)

    def close(self) -> None:
        """Close the store, if it can be closed."""
        with self._doing("close"):
            getattr(self.store, "close", lambda: None)()


def start(work: Callable[[], T]) -> Future[T]:
    """Call a function on its own thread, which does not keep the process from ending."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the future raises it
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return done


def together(*works: Callable[[], T]) -> list[T]:
    """Call each function on its own thread; return the results."""
    return [done.result() for done in [start(work) for work in works]]


def require(condition: bool, message: str, *details: Any) -> None:  # noqa: FBT001 - as in `assert`
    """Fail the test with a message if the condition does not hold."""
    if not condition:
        raise AssertionError(f"{message.format(*details)}.")
