"""A value that is made once, whichever thread asks first."""

from __future__ import annotations

import threading

from keyturn._once import cached_once


def test_threads_that_come_together_get_one_value() -> None:
    """Each would have a store, a key or an HTTP client of its own."""
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
    second.wait(0.1)  # where it would be made twice, the second thread begins now
    release.set()
    for thread in threads:
        thread.join(10)

    assert not second.is_set()
    assert values[0] is values[1]


def test_values_are_kept_by_arguments_until_they_are_cleared() -> None:
    """A store's URL would give another store, or an old one go on after a test."""
    made: list[str] = []

    @cached_once
    def make(url: str) -> int:
        made.append(url)
        return len(made)

    assert [make("a"), make("b"), make("a")] == [1, 2, 1]
    make.cache_clear()
    assert make("a") == 3


def test_value_may_be_made_of_another() -> None:
    """A plugin that asks for another one while it is loaded would hang."""

    @cached_once
    def make(number: int) -> int:
        return number and make(number - 1) + 1

    assert make(3) == 3
