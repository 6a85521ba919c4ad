"""Single flight within a process: whoever asks for the same thing waits for the same worker.

The work runs on a thread of its own, so that no caller's cancellation, exception or closed event
loop can end it; callers only wait for its result.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import ModuleType

T = TypeVar("T")


class ReentrantCallError(RuntimeError):
    """Work asks for its own result, for which it would wait for ever."""


class SingleFlight(Generic[T]):
    """Work in progress, by key."""

    def __init__(self) -> None:
        self._forget()
        # Neither the threads nor the state of the locks survive a fork.
        os.register_at_fork(after_in_child=self._forget)

    def join(self, key: Hashable, work: Callable[[], T]) -> Future[T]:
        """Return the future of the work in progress for `key`; start `work` when there is none.

        Args:
            key: What the work is for.
            work: Runs on a new thread; what it returns or raises is every waiter's result.

        Raises:
            ReentrantCallError: This thread is the one that does the work.
        """
        with self._lock:
            future = self._futures.get(key)
            if future is not None and future is getattr(self._worker, "future", None):
                raise ReentrantCallError
            if future is not None:
                return future
            future = self._futures[key] = Future()
            future.set_running_or_notify_cancel()  # from now on no waiter can cancel it
        thread = threading.Thread(
            target=self._run, args=(key, future, work), name="keyturn-renewal", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is shutting down
            self._run(key, future, work)
        return future

    def _run(self, key: Hashable, future: Future[T], work: Callable[[], T]) -> None:
        outcome: T
        self._worker.future = future
        try:
            outcome = work()
        except BaseException as error:  # noqa: BLE001 - it is handed to the waiters
            self._land(key, future)
            future.set_exception(error)
        else:
            self._land(key, future)
            future.set_result(outcome)

    def _land(self, key: Hashable, future: Future[T]) -> None:
        with self._lock:
            if self._futures.get(key) is future:
                del self._futures[key]

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[Hashable, Future[T]] = {}
        self._worker = threading.local()


async def wait(future: Future[T], seconds: float) -> T:
    """Wait for a future from a task of asyncio or trio; a cancelled task leaves it as it is.

    Raises:
        TimeoutError: It took longer than `seconds`.
    """
    trio = sys.modules.get("trio")  # a task of its own must have imported it
    if trio is not None and _is_task_of(trio):
        await _landing_in_trio(future, seconds, trio)
    else:
        await _landing_in_asyncio(future, seconds)
    return future.result()


def _is_task_of(trio: ModuleType) -> bool:
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


async def _landing_in_asyncio(future: Future[T], seconds: float) -> None:
    import asyncio  # 20 ms that a program without tasks need not spend

    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: Future[T]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    async with asyncio.timeout(seconds):
        await done.wait()


async def _landing_in_trio(future: Future[T], seconds: float, trio: ModuleType) -> None:
    token = trio.lowlevel.current_trio_token()
    done = trio.Event()

    def wake(_: Future[T]) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(wake)
    with trio.move_on_after(seconds) as limit:
        await done.wait()
    if limit.cancelled_caught:
        raise TimeoutError
