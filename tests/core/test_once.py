"""Values that a process computes once, and a forked child again."""

from __future__ import annotations

import os
import threading

import pytest

from keyturn._common.once import PerProcess, cached_once


def test_concurrent_threads_get_one_value() -> None:
    """Each thread would have its own store, key or HTTP client."""
    begun, second, release = threading.Event(), threading.Event(), threading.Event()
    values: list[object] = []

    @cached_once
    def make() -> object:
        (second if begun.is_set() else begun).set()
        assert release.wait(10)
        return object()

    threads = [threading.Thread(target=lambda: values.append(make())) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert begun.wait(10)
    second.wait(0.1)  # with two computations, the second thread would begin now
    release.set()
    for thread in threads:
        thread.join(10)

    assert not second.is_set()
    assert values[0] is values[1]


def test_values_are_cached_by_arguments_until_they_are_cleared() -> None:
    """A store's URL would give another store, or the store of an earlier test."""
    made: list[str] = []

    @cached_once
    def make(url: str) -> int:
        made.append(url)
        return len(made)

    assert [make("a"), make("b"), make("a")] == [1, 2, 1]
    make.cache_clear()
    assert make("a") == 3


def test_computation_may_use_another_cached_value() -> None:
    """A plugin that loads another one while it is loaded would hang."""

    @cached_once
    def make(number: int) -> int:
        return number and make(number - 1) + 1

    assert make(3) == 3


def test_values_of_other_arguments_do_not_wait() -> None:
    """A slow plugin or store would block all others."""
    begun, release = threading.Event(), threading.Event()

    @cached_once
    def make(name: str) -> str:
        if name == "slow":
            begun.set()
            assert release.wait(10)
        return name

    thread = threading.Thread(target=make, args=("slow",))
    thread.start()
    assert begun.wait(10)

    assert make("quick") == "quick"
    release.set()
    thread.join(10)


def test_two_values_that_need_each_other_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two plugins that load each other in two threads would wait forever."""
    monkeypatch.setattr("keyturn._common.once._CALL_PATIENCE", 0.05)
    met = threading.Barrier(2)
    depth = threading.local()

    @cached_once
    def make(name: str) -> str:
        if not getattr(depth, "inside", False):
            depth.inside = True
            met.wait(10)
            make("b" if name == "a" else "a")
        return name

    values: list[str] = []
    threads = [threading.Thread(target=lambda n=name: values.append(make(n))) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(values) == ["a", "b"]


def test_failure_is_not_cached() -> None:
    """A plugin whose import failed once could never be imported."""
    calls: list[int] = []

    @cached_once
    def make() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError
        return len(calls)

    with pytest.raises(KeyError):
        make()
    assert make() == 2


def test_forked_process_has_its_own_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child would wait for a lock that only its parent's threads can free."""
    locks = PerProcess(threading.Lock)
    parents = locks.get()
    assert locks.get() is parents
    child = os.getpid() + 1
    monkeypatch.setattr("os.getpid", lambda: child)

    assert locks.get() is not parents
    assert locks.get() is locks.get()
