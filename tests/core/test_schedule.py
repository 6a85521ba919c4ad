"""The task that a worker runs next: the share of a host, the lanes, and the total bound."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn._tokens.schedule import Schedule, share

if TYPE_CHECKING:
    from keyturn._tokens.schedule import Lane, Task


def run(_: object) -> None:
    """Do nothing, in place of the function that runs a task."""


def work() -> None:
    """Do nothing, in place of a task's work."""


def exchange(schedule: Schedule, host: str, lane: Lane) -> None:
    """Run a task of a host, which then is in that lane."""
    schedule.add(host, run, work)
    task = schedule.take()
    assert task is not None
    schedule.done(task, lane)


def fill(schedule: Schedule, host: str, number: int) -> None:
    """Queue tasks of a host."""
    for _ in range(number):
        schedule.add(host, run, work)


def take_all(schedule: Schedule) -> list[Task]:
    """Take every task that may begin."""
    tasks: list[Task] = []
    while task := schedule.take():
        tasks.append(task)
    return tasks


def hosts(tasks: list[Task]) -> list[str]:
    """Return the hosts of tasks."""
    return [task[0].name for task in tasks]


@pytest.mark.parametrize(
    ("lane", "since_response", "is_pressed", "workers"),
    [
        ("suspect", 0.0, False, 1),
        ("suspect", 0.0, True, 1),
        ("unknown", float("inf"), False, 8),
        ("unknown", float("inf"), True, 1),
        ("proven", 1.9, False, 64),
        ("proven", 1.9, True, 8),
        ("proven", 2.1, False, 8),
        ("proven", 2.1, True, 1),
    ],
)
def test_share_of_a_host(lane: Lane, since_response: float, is_pressed: bool, workers: int) -> None:
    """A hanging host would get all workers, or a responding host too few."""
    assert share(lane, since_response, is_pressed=is_pressed) == workers


def test_hosts_take_turns() -> None:
    """The single tenant of a host would wait for seven hundred tenants of another."""
    schedule = Schedule(16)
    fill(schedule, "many", 700)
    fill(schedule, "one", 1)

    assert hosts(take_all(schedule))[:3] == ["many", "one", "many"]


def test_hanging_hosts_leave_workers_for_other_hosts() -> None:
    """New hosts could use all workers, and no known host would get a token."""
    schedule = Schedule(256)
    exchange(schedule, "known", "proven")
    for number in range(1000):
        fill(schedule, f"hanging-{number}", 8)
    hanging = len(take_all(schedule))
    fill(schedule, "known", 1)

    assert hanging == 216
    assert hosts(take_all(schedule)) == ["known"]


def test_suspect_host_is_probed_by_one_request() -> None:
    """A hanging host would use eight workers forever."""
    schedule = Schedule(256)
    fill(schedule, "h", 20)
    first = take_all(schedule)
    for task in first:
        schedule.done(task, "suspect")

    assert (len(first), len(take_all(schedule))) == (8, 1)


def test_host_that_responds_gets_more_workers_for_a_while() -> None:
    """Thousands of tenants of one healthy host would be served by eight workers."""
    now = [0.0]
    schedule = Schedule(256, lambda: now[0])
    fill(schedule, "h", 200)
    first, *others = take_all(schedule)
    assert len(others) == 7
    schedule.done(first, "proven")
    assert len(take_all(schedule)) == 64 - 7
    now[0] = 3.0
    assert take_all(schedule) == []


def test_hosts_without_a_response_are_deferred_if_there_are_many() -> None:
    """A new host would wait until hundreds of others have timed out."""
    schedule = Schedule(256)
    exchange(schedule, "known", "proven")
    fill(schedule, "known", 1)
    for number in range(53):
        fill(schedule, f"hanging-{number}", 1)
    take_all(schedule)
    assert schedule.leash("hanging-0") == float("inf")
    for number in range(53, 300):
        fill(schedule, f"hanging-{number}", 1)
    tasks = take_all(schedule)
    assert schedule.leash("hanging-0") == 5.0
    assert schedule.leash("known") == float("inf")
    fill(schedule, "new", 1)
    for task in tasks:
        schedule.postpone(task[0].name, run, work)
        schedule.done(task, "suspect")

    assert schedule.leash("hanging-0") == schedule.leash(tasks[0][0].name) == float("inf")
    assert "new" in hosts(take_all(schedule))


def test_work_without_a_host_is_never_in_the_unknown_lane() -> None:
    """Discarding a token would wait for hanging hosts."""
    schedule = Schedule(32)
    for number in range(100):
        fill(schedule, f"hanging-{number}", 1)
    take_all(schedule)
    fill(schedule, "", 1)

    assert hosts(take_all(schedule)) == [""]


def test_history_is_bounded() -> None:
    """A long-running process would keep a record of each host that it ever used."""
    schedule = Schedule(32)
    exchange(schedule, "first", "suspect")
    for number in range(10_000):
        exchange(schedule, f"h{number}", "proven")
    fill(schedule, "first", 9)

    assert len(take_all(schedule)) == 8  # as a new host


def test_task_that_cannot_start_is_taken_again() -> None:
    """Token requests would be lost when no thread can be started."""
    schedule = Schedule(4)
    fill(schedule, "h", 1)
    task = schedule.take()
    assert task is not None
    schedule.put_back(task)

    assert (schedule.queued, schedule.active, schedule.load("h")) == (1, 0, 1)
    assert schedule.take() is task
    assert schedule.take() is None
    schedule.done(task)
    assert schedule.load("h") == 0


def test_size_can_change() -> None:
    """`max_requests` would have no effect on workers that are in use."""
    schedule = Schedule(256)
    schedule.resize(3)
    exchange(schedule, "h", "proven")
    fill(schedule, "h", 5)

    assert len(take_all(schedule)) == 3


LANES = st.sampled_from(["proven", "suspect", None])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 5)),
        st.tuples(st.just("take"), st.integers(0, 3)),
        st.tuples(st.just("done"), st.integers(0, 9), LANES),
        st.tuples(st.just("put back"), st.integers(0, 9)),
        st.tuples(st.just("resize"), st.integers(1, 12)),
    ),
    max_size=60,
)


@given(st.integers(1, 12), STEPS)
def test_each_task_runs_exactly_once(size: int, steps: list[tuple[str, int, Lane | None]]) -> None:
    """A caller would wait forever, or the workers would exceed their bound."""
    schedule = Schedule(size, lambda: 0.0)
    added: list[object] = []
    began: list[Task] = []
    ended: list[object] = []
    for step, number, *lane in steps:
        if step == "add":
            marked = functools.partial(work)
            added.append(marked)
            schedule.add(f"h{number}", run, marked)
        elif step == "take":
            task = schedule.take()
            began += [task] if task else []
            assert not task or len(began) <= schedule.size
        elif step == "done" and began:
            task = began.pop(number % len(began))
            ended.append(task[2])
            schedule.done(task, lane[0])
        elif step == "put back" and began:
            schedule.put_back(began.pop(number % len(began)))
        elif step == "resize":
            schedule.resize(number)
        assert (schedule.active, schedule.queued) == (
            len(began),
            len(added) - len(began) - len(ended),
        )
    while began or schedule.queued:
        began += take_all(schedule)
        assert began, "tasks wait, and none may begin"
        ended += [task[2] for task in began]
        for task in began:
            schedule.done(task)
        began = []

    assert sorted(map(id, ended)) == sorted(map(id, added))
