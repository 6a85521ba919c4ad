"""Processes that share the example's PostgreSQL store: many at once, killed holders, forks."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from keyturn.testing import Emulator

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Start = Callable[..., subprocess.Popen[str]]

ASKER = """
import json, sys
import keyturn

settings = json.loads(sys.argv[1])
with keyturn.connect("orocommerce", **settings, store=sys.argv[2]) as connection:
    print("ready", flush=True)
    sys.stdin.readline()
    print(connection.token().access_token)
"""

SPENDER = """
import json, sys
import keyturn

settings = json.loads(sys.argv[1])
with keyturn.connect("norce-commerce", **settings, store=sys.argv[2]) as connection:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(4):
        connection.forget()
        try:
            connection.token()
        except keyturn.errors.RateLimited:
            print("limited")
        else:
            print("token")
"""

CREATOR = """
import sys
from keyturn_postgresql.store import PostgresqlStore

store = PostgresqlStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
store.write(sys.argv[2], "entry", float("inf"))
print(store.read(sys.argv[2]))
store.close()
"""

HOLDER = """
import sys
from keyturn_postgresql.store import PostgresqlStore

store = PostgresqlStore(sys.argv[1])
with store.lock("a", float(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.readline()
store.close()
"""

FORKS = """
import os, sys, threading
from keyturn_postgresql.store import PostgresqlStore

store = PostgresqlStore(sys.argv[1])
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
store.close()
"""

FORKING_HOLDER = """
import os, sys
from keyturn_postgresql.store import PostgresqlStore

store = PostgresqlStore(sys.argv[1])
with store.lock("a", 30):
    child = os.fork()
    if child:
        print(os.waitpid(child, 0)[1], flush=True)
        try:
            with store.lock("a", 0.02):
                print("entered")
        except TimeoutError:
            print("excluded")
if child:
    store.close()
else:
    store.read("b")
    store.close()
    del store  # psycopg warns about its parent's connection here, if it does
"""


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def run_together(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let processes continue at once, and return what each printed from then on."""
    assert [line(process) for process in processes] == ["ready"] * len(processes)
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    responses = [process.communicate(timeout=50) for process in processes]
    assert [trouble for _, trouble in responses] == [""] * len(processes)
    return [response for response, _ in responses]


def hold(start: Start, server: Any, lease: float) -> subprocess.Popen[str]:
    """Start a process that holds the lock of `a`."""
    process = start(HOLDER, server.url, lease)
    assert line(process) == "held"
    return process


def test_processes_make_one_token_request(start: Start, server: Any) -> None:
    """Each of eight processes would request its own token."""
    with Emulator() as emulator:
        settings = json.dumps(emulator.settings("orocommerce"))
        emulator.fault("orocommerce", "slow", times=8, seconds=0.2)
        tokens = run_together([start(ASKER, settings, server.url) for _ in range(8)])
        assert len(set(tokens)) == 1
        assert emulator.token_requests("orocommerce") == 1


def test_processes_share_a_rate_limit(start: Start, server: Any) -> None:
    """Each process would use up the token endpoint's rate limit as if it were alone."""
    with Emulator() as emulator:
        settings = json.dumps(emulator.settings("norce-commerce"))
        # Each process has its own token: their settings differ in a part of the cache key.
        processes = [
            start(
                SPENDER,
                settings,
                server.url,
                KEYTURN_FINGERPRINT_KEY=f"made-up-key-of-host-{number}",
            )
            for number in range(6)
        ]
        outcomes = "".join(run_together(processes)).split()
        sent = emulator.token_requests("norce-commerce")
        assert outcomes.count("token") == sent  # no response was 429
        assert 20 <= sent < len(outcomes) == 24


def test_processes_create_the_tables_at_once(start: Start, server: Any) -> None:
    """The first start of an application with many workers would fail in some of them."""
    processes = [start(CREATOR, server.url, f"a-{number}") for number in range(4)]
    assert run_together(processes) == ["entry\n"] * 4


def test_lock_excludes_processes(start: Start, server: Any, store: Any) -> None:
    """Each process would make its own token request."""
    holder = hold(start, server, 30)
    with pytest.raises(TimeoutError), store.lock("a", 0.03):
        pass
    assert holder.communicate("\n")[1] == ""
    with store.lock("a", 0.03):
        pass


def test_lock_of_a_killed_holder_expires_with_its_lease(
    start: Start, server: Any, store: Any
) -> None:
    """A worker killed in the middle of a token request would block all others forever."""
    holder = hold(start, server, 0.3)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with store.lock("a", 30):
        left = "SELECT extract(epoch FROM held_until - now())::float8 FROM keyturn_locks"
        assert server.run(left)[0] > 1


def test_stopped_holder_does_not_release_the_lock_of_its_successor(
    start: Start, server: Any, store: Any
) -> None:
    """A worker that resumes too late would let others request a token beside its successor."""
    holder = hold(start, server, 0.1)
    holder.send_signal(signal.SIGSTOP)
    with store.lock("a", 30):
        holder.send_signal(signal.SIGCONT)
        assert holder.communicate("\n")[1] == ""
        assert holder.returncode == 0
        with pytest.raises(TimeoutError), store.lock("a", 0.03):
            pass


def test_child_does_not_release_the_lock_of_its_parent(start: Start, server: Any) -> None:
    """A child that leaves the block in which it was forked would release its parent's lock."""
    child = start(FORKING_HOLDER, server.url, PYTHONWARNINGS="always::ResourceWarning")
    assert child.communicate() == ("0\nexcluded\n", "")


def test_fork_while_the_store_is_in_use(start: Start, server: Any) -> None:
    """A child would share a connection with its parent, and read another's response."""
    assert start(FORKS, server.url).communicate() == ("True True\n", "")
