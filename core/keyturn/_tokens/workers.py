"""A bounded number of threads for all token requests of a process."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._common.once import PerProcess
from keyturn._http.kept import kept_connections
from keyturn._tokens.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from keyturn._tokens.schedule import Lane, Task

_THREAD_NAME = "keyturn-worker"

DEFAULT_SIZE = 256
LARGEST_SIZE = 300
_IDLE_SECONDS = 10.0


class _Seat:
    """The place at which an idle worker waits for its next task."""

    __slots__ = ("is_called", "task", "thread")

    def __init__(self) -> None:
        self.is_called = threading.Lock()
        self.task: Task | None = None
        self.thread = threading.current_thread()


class Workers:
    """Threads that run jobs; each ends after 10 seconds without a job.

    Args:
        size: The maximum number of threads.
    """

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        self._lock = threading.Lock()
        self._schedule = Schedule(size)
        self.leash = self._schedule.leash  # needs no lock, because it changes nothing
        self._number = 0  # includes threads that are being started
        self._threads: set[int] = set()
        self._idle: list[_Seat] = []
        self._patience = _IDLE_SECONDS

    def submit(self, host: str, work: Callable[[], Lane | None]) -> None:
        """Run `work` on a worker and in the caller's context.

        `work` raises nothing, and returns the host's lane if it sent a request to the host.

        It runs on the caller's thread if no worker can be started, as at interpreter shutdown, or
        if the caller is a worker, because a full pool would deadlock.
        """
        run = contextvars.copy_context().run
        if threading.get_ident() in self._threads or sys.is_finalizing():
            run(work)
            return
        with self._lock:
            self._schedule.add(host, run, work)
            tasks = self._dispatch()
        for task in tasks:
            self._start(task)

    def postpone(self, host: str, work: Callable[[], Lane | None]) -> None:
        """Run a job of this thread again later, because its host has not responded."""
        with self._lock:
            # It begins when this job is done, because the host now runs one job at a time.
            self._schedule.postpone(host, contextvars.copy_context().run, work)

    def is_worker(self) -> bool:
        """Return whether this thread is a worker."""
        return threading.get_ident() in self._threads

    def resize(self, size: int) -> None:
        """Change the maximum number of jobs in progress."""
        with self._lock:
            self._schedule.resize(size)
            tasks = self._dispatch()
        for task in tasks:
            self._start(task)

    def end(self, seconds: float, finishing: Collection[int] = ()) -> None:
        """End the workers as they become idle; wait for those that are idle or are finishing.

        A subinterpreter must not end while its threads run (Py_EndInterpreter).

        Args:
            seconds: The longest wait.
            finishing: The identifiers of the threads that are finishing.
        """
        deadline = time.monotonic() + seconds
        with self._lock:
            self._patience = 0.0
            seats, self._idle = self._idle, []
        for seat in seats:
            seat.is_called.release()
        workers = (each for each in threading.enumerate() if each.name == _THREAD_NAME)
        ending = {each for each in workers if each.ident in finishing}
        for thread in ending | {seat.thread for seat in seats}:
            thread.join(max(0.0, deadline - time.monotonic()))

    def load(self, host: str | None = None) -> int:
        """Return the number of jobs that wait or are in progress, of one host or of all."""
        with self._lock:
            if host is None:
                return self._schedule.queued + self._schedule.active
            return self._schedule.load(host)

    def _dispatch(self) -> list[Task]:
        """Give tasks to idle workers; return the tasks for which a worker must be started."""
        tasks: list[Task] = []
        while self._schedule.queued and (self._idle or self._number < self._schedule.size):
            task = self._schedule.take()
            if task is None:
                break
            if self._idle:
                seat = self._idle.pop()  # the last one to become idle, so that surplus workers end
                seat.task = task
                seat.is_called.release()
            else:
                self._number += 1
                tasks.append(task)
        return tasks

    def _start(self, task: Task) -> None:
        try:
            threading.Thread(
                target=self._serve, args=(task,), name=_THREAD_NAME, daemon=True
            ).start()
        except RuntimeError:  # no more threads, or the interpreter is shutting down
            with self._lock:
                self._number -= 1
                if threading.get_ident() in self._threads:  # it takes this task after its own
                    self._schedule.put_back(task)
                    return
            self._run_here(task)

    def _run_here(self, task: Task | None) -> None:
        while task:
            _, run, work = task
            lane = run(work)
            with self._lock:
                self._schedule.done(task, lane)
                task = self._schedule.take()

    def _serve(self, task: Task | None) -> None:
        seat, kept = _Seat(), kept_connections.get()
        seat.is_called.acquire()
        kept.enter()
        self._threads.add(threading.get_ident())
        while task:
            _, run, work = task
            lane = run(work)
            with self._lock:
                self._schedule.done(task, lane)
                self._idle.append(seat)
                tasks = self._dispatch() if self._schedule.queued else []
            for each in tasks:
                self._start(each)
            seat.is_called.acquire(timeout=self._patience)
            with self._lock:
                task, seat.task = seat.task, None
                if task is None:
                    self._number -= 1
                    if seat in self._idle:
                        self._idle.remove(seat)
        self._threads.discard(threading.get_ident())
        kept.leave()


_size = DEFAULT_SIZE
pool: PerProcess[Workers] = PerProcess(lambda: Workers(_size))


def limit_requests(most: int) -> None:
    """Set the maximum number of concurrent token requests of this process; the others wait.

    Args:
        most: From 1 to 300; 256 by default. Each needs a thread.

    Raises:
        keyturn.errors.ConfigurationError: It is not an integer from 1 to 300.
    """
    global _size  # noqa: PLW0603 - one value for the process, as its threads
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= LARGEST_SIZE:
        raise errors.ConfigurationError(f"max_requests must be an integer, 1 to {LARGEST_SIZE}.")
    _size = most
    pool.get().resize(most)
