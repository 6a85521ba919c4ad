"""Processes and hosts that share the Redis store: many at once, killed holders, forks."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from keyturn.testing import Emulator

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.stores._redis import RedisStore

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

HOLDER = """
import sys
from keyturn.stores._redis import RedisStore

with RedisStore(sys.argv[1]).lock("a", float(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.readline()
"""

FORKS = """
import os, sys, threading
from keyturn.stores._redis import RedisStore

store = RedisStore(sys.argv[1])
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
"""

FORKING_HOLDER = """
import os, sys
from keyturn.stores._redis import RedisStore

store = RedisStore(sys.argv[1])
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
    os._exit(store.read("b") is not None)
"""


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def hold(start: Start, server: Any, lease: float) -> subprocess.Popen[str]:
    """Start a process that holds the lock of `a`."""
    process = start(HOLDER, server.url, lease)
    assert line(process) == "held"
    return process


@pytest.mark.parametrize(("keys", "requests"), [(["one"], 1), (["one", "another"], 2)])
def test_hosts_make_one_token_request(
    start: Start, server: Any, tmp_path: Path, keys: list[str], requests: int
) -> None:
    """Each of eight hosts would request its own token, unless their keys differ."""
    with Emulator() as emulator:
        settings = json.dumps(emulator.settings("orocommerce"))
        emulator.fault("orocommerce", "slow", times=8, seconds=0.2)
        processes = [
            start(
                ASKER,
                settings,
                server.url,
                XDG_DATA_HOME=str(tmp_path / str(number)),
                KEYTURN_FINGERPRINT_KEY=f"{keys[number % len(keys)]}-made-up-key-of-a-host",
            )
            for number in range(8)
        ]
        assert [line(process) for process in processes] == ["ready"] * 8
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        responses = [process.communicate(timeout=30) for process in processes]
        assert [trouble for _, trouble in responses] == [""] * 8
        assert len({token for token, _ in responses}) == requests
        assert emulator.token_requests("orocommerce") == requests


def test_lock_excludes_processes(start: Start, server: Any, store: RedisStore) -> None:
    """Each process would make its own token request."""
    holder = hold(start, server, 30)
    with pytest.raises(TimeoutError), store.lock("a", 0.03):
        pass
    holder.communicate("\n")
    with store.lock("a", 0.03):
        pass


def test_lock_of_a_killed_holder_expires_with_its_lease(
    start: Start, server: Any, store: RedisStore
) -> None:
    """A worker killed in the middle of a token request would block all others forever."""
    holder = hold(start, server, 0.3)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with store.lock("a", 30):
        assert server.admin.pttl("keyturn:lock:a") > 1000


def test_stopped_holder_does_not_release_the_lock_of_its_successor(
    start: Start, server: Any, store: RedisStore
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
    assert start(FORKING_HOLDER, server.url).communicate() == ("0\nexcluded\n", "")


def test_fork_while_the_store_is_in_use(start: Start, server: Any) -> None:
    """A child would share a connection with its parent, and read another's response."""
    assert start(FORKS, server.url).communicate() == ("True True\n", "")


TENANTS = """
import json, sys
import keyturn

settings, policy = json.loads(sys.argv[1]), keyturn.NetworkPolicy(
    private_addresses=True, loopback=True, address_settings=True
)
with keyturn.Connections(store=sys.argv[2], policy=policy) as connections:
    for line in sys.stdin:
        action, _, id = line.strip().partition(" ")
        if action == "open":
            print(connections.open(id, "orocommerce", settings).token().access_token, flush=True)
        else:
            connections.remove(id)
            print("removed", flush=True)
"""


def say(process: subprocess.Popen[str], text: str) -> str:
    """Send a line to a process, and return the line that it then prints."""
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()
    return line(process)


def test_tenant_removed_by_another_process_leaves_nothing(start: Start, server: Any) -> None:
    """A removed tenant's token would remain, or another tenant would lose theirs."""
    with Emulator() as emulator:
        settings = json.dumps(emulator.settings("orocommerce"))
        first, second, third = (start(TENANTS, settings, server.url) for _ in range(3))
        token = say(first, "open tenant")
        assert say(first, "open neighbour") == token
        assert say(second, "remove tenant") == "removed"
        assert say(third, "open neighbour") == token, "a shared token stays"
        assert say(third, "remove neighbour") == "removed"
        left = {key.decode() for key in server.admin.scan_iter()}
        assert {each for each in left if "fingerprint-key" not in each} == set()
        assert say(third, "open tenant") != token
        assert emulator.token_requests("orocommerce") == 2
