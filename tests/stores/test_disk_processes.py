"""Processes that share a disk store: many at once, killed holders, forks, concurrent repairs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from keyturn.stores import _disk
from keyturn.stores._disk import DiskStore

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pytest

    Start = Callable[..., subprocess.Popen[str]]
    Run = Callable[..., str]

CROWD = 24

# One process imports everything and forks, which is faster than starting many.
MEMBERS = """
import os, sys
import diskcache
from keyturn.stores._disk import DiskStore

def use(name):
    store = DiskStore(sys.argv[1])
    os.read(ready, 1)  # ends when the parent closes its end
    for number in range(3):
        store.write(f"{name}-{number}", name * 50, float("inf"))
        assert store.read(f"{name}-{number}") == name * 50
    store.close()

ready, go = os.pipe()
children = []
for number in range(int(sys.argv[2])):
    if not (child := os.fork()):
        try:
            os.close(go)
            use(str(number))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(go)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
"""


def rush(start: Start, directory: Path, size: int) -> str:
    """Let many processes use a directory at the same moment; return what they log."""
    process = start(MEMBERS, directory, size)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return errors


def entries(directory: Path) -> dict[str, str | None]:
    """Return the entries that the processes should have left, as a store reads them."""
    store = DiskStore(directory)
    found = {f"{n}-{turn}": store.read(f"{n}-{turn}") for n in range(CROWD) for turn in range(3)}
    store.close()
    return {key: entry for key, entry in found.items() if entry is not None}


def test_many_processes_lose_no_entry(start: Start, directory: Path) -> None:
    """Workers that start together would fail, or request tokens that were just stored."""
    assert rush(start, directory, CROWD) == ""
    assert entries(directory) == {f"{n}-{t}": str(n) * 50 for n in range(CROWD) for t in range(3)}


def test_damaged_store_is_repaired_once_by_many_processes(start: Start, directory: Path) -> None:
    """Processes that find the damage together would move each other's new database aside."""
    directory.mkdir(0o700)
    (directory / "cache.db").touch(0o600)
    (directory / "cache.db").write_bytes(b"no database at all " * 500)
    (logged,) = rush(start, directory, 6).splitlines()
    assert "was unusable" in logged
    assert entries(directory) == {f"{n}-{t}": str(n) * 50 for n in range(6) for t in range(3)}


HOLDER = """
import sys
from keyturn.stores._disk import DiskStore

with DiskStore(sys.argv[1]).lock("a", 30):
    print("held", flush=True)
    sys.stdin.readline()
"""

FORKING_HOLDER = """
import os, sys
from keyturn.stores._disk import DiskStore

with DiskStore(sys.argv[1]).lock("a", 30):
    if not os.fork():  # the child, once it is ready
        print("held", flush=True)
    sys.stdin.readline()
"""


