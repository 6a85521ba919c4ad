"""Single flight within a process: callers that ask for the same thing wait for one worker.

The work runs on a thread of its own, so that no caller's cancellation, exception or closed event
loop can end it; callers only wait for its result.
"""

import atexit
import contextlib
import contextvars
import functools
import sys
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

import attrs

from keyturn._once import PerProcess
from keyturn._tokens.snapshot import TokenSnapshot

Use = Callable[[TokenSnapshot | BaseException], TokenSnapshot]

T = TypeVar("T")

# In seconds; a listener that hangs must not keep a process from ending.
_EXIT_PATIENCE = 1.0
_finishing: set[threading.Thread] = set()


class ReentrantCallError(RuntimeError):
    """The worker asks for its own result, for which it would wait for ever."""


@attrs.define(eq=False)
class _Flight:
    shares: dict[Hashable, tuple[Future[TokenSnapshot], Use]] = attrs.field(factory=dict)
    worker: int = 0


# A child process has no work in progress, whatever forked it: its parent's threads and locks are
# not its own.
_in_progress: PerProcess[tuple[threading.Lock, dict[Hashable, _Flight]]] = PerProcess(
    lambda: (threading.Lock(), {})
)


def join(
    key: Hashable,
    work: Callable[[], TokenSnapshot],
    sharer: Hashable,
    use: Use,
    afterwards: Callable[[], None],
) -> Future[TokenSnapshot]:
    """Return the future of the work in progress for `key`; start `work` when there is none.

    Args:
        key: What the work is for.
        work: Runs on a new thread, or on this one when no thread can be started.
        sharer: Whose result it is; all calls of one sharer wait for the same future.
        use: Makes the sharer's result of what `work` returned or raised, once, on the worker's
            thread.
        afterwards: Runs on the worker's thread when every waiter has its result.

    Raises:
        ReentrantCallError: This thread is the one that does the work.
    """
    lock, flights = _in_progress.get()
    with lock:
        is_new = key not in flights
        flight = flights.setdefault(key, _Flight())
        if flight.worker == threading.get_ident():
            raise ReentrantCallError
        future, _ = flight.shares.setdefault(sharer, (Future(), use))
    if is_new:
        finish = functools.partial(flights.pop, key)
        start(functools.partial(_run, flight, lock, finish, work, afterwards))
    return future


def _run(
    flight: _Flight,
    lock: threading.Lock,
    finish: Callable[[], object],
    work: Callable[[], TokenSnapshot],
    afterwards: Callable[[], None],
) -> None:
    flight.worker = threading.get_ident()
    outcome: TokenSnapshot | BaseException
    try:
        outcome = work()
    except BaseException as error:  # noqa: BLE001 - it is raised in the waiters
        outcome = error
    thread = threading.current_thread()
    _finishing.add(thread)
    deliveries: list[Callable[[], None]] = []
    while True:
        with lock:
            shares = list(flight.shares.values())[len(deliveries) :]
            if not shares:
                # From here on, a caller starts new work: it may have discarded this result.
                finish()
                break
        for future, use in shares:
            deliveries.append(_attempt(future, functools.partial(use, outcome)))
    try:
        for deliver in deliveries:
            deliver()
        afterwards()
    finally:
        _finishing.discard(thread)


def _attempt(future: Future[T], work: Callable[[], T]) -> Callable[[], None]:
    """Do the work, and return a function that gives the future what came of it."""
    try:
        return functools.partial(future.set_result, work())
    except BaseException as error:  # noqa: BLE001 - it is raised in the waiters
        return functools.partial(future.set_exception, error)


@atexit.register
def finish_workers() -> None:
    """Wait a second at most for workers that have a result, and report their events."""
    deadline = time.monotonic() + _EXIT_PATIENCE
    for thread in _finishing.copy() - {threading.current_thread()}:
        thread.join(max(0.0, deadline - time.monotonic()))


def start(work: Callable[[], object]) -> None:
    """Run `work` on a new thread, in the caller's context; on this one if none can be started."""
    run = contextvars.copy_context().run
    try:
        threading.Thread(target=run, args=(work,), name="keyturn-worker", daemon=True).start()
    except RuntimeError:  # no more threads, or the interpreter is shutting down
        run(work)


async def run_in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns on a thread of its own; see `wait`."""
    future: Future[T] = Future()
    start(lambda: _attempt(future, work)())  # noqa: PLW0108 - the work is done on the thread
    return await wait(future, None)


async def wait(future: Future[T], seconds: float | None) -> T:
    """Return a future's result to a task of asyncio or trio; a cancelled task leaves it as it is.

    Raises:
        TimeoutError: It took longer than `seconds`.
    """
    trio = sys.modules.get("trio")  # a task of its own must have imported it
    if trio is not None and _is_task_of(trio):
        done = trio.Event()
        _call_when_done(future, trio.lowlevel.current_trio_token().run_sync_soon, done.set)
        with trio.move_on_after(float("inf") if seconds is None else seconds):
            await done.wait()
    else:
        import asyncio  # 20 ms that a program without tasks need not spend

        done = asyncio.Event()
        _call_when_done(future, asyncio.get_running_loop().call_soon_threadsafe, done.set)
        async with asyncio.timeout(seconds):
            await done.wait()
    return future.result(0)


def _is_task_of(trio: Any) -> bool:
    try:
        trio.lowlevel.current_task()
    # httpcore imports trio where it is installed: meanwhile the module is not complete.
    except (RuntimeError, AttributeError):
        return False
    return True


def _call_when_done(
    future: Future[T], call: Callable[[Callable[[], None]], object], wake: Callable[[], None]
) -> None:
    def done(_: Future[T]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            call(wake)

    future.add_done_callback(done)
