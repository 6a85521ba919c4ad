"""Single flight within a process: callers that need the same result wait for one worker.

The work runs on a worker's thread, so that no caller's cancellation, exception or closed event
loop can end it; callers only wait for its result.
"""

import atexit
import contextlib
import functools
import sys
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Literal, NamedTuple, TypeVar

from keyturn import errors
from keyturn._common.once import PerProcess
from keyturn._tokens.schedule import Lane
from keyturn._tokens.snapshot import TokenSnapshot
from keyturn._tokens.workers import pool

Use = Callable[[TokenSnapshot | BaseException], TokenSnapshot]

T = TypeVar("T")

# Seconds to wait at the exit; a hanging listener must not prevent the end of the process.
_EXIT_PATIENCE = 1.0
# Seconds between the deadline of a request and its report to the waiters.
GRACE = 0.25
_SLOW_HINT = "Check the network. If the server lets requests wait, raise timeout or wait."


class ReentrantCallError(RuntimeError):
    """A worker asks for its own result, and would wait forever."""


class Postponed(Exception):
    """The host has not responded, and the worker is needed for others: try again later."""


class Progress:
    """The progress of work, for its waiters.

    Attributes:
        is_started: Whether a worker runs it; until then it is queued.
        worker: The identifier of the worker's thread.
        step: The current step (settings are resolved, the store is used, or a request was sent) and
            its deadline on the system's monotonic clock; None at first.
        lane: The result of the last request to the host.
    """

    is_started: bool = False
    worker: int = 0
    step: tuple[Literal["settings", "store", "request"], float] | None = None
    lane: Lane | None = None


class Share(Future[TokenSnapshot]):
    """The result of the work for one sharer.

    Attributes:
        use: Makes the sharer's result from the work's result or exception.
        progress: The progress of the work.
    """

    use: Use
    progress: Progress


class _Flight(NamedTuple):
    host: str
    work: Callable[[], TokenSnapshot]
    afterwards: Callable[[], None]
    progress: Progress
    shares: dict[Hashable, Share]


class _State:
    """The work in progress in this process.

    Attributes:
        workers: The workers of this process.
        flights: The work in progress, by its key.
        finishing: For each thread that delivers results, or has delivered them as its last work: a
            lock that is held until then.
    """

    def __init__(self) -> None:
        self.workers = pool.get()
        self.lock = threading.Lock()
        self.flights: dict[Hashable, _Flight] = {}
        self.finishing: dict[int, threading.Lock] = {}


# A child process has no work in progress, because it does not have its parent's threads, however it
# was forked.
_state = PerProcess(_State)


def join(
    key: Hashable,
    host: str,
    work: Callable[[], TokenSnapshot],
    *,
    progress: Progress,
    sharer: Hashable,
    use: Use,
    afterwards: Callable[[], None],
) -> Share:
    """Return a share of the work in progress for `key`; start `work` if there is none.

    Args:
        key: Identifies the result.
        host: The host whose share of the workers it uses.
        work: Runs on a worker; see `keyturn._tokens.workers.Workers.submit`.
        progress: `work` records its progress here.
        sharer: Identifies the sharer; all its calls get the same share.
        use: Makes the sharer's result from the result or exception of `work`, once, on the worker's
            thread.
        afterwards: Runs on the worker's thread when every waiter has its result.

    Raises:
        ReentrantCallError: This thread runs the work.
    """
    state = _state.get()
    workers = state.workers
    with state.lock:
        flight = state.flights.get(key)
        if flight is None:
            flight = state.flights[key] = _Flight(host, work, afterwards, progress, {})
            is_mine = True
        else:
            if flight.progress.worker == threading.get_ident():
                raise ReentrantCallError
            # A worker must not wait for work that is queued behind it: that is a deadlock.
            is_mine = not flight.progress.is_started and workers.is_worker()
        share = flight.shares.get(sharer)
        if share is None:
            share = flight.shares[sharer] = Share()
            share.use, share.progress = use, flight.progress
    if is_mine:
        workers.submit(host, functools.partial(_run, state, key, flight))
    return share


def _run(state: _State, key: Hashable, flight: _Flight) -> Lane | None:
    with state.lock:
        if flight.progress.is_started:  # by a worker that must not wait
            return None
        flight.progress.is_started, flight.progress.worker = True, threading.get_ident()
        state.finishing.pop(flight.progress.worker, None)
    outcome: TokenSnapshot | BaseException
    try:
        outcome = flight.work()
    except Postponed:
        with state.lock:
            progress = flight.progress
            progress.is_started, progress.step, progress.worker = False, None, 0
        state.workers.postpone(flight.host, functools.partial(_run, state, key, flight))
        return None
    except BaseException as error:  # noqa: BLE001 - it is raised in the waiters
        outcome = error
    done = threading.Lock()
    done.acquire()
    state.finishing[threading.get_ident()] = done
    deliveries: list[Callable[[], None]] = []
    while True:
        with state.lock:
            shares = list(flight.shares.values())[len(deliveries) :]
            if not shares:
                # From here on, a caller starts new work: it may have discarded this result.
                del state.flights[key]
                break
        for share in shares:
            deliveries += (_attempt(share, functools.partial(share.use, outcome)),)
    try:
        for deliver in deliveries:
            deliver()
        flight.afterwards()
    except BaseException:  # noqa: BLE001 - a log handler may raise anything
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), None)))
    finally:
        done.release()
    return flight.progress.lane