def hold(start: Start, code: str, directory: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock of `a`."""
    process = start(code, directory)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_lock_excludes_processes(start: Start, disk: DiskStore, directory: Path) -> None:
    """Each process would make its own token request."""
    holder = hold(start, HOLDER, directory)
    entered = True
    try:
        with disk.lock("a", 0.03):
            pass
    except TimeoutError:
        entered = False
    assert not entered
    holder.communicate("\n")
    with disk.lock("a", 0.03):
        pass


def test_killed_holder_releases_its_lock(
    new_python: Start, disk: DiskStore, directory: Path
) -> None:
    """A worker killed in the middle of a token request would block all others."""
    holder = hold(new_python, HOLDER, directory)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with disk.lock("a", 0.05):
        pass


def test_child_does_not_keep_the_lock_of_a_killed_parent(
    new_python: Start, disk: DiskStore, directory: Path
) -> None:
    """A child that was forked while the lock was held would keep it until it ends."""
    holder = hold(new_python, FORKING_HOLDER, directory)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with disk.lock("a", 0.05):
        pass


def test_child_does_not_release_the_lock_of_its_parent(run: Run, directory: Path) -> None:
    """A child that leaves the block in which it was forked would release its parent's lock."""
    assert (
        run(
            """
import os, sys
from keyturn.stores._disk import DiskStore

store = DiskStore(sys.argv[1])
with store.lock("a", 30):
    child = os.fork()
    if child:
        print(os.waitpid(child, 0)[1])
        try:
            with store.lock("a", 0.02):
                print("entered")
        except TimeoutError:
            print("excluded")
if not child:
    try:
        with store.lock("a", 0.02):
            os._exit(1)
    except TimeoutError:
        os._exit(0)
""",
            directory,
        )
        == "0\nexcluded"
    )


def test_fork_while_the_store_is_in_use(run: Run, directory: Path) -> None:
    """A child would share a connection with its parent, or wait for a thread of the parent."""
    assert (
        run(
            """
import os, sys, threading
from keyturn.stores._disk import DiskStore

store = DiskStore(sys.argv[1])
store.write("a", "entry", float("inf"))
done = threading.Event()

def use():
    while not done.wait(0.001):
        store.write("b", "entry", float("inf"))

thread = threading.Thread(target=use)
thread.start()
results = []
for number in range(20):
    if not (child := os.fork()):
        store.write(f"c-{number}", "entry", float("inf"))
        os._exit(store.read("a") != "entry")
    results.append(os.waitpid(child, 0)[1])
done.set()
thread.join()
print(results == [0] * 20, all(store.read(f"c-{n}") == "entry" for n in range(20)))
""",
            directory,
        )
        == "True True"
    )


def test_fork_waits_for_a_write_in_progress(run: Run, directory: Path) -> None:
    """A child would close its copy of the connection, and roll back the write of its parent."""
    assert (
        run(
            """
import os, sys, threading, time
from keyturn.stores._disk import DiskStore

store = DiskStore(sys.argv[1])
begun, done = threading.Event(), threading.Event()

def write(cache):
    begun.set()
    time.sleep(0.2)
    done.set()

thread = threading.Thread(target=store._run, args=("a", write))
thread.start()
begun.wait()
if not (child := os.fork()):
    os._exit(not done.is_set())
thread.join()
print(os.waitpid(child, 0)[1])
""",
            directory,
        )
        == "0"
    )


def test_fork_does_not_wait_for_a_busy_database(run: Run, directory: Path) -> None:
    """A fork, and its child, would wait for an operation that does not end."""
    assert (
        run(
            """
import os, sys, threading
from keyturn.stores import _disk
from keyturn.stores._disk import DiskStore

_disk.PATIENCE = 0.05
store = DiskStore(sys.argv[1])
store.write("a", "entry", float("inf"))
inside, done = threading.Event(), threading.Event()
thread = threading.Thread(
    target=store._run, args=["a", lambda _: (inside.set(), done.wait())]
)
thread.start()
inside.wait()
if not (child := os.fork()):
    os._exit(store.read("a") != "entry")
print(os.waitpid(child, 0)[1])
done.set()
thread.join()
print(store.read("a"))
""",
            directory,
        )
        == "0\nentry"
    )


def test_full_disk_raises_and_loses_nothing(run: Run, directory: Path) -> None:
    """A full disk would be treated as a damaged database, and all entries would be lost."""
    assert (
        run(
            """
import os, resource, sys
from keyturn.stores._disk import DiskStore

store = DiskStore(sys.argv[1])
store.write("a", "entry", float("inf"))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
# First the database can't grow, then not even the journal can be written.
for limit in (os.path.getsize(sys.argv[1] + "/cache.db"), 100):
    store.read("a")  # opens the database again
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        store.write("b", "x" * 200_000, float("inf"))
    except OSError as error:
        print("I/O error" in error.strerror)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
store.write("c", "entry", float("inf"))
print(store.read("a"), store.read("b"), store.read("c"), sorted(os.listdir(sys.argv[1])))
""",
            directory,
        )
        == "True\nTrue\nentry None entry ['cache.db', 'opening.lock']"
    )


FASTER_PROCESS = """
import os, sys
from keyturn.stores._disk import DiskStore

os.rename(sys.argv[1] + "/cache.db", sys.argv[1] + "/moved")
DiskStore(sys.argv[1]).write("a", "theirs", float("inf"))
"""


def test_damage_that_another_process_repaired_is_not_repaired_again(
    run: Run, disk: DiskStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower of two processes would move the other's new database aside."""
    directory.mkdir(0o700)
    (directory / "cache.db").touch(0o600)
    (directory / "cache.db").write_bytes(b"no database at all " * 500)

    locks, locked = [], _disk.locked  # the only moment between the two processes

    def overtaken(directory: Path, name: str, patience: float) -> AbstractContextManager[None]:
        locks.append(name)
        if len(locks) == 2:  # the first one opens the database, this one moves it aside
            run(FASTER_PROCESS, directory)
        return locked(directory, name, patience)

    monkeypatch.setattr(_disk, "locked", overtaken)
    assert disk.read("a") == "theirs"
    assert not (directory / "cache.db.corrupt").exists()
