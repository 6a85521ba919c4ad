"""What a process does once, whichever thread asks first, and undivided by a fork."""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE = 5.0


class ForkSafeLock:
    """A lock for work that a fork must not catch half done, such as an import.

    A fork waits until the work is done: a child would inherit a module that is imported in part,
    by a thread that it doesn't have. Work that takes longer than it should hinders no fork.
    """

    def __init__(self) -> None:
        self._free()
        os.register_at_fork(
            before=self._wait, after_in_parent=self._go_on, after_in_child=self._free
        )

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _wait(self) -> None:
        self._is_waiting = self._lock.acquire(timeout=_PATIENCE)

    def _go_on(self) -> None:
        if self._is_waiting:
            self._lock.release()

    def _free(self) -> None:
        # Reentrant: a plugin that is being loaded may ask for another, or fork.
        self._lock = threading.RLock()
        self._is_waiting = False


class cached_once(Generic[P, T]):
    """A function that is called once for the same arguments, even by threads that come together.

    `functools.cache` alone lets each of them call it, and gives each a value of its own.

    Args:
        function: Makes the value; its arguments are positional and hashable.
    """

    def __init__(self, function: Callable[P, T]) -> None:
        functools.update_wrapper(self, function, updated=())
        self._cached = functools.cache(function)
        self._lock = ForkSafeLock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the value, making it at the first call."""
        with self._lock:
            return self._cached(*args, **kwargs)  # type: ignore[arg-type]  # hashable, as said

    def cache_clear(self) -> None:
        """Forget all values."""
        self._cached.cache_clear()
