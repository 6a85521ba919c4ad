"""The memory store: leases, growth and forks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable


def test_holder_whose_lease_has_ended_loses_the_lock() -> None:
    """A thread that hangs would block all others, or would later release their lock."""
    store = MemoryStore()
    stuck = store.lock("a", 0.02)
    stuck.__enter__()
    with store.lock("a", 30):
        stuck.__exit__(None, None, None)
        free = threading.Event()

        def enter() -> None:
            with store.lock("a", 30):
                free.set()

        waiter = threading.Thread(target=enter)
        waiter.start()
        assert not free.wait(0.05)
    waiter.join()
    assert free.is_set()


def test_locks_and_expired_entries_are_removed() -> None:
    """The memory of a process that runs for months would grow."""
    now = 0.0
    store = MemoryStore(now=lambda: now)
    for number in range(1000):
        now = float(number)
        store.write(f"{number:x}", "entry", now + 10)
        with store.lock(f"{number:x}", 1):
            pass
    entries = store._entries  # noqa: SLF001 - nothing else shows the growth
    assert len(entries) <= 64
    assert store._locks.get()[1] == {}  # noqa: SLF001 - as above
    now += 100
    assert store.read(f"{999:x}") is None


def test_valid_entries_remain() -> None:
    """Valid tokens would be requested again while many connections are in use."""
    store = MemoryStore(now=lambda: 0.0)
    for number in range(300):
        store.write(f"{number:x}", str(number), 10)
    assert [store.read(f"{number:x}") for number in range(300)] == [str(n) for n in range(300)]


def test_fork_releases_every_lock_in_the_child(run: Callable[..., str]) -> None:
    """A child would wait for a lock of a thread that exists only in its parent."""
    assert (
        run("""
import os, threading
from keyturn.stores._memory import MemoryStore

store = MemoryStore()
store.write("a", "entry", float("inf"))
held, done = threading.Event(), threading.Event()

def hold():
    with store.lock("a", 30):
        held.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
with store.lock("b", 30):
    if not (child := os.fork()):
        with store.lock("a", 1), store.lock("b", 1):
            print(store.read("a"), flush=True)
if not child:
    with store.lock("b", 1):
        os._exit(0)
print(os.waitpid(child, 0)[1])
done.set()
thread.join()
""")
        == "entry\n0"
    )
