"""Values that a process makes once, whichever thread asks first."""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Once(Generic[P, T]):
    """A function that is called once for the same arguments, even by threads that come together.

    `functools.cache` alone lets each of them call it, and gives each a value of its own.

    Args:
        function: Makes the value; its arguments are positional and hashable.
    """

    def __init__(self, function: Callable[P, T]) -> None:
        functools.update_wrapper(self, function, updated=())
        self._cached = functools.cache(function)
        self._free()
        os.register_at_fork(after_in_child=self._free)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the value, making it at the first call."""
        with self._lock:
            return self._cached(*args, **kwargs)  # type: ignore[arg-type]  # hashable, as said

    def cache_clear(self) -> None:
        """Forget all values."""
        self._cached.cache_clear()

    def _free(self) -> None:
        # Reentrant: a plugin that is being loaded may ask for another.
        self._lock = threading.RLock()