def _attempt(future: Future[T], work: Callable[[], T]) -> Callable[[], None]:
    """Do the work, and return a function that sets its outcome in the future."""
    try:
        return functools.partial(future.set_result, work())
    except BaseException as error:  # noqa: BLE001 - it is raised in the waiters
        return functools.partial(future.set_exception, error)


@atexit.register
def finish_workers() -> None:
    """Wait at most a second for workers that have a result, so that they report their events."""
    deadline, state = time.monotonic() + _EXIT_PATIENCE, _state.get()
    finishing = state.finishing.copy()
    for done in finishing.values():
        if done.acquire(timeout=max(0.0, deadline - time.monotonic())):
            done.release()  # the next call must not wait for it
    state.workers.end(max(0.0, deadline - time.monotonic()), finishing)


def overdue(progress: Progress, host: str, seconds: float) -> errors.EndpointUnavailable:
    """Return the error of a caller whose time to wait is over.

    Args:
        progress: The progress of the work.
        host: The token endpoint's host.
        seconds: The seconds that the caller waited.
    """
    if not progress.is_started:
        message = f"its token request is queued, one of {pool.get().load(host)} to {host}"
        hint = "Try again; keyturn.Connections(max_requests=…) bounds what is sent at once."
    elif progress.step is None or progress.step[0] == "store":
        message = "the token request waits for the store or another process, or hangs"
        hint = "Try again; if it lasts, check the token store."
    elif progress.step[0] == "settings":
        message = "a secret reference or the provider's code takes longer"
        hint = "Try again; if it lasts, check what the settings refer to."
    else:
        message = f"{host} has not responded"
        hint = _SLOW_HINT
    return errors.EndpointUnavailable(f"no token came within {seconds:g} s: {message}.", hint=hint)


def run_within(work: Callable[[], T], host: str, seconds: float) -> T:
    """Run `work` on a worker's thread, and return its result if it ends in time.

    Otherwise the work continues, because a name resolution can't be cancelled.

    Args:
        work: A blocking function, which keeps the deadline itself if it can.
        host: The host whose share of the workers it uses.
        seconds: The maximum wait.

    Raises:
        keyturn.errors.EndpointUnavailable: It does not end in time.
    """
    future = _submit(work, host)
    with contextlib.suppress(TimeoutError):
        future.exception(seconds + GRACE)
    return _result(future, host, seconds)


async def run_in_thread(work: Callable[[], T], host: str = "", seconds: float | None = None) -> T:
    """Run `work` on a worker's thread, and return its result; see `wait`.

    Args:
        work: A blocking function.
        host: The host whose share of the workers it uses; empty without a token endpoint.
        seconds: The maximum wait; see `run_within`.
    """
    future = _submit(work, host)
    await wait(future, None if seconds is None else seconds + GRACE)
    return _result(future, host, seconds)


def _submit(work: Callable[[], T], host: str) -> Future[T]:
    future: Future[T] = Future()
    pool.get().submit(host, lambda: _attempt(future, work)())  # noqa: PLW0108 - on the worker
    return future


def _result(future: Future[T], host: str, seconds: float | None) -> T:
    if seconds is None or future.done():
        return future.result(0)
    raise errors.EndpointUnavailable(
        f"no result came within {seconds:g} s: a name is not resolved, the token store hangs, or "
        f"what concerns {host} is queued.",
        hint=_SLOW_HINT,
    )


async def wait(future: Future[Any], seconds: float | None) -> None:
    """Wait in a task of asyncio or trio until a future is done, at most for some seconds.

    The cancellation of the task does not affect the future.
    """
    trio = sys.modules.get("trio")  # a trio task must have imported it
    if trio is not None and _is_task_of(trio):
        done = trio.Event()
        _call_when_done(future, trio.lowlevel.current_trio_token().run_sync_soon, done.set)
        with trio.move_on_after(float("inf") if seconds is None else seconds):
            await done.wait()
    else:
        import asyncio  # takes 20 ms, which a program without tasks saves

        done = asyncio.Event()
        _call_when_done(future, asyncio.get_running_loop().call_soon_threadsafe, done.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await done.wait()


def _is_task_of(trio: Any) -> bool:
    try:
        trio.lowlevel.current_task()
    # AttributeError: httpcore is just importing trio, so the module is incomplete.
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
