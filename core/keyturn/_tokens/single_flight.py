"""Single flight within a process: callers that ask for the same thing wait for one worker.

The work runs on a thread of its own, so that no caller's cancellation, exception or closed event
loop can end it; callers only wait for its result.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import functools
import sys
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from keyturn._once import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import ModuleType

T = TypeVar("T")
R = TypeVar("R")

# In seconds; a listener that hangs must not keep a process from ending.
_EXIT_PATIENCE = 1.0
_finishing: set[threading.Thread] = set()


class ReentrantCallError(RuntimeError):
    """The worker asks for its own result, for which it would wait for ever."""


@attrs.define(eq=False, repr=False)
class _Share(Generic[T, R]):
    use: Callable[[T], R]
    failed: Callable[[BaseException], None]
    future: Future[R] = attrs.field(factory=Future)
    deliver: Callable[[], None] | None = None

    def prepare(self, result: T | None, failure: BaseException | None) -> None:
        """Make the sharer's result; no waiter gets it yet."""
        if failure is None:
            try:
                used = self.use(result)  # type: ignore[arg-type]  # there is one
            except BaseException as error:  # noqa: BLE001 - it is raised in the waiters
                failure = error
            else:
                self.deliver = functools.partial(self.future.set_result, used)
                return
        self.failed(failure)
        self.deliver = functools.partial(self.future.set_exception, failure)


@attrs.define(eq=False, repr=False)
class _Flight(Generic[T, R]):
    shares: dict[Hashable, _Share[T, R]] = attrs.field(factory=dict)
    worker: int = 0


@attrs.define(eq=False, repr=False)
class _Flights(Generic[T, R]):
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    by_key: dict[Hashable, _Flight[T, R]] = attrs.field(factory=dict)


class SingleFlight(Generic[T, R]):
    """Work in progress, by key.

    A child process has no work in progress, whatever forked it: its parent's threads and locks are
    not its own.
    """

    def __init__(self) -> None:
        self._flights: PerProcess[_Flights[T, R]] = PerProcess(_Flights)

    def join(  # noqa: PLR0917 - one call, which names what it gives
        self,
        key: Hashable,
        work: Callable[[], T],
        sharer: Hashable,
        use: Callable[[T], R],
        failed: Callable[[BaseException], None],
        afterwards: Callable[[], None],
    ) -> Future[R]:
        """Return the future of the work in progress for `key`; start `work` when there is none.

        Args:
            key: What the work is for.
            work: Runs on a new thread, or on this one when no thread can be started.
            sharer: Whose result it is; all calls of one sharer wait for the same future.
            use: Makes the sharer's result of what `work` returned, once, on the worker's thread.
            failed: Gets the error before the sharer's waiters do, once, on the worker's thread.
            afterwards: Runs on the worker's thread when every waiter has its result.

        Raises:
            ReentrantCallError: This thread is the one that does the work.
        """
        flights = self._flights.get()
        with flights.lock:
            flight = flights.by_key.get(key)
            is_new = flight is None
            if flight is None:
                flight = flights.by_key[key] = _Flight()
            elif flight.worker == threading.get_ident():
                raise ReentrantCallError
            share = flight.shares.get(sharer)
            if share is None:
                share = flight.shares[sharer] = _Share(use, failed)
                share.future.set_running_or_notify_cancel()  # no waiter can cancel it now
        if is_new:
            start(functools.partial(_run, flights, key, flight, work, afterwards))
        return share.future


def _run(
    flights: _Flights[T, R],
    key: Hashable,
    flight: _Flight[T, R],
    work: Callable[[], T],
    afterwards: Callable[[], None],
) -> None:
    flight.worker = threading.get_ident()
    result = failure = None
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it is raised in the waiters
        failure = error
    _finishing.add(threading.current_thread())
    shares: list[_Share[T, R]] = []
    prepared = 0
    while True:
        with flights.lock:
            shares = list(flight.shares.values())
            if len(shares) == prepared:
                # From here on, a caller starts new work: it may have discarded this result.
                del flights.by_key[key]
                break
        for share in shares[prepared:]:
            share.prepare(result, failure)
        prepared = len(shares)
    try:
        for share in shares:
            if share.deliver is not None:  # pragma: no branch - for the type checkers
                share.deliver()
        afterwards()
    finally:
        _finishing.discard(threading.current_thread())


@atexit.register
def finish_workers() -> None:
    """Wait a second at most for workers that have a result, and report their events."""
    deadline = time.monotonic() + _EXIT_PATIENCE
    for thread in _finishing.copy() - {threading.current_thread()}:
        thread.join(max(0.0, deadline - time.monotonic()))


def start(work: Callable[[], object]) -> None:
    """Run `work` on a new thread, in the caller's context; on this one if none can be started."""
    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(work,), name="keyturn-worker", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads, or the interpreter is shutting down
        run(work)


async def run_in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns on a thread of its own; see `wait`."""
    share: _Share[None, T] = _Share(lambda _: work(), lambda _: None)

    def run() -> None:
        share.prepare(None, None)
        if share.deliver is not None:  # pragma: no branch - for the type checkers
            share.deliver()

    start(run)
    return await wait(share.future, None)


async def wait(future: Future[T], seconds: float | None) -> T:
    """Wait for a future from a task of asyncio or trio; a cancelled task leaves it as it is.

    Raises:
        TimeoutError: It took longer than `seconds`.
    """
    trio = sys.modules.get("trio")  # a task of its own must have imported it
    if trio is not None and _is_task_of(trio):
        await _wait_in_trio(future, seconds, trio)
    else:
        await _wait_in_asyncio(future, seconds)
    return future.result()


def _is_task_of(trio: ModuleType) -> bool:
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


async def _wait_in_asyncio(future: Future[T], seconds: float | None) -> None:
    import asyncio  # 20 ms that a program without tasks need not spend

    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: Future[T]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    async with asyncio.timeout(seconds):
        await done.wait()


async def _wait_in_trio(future: Future[T], seconds: float | None, trio: ModuleType) -> None:
    token = trio.lowlevel.current_trio_token()
    done = trio.Event()

    def wake(_: Future[T]) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(wake)
    with trio.move_on_after(float("inf") if seconds is None else seconds) as limit:
        await done.wait()
    if limit.cancelled_caught:
        raise TimeoutError
