"""Values made once per process, and locks that are safe when a process forks."""

from __future__ import annotations

import functools
import importlib
import logging  # pyright: ignore[reportUnusedImport]  # noqa: F401 - see ForkSafeLock
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_FORK_PATIENCE = 5.0
_CALL_PATIENCE = 30.0


def at_fork(**hooks: Callable[[], object]) -> None:
    """Register hooks with `os.register_at_fork`, which Windows does not have."""
    register = getattr(os, "register_at_fork", None)
    if register:
        register(**hooks)


class PerProcess(Generic[T]):
    """A separate value for each process, including forked children.

    The process is recognized by its id, so that this works where Python's fork hooks do not run,
    as under uWSGI.

    Args:
        make: Makes the value; if two threads make it at the same moment, one of them is used.
    """

    __slots__ = ("_make", "_values")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return this process's value."""
        process = os.getpid()
        values = self._values
        found = values.get(process)
        if found is None:
            found = values.setdefault(process, self._make())
            for other in [*values]:  # of parents
                if other != process:
                    values.pop(other, None)
        return found


class ForkSafeLock:
    """A lock that `os.fork` and other threads wait for, at most 5 seconds.

    On Python 3.11 to 3.13, a child that is forked while another thread imports a module waits
    forever when it imports the same module. The hooks before a fork run in the reverse order of
    their registration, and a module that is being imported may ask for a logger: logging's lock
    must be taken after this one.
    """

    def __init__(self) -> None:
        # Reentrant: an import may cause another, or fork.
        self._lock = PerProcess(threading.RLock)
        at_fork(before=self.__enter__, after_in_parent=self.__exit__)

    def __enter__(self) -> None:
        self._lock.get().acquire(timeout=_FORK_PATIENCE)

    def __exit__(self, *_: object) -> None:
        # The lock was not acquired in time, or this is a child that was forked inside the block.
        with suppress(RuntimeError):
            self._lock.get().release()


importing = ForkSafeLock()
"""Held while keyturn imports a module, its own or a library's, after its start."""


class cached_once(Generic[P, T]):  # noqa: N801 - a decorator
    """Decorate a function so that it is called once for the same arguments.

    Threads that need the same value wait for one call; calls with other arguments do not wait for
    it. An exception is not cached.

    Args:
        function: Makes the value; its arguments are positional and hashable.
    """

    def __init__(self, function: Callable[P, T]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._values: dict[Any, T] = {}
        self._locks: PerProcess[dict[Any, Any]] = PerProcess(dict)
        self.cache_clear = self._values.clear

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the value for these arguments; the first call makes it."""
        if args not in self._values:
            lock = self._locks.get().setdefault(args, threading.RLock())
            # Two plugins that load each other would wait forever.
            in_turn = lock.acquire(timeout=_CALL_PATIENCE)
            try:
                if args not in self._values:
                    self._values.setdefault(args, self._function(*args, **kwargs))
            finally:
                if in_turn:
                    lock.release()
        return self._values[args]


@cached_once
def library(name: str) -> Any:
    """Import a module that few processes need; never one of keyturn's, which checks must see.

    It is kept: nothing can be imported while an interpreter ends, not even again.

    Args:
        name: The module's full name.
    """
    with importing:
        return importlib.import_module(name)
