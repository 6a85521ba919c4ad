"""The task that a worker runs next: each host has a share, so a hanging host blocks no other.

A worker waits for its host, and for the resolution of its name. So no host gets more workers than
its share, and hosts that have not responded leave some workers for the others.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Literal

from keyturn._clock import SYSTEM

# The result of the last request to a host: a response; no request so far; no response for seconds.
Lane = Literal["proven", "unknown", "suspect"]
Work = Callable[[], Lane | None]
Run = Callable[[Work], Lane | None]
Task = tuple["_Host", Run, Work]

_SHARE = 8
_LARGE_SHARE = 64
# The large share applies to a host that responded within this number of seconds.
_RECENT = 2.0
_KNOWN_HOSTS = 10_000
_NEVER = float("-inf")
# Seconds without a response after which a task is postponed in favour of new hosts.
_LEASH = 5.0


def share(lane: Lane, since_response: float, *, is_pressed: bool) -> int:
    """Return how many workers a host may have.

    Args:
        lane: The host's lane.
        since_response: Seconds since its last response.
        is_pressed: Whether half of all workers are busy.
    """
    is_recent = lane == "proven" and since_response < _RECENT
    if lane == "suspect" or (is_pressed and not is_recent):
        return 1
    return _LARGE_SHARE if is_recent and not is_pressed else _SHARE


class _Host:
    __slots__ = ("active", "lane", "name", "queue", "responded_at")

    def __init__(self, name: str, lane: Lane, responded_at: float) -> None:
        self.name = name
        self.lane: Lane = lane
        self.responded_at = responded_at
        self.active = 0
        self.queue: deque[Task] = deque()


class Schedule:
    """Decides which task is next; it runs nothing, and is not thread-safe.

    Args:
        size: The maximum number of tasks in progress.
        now: The monotonic clock.

    Attributes:
        queued: The number of waiting tasks.
        active: The number of tasks in progress.
        size: The argument.
    """

    def __init__(self, size: int, now: Callable[[], float] = SYSTEM.monotonic) -> None:
        self._now = now
        self.queued = self.active = 0
        self._hosts: dict[str, _Host] = {}  # hosts with a task
        # Hosts with a waiting task, each once.
        self._waiting: OrderedDict[Lane, deque[_Host]] = OrderedDict(
            proven=deque(), unknown=deque(), suspect=deque()
        )
        self._active: dict[Lane, int] = {"proven": 0, "unknown": 0, "suspect": 0}
        self._history: OrderedDict[str, tuple[Lane, float]] = OrderedDict()
        self.resize(size)

    def resize(self, size: int) -> None:
        """Change the maximum number of tasks in progress."""
        self.size = size
        self._most: dict[Lane, int] = {
            "proven": size,
            "unknown": max(1, size * 27 // 32),
            "suspect": max(1, size // 32),
        }

    def add(self, name: str, run: Run, work: Work) -> None:
        """Queue a task for a host; a task without a host has the name ""."""
        host = self._hosts.get(name)
        if host is None:
            usual: Lane = "unknown" if name else "proven"
            lane, responded_at = self._history.get(name, (usual, _NEVER))
            host = self._hosts[name] = _Host(name, lane, responded_at)
        if not host.queue:
            self._waiting[host.lane].append(host)
        host.queue.append((host, run, work))
        self.queued += 1

    def take(self) -> Task | None:
        """Take the next task that may begin; the lanes, and the hosts in a lane, take turns."""
        if not self.queued or self.active >= self.size:
            return None
        now, is_pressed = self._now(), 2 * self.active >= self.size
        for lane, waiting in self._waiting.items():
            # Each waiting host is checked once.
            for _ in range(len(waiting) if self._active[lane] < self._most[lane] else 0):
                host = waiting.popleft()
                is_next = not host.active or host.active < share(
                    lane, now - host.responded_at, is_pressed=is_pressed
                )
                if not is_next or len(host.queue) > 1:
                    waiting.append(host)
                if is_next:
                    self._waiting.move_to_end(lane)
                    host.active += 1
                    self._active[lane] += 1
                    self.active += 1
                    self.queued -= 1
                    return host.queue.popleft()
        return None

    def put_back(self, task: Task) -> None:
        """Queue a task again that was taken but cannot begin."""
        host = task[0]
        if not host.queue:
            self._waiting[host.lane].append(host)
        host.queue.appendleft(task)
        self.queued += 1
        self.done(task)

    def leash(self, name: str) -> float:
        """Return the seconds that a task may wait for a host's response before it is postponed.

        It is infinite unless many hosts have not responded yet: if hundreds of them hang, new hosts
        would have to wait for all of them.
        """
        host = self._hosts.get(name)
        is_crowded = 4 * self._active["unknown"] >= self._most["unknown"]
        return _LEASH if host and host.lane == "unknown" and is_crowded else float("inf")

    def postpone(self, name: str, run: Run, work: Work) -> None:
        """Queue a task in progress again, and mark its host as suspect: it has not responded."""
        self._note(self._hosts[name], "suspect")
        self.add(name, run, work)

    def done(self, task: Task, lane: Lane | None = None) -> None:
        """Mark a task as done.

        Args:
            task: The task.
            lane: The result of its request to the host, if it sent one.
        """
        host = task[0]
        host.active -= 1
        self._active[host.lane] -= 1
        self.active -= 1
        if lane is not None:
            self._note(host, lane)
        if not host.active and not host.queue:
            del self._hosts[host.name]

    def _note(self, host: _Host, lane: Lane) -> None:
        host.responded_at = self._now() if lane == "proven" else _NEVER
        self._history[host.name] = lane, host.responded_at
        self._history.move_to_end(host.name)
        if len(self._history) > _KNOWN_HOSTS:
            self._history.popitem(last=False)
        if host.lane != lane:
            if host.queue:
                self._waiting[host.lane].remove(host)
                self._waiting[lane].append(host)
            self._active[host.lane] -= host.active
            self._active[lane] += host.active
            host.lane = lane

    def load(self, name: str) -> int:
        """Return the number of a host's tasks that wait or are in progress."""
        host = self._hosts.get(name)
        return len(host.queue) + host.active if host else 0
