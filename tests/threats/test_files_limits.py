"""A disk store that can't be written, is killed during a write, or is opened by many processes."""

from __future__ import annotations

import json
import signal
import stat
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.threats.conftest import Customer

    Python = Callable[..., subprocess.Popen[str]]

CROWD = 24

# Common code of the processes: it connects to the store and the endpoint of the arguments.
CONNECT = """
import json, os, sys
import keyturn

def connect():
    return keyturn.connect(
        "commercelayer",
        kind="integration",
        store=keyturn.stores.from_url(f"disk://{sys.argv[1]}"),
        token_url=f"http://127.0.0.1:{sys.argv[2]}/oauth/token",
        client_id="cid",
        client_secret="s3cret-for-tests",
    )

def tokens_of(times):
    with connect() as connection:
        token, tokens = None, []
        for _ in range(times):
            token = connection.token(stale=token)
            tokens.append(token.access_token)
        return tokens
"""
# Root may write anywhere because of its capabilities (capabilities(7)); this process drops them.
HELPLESS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
print(json.dumps([tokens_of(2), tokens_of(2)]))
"""
# A file system of 64 KiB in its own mount namespace (mount_namespaces(7)). Where namespaces aren't
# allowed, the size of files is limited (getrlimit(2)).
FULL = """
import contextlib, ctypes, resource
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER, MS_REC, MS_PRIVATE = 0x20000, 0x10000000, 0x4000, 0x40000
user, group = os.geteuid(), os.getegid()
private = libc.unshare(CLONE_NEWNS) == 0
if not private and libc.unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0:
    # The user keeps their number (user_namespaces(7)): a file system refuses an unknown one.
    lines = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    with contextlib.suppress(OSError):
        for name, line in lines.items():
            with open(f"/proc/self/{name}", "w") as file:
                file.write(line)
        private = True
store = sys.argv[1].encode()
options = b"size=64k,mode=0700"
if (
    private
    and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
    and libc.mount(b"tmpfs", store, b"tmpfs", 0, options) == 0
):
    before = tokens_of(1)
    with open(sys.argv[1] + "/ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass
else:
    before = tokens_of(1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
print(json.dumps([before, tokens_of(2), tokens_of(1)]))
"""
WRITER = """
store = keyturn.stores.from_url(f"disk://{sys.argv[1]}")
while True:
    for size in (10, 60_000, 200_000):
        store.write("other", "x" * size, float("inf"))
        print(size, flush=True)
"""
# One process imports everything and forks, which is faster than starting many.
MANY = """
keyturn.provider("commercelayer"), connect().token_request().body
import httpx, diskcache
ready, go = os.pipe()
children = []
for _ in range(int(sys.argv[3])):
    ours, theirs = os.pipe()
    if not os.fork():
        os.close(go)
        os.read(ready, 1)  # ends when the parent closes its end
        os.write(theirs, json.dumps(tokens_of(1)).encode())
        os._exit(0)
    os.close(theirs)
    children.append(ours)
os.close(go)
print(json.dumps([os.read(child, 1000).decode() for child in children]))
"""


@pytest.fixture
def run(python: Python, customer: Customer, tmp_path: Path) -> Callable[..., tuple[Any, str]]:
    """Return a function that runs code on a store in a process; its result and its warnings."""

    def run_code(code: str, *arguments: object) -> tuple[Any, str]:
        port = customer.endpoint.port
        process = python(CONNECT + code, tmp_path / "store", port, *arguments)
        output, trouble = process.communicate(timeout=50)
        assert process.returncode == 0, trouble
        return json.loads(output), trouble

    return run_code


@pytest.mark.parametrize("parts", [["store"], ["store", "store/cache.db"], ["store/cache.db"]])
def test_read_only_store_costs_a_warning_and_no_token(
    run: Callable[..., tuple[Any, str]], customer: Customer, tmp_path: Path, parts: list[str]
) -> None:
    """An application in a container with a read-only file system would not start."""
    assert customer.token(tmp_path / "store") == "token-1"
    for part in parts:
        (tmp_path / part).chmod((tmp_path / part).stat().st_mode & ~stat.S_IWUSR)
    try:
        ((first, *later), (again, *_)), trouble = run(HELPLESS)
    finally:
        for part in parts:
            (tmp_path / part).chmod((tmp_path / part).stat().st_mode | stat.S_IWUSR)

    assert first in {"token-1", "token-2"}
    assert later[0] not in {"token-1", first}
    assert again
    assert f"DiskStore {tmp_path / 'store'} failed to write" in trouble
    assert "Traceback" not in trouble


def test_directory_that_cannot_be_made_costs_a_warning_and_no_token(
    run: Callable[..., tuple[Any, str]], tmp_path: Path
) -> None:
    """A service without its own home directory would not start."""
    tmp_path.chmod(0o500)
    try:
        tokens, trouble = run(HELPLESS)
    finally:
        tmp_path.chmod(0o700)

    assert all(first != second for first, second in tokens)
    assert f"the token store DiskStore {tmp_path / 'store'} failed to" in trouble
    assert "(PermissionError: Permission denied); continuing without the store" in trouble


def test_full_disk_costs_a_warning_and_no_token(
    run: Callable[..., tuple[Any, str]], tmp_path: Path
) -> None:
    """A full disk would stop applications that could continue without the store."""
    (tmp_path / "store").mkdir(0o700)
    (before, during, after), trouble = run(FULL)

    assert before == ["token-1"]
    assert during[0] in {"token-1", "token-2"}
    assert during[1] not in {"token-1", during[0]}
    assert after
    assert f"DiskStore {tmp_path / 'store'} failed to write" in trouble
    assert "No space left on device); continuing without the store" in trouble
    assert "Traceback" not in trouble


def test_processes_killed_while_they_write_leave_a_usable_store(
    new_python: Python, customer: Customer, tmp_path: Path
) -> None:
    """A worker killed by the system for lack of memory would damage the store."""
    assert customer.token(tmp_path / "store") == "token-1"
    for writes in range(1, 7):
        process = new_python(CONNECT + WRITER, tmp_path / "store")
        assert process.stdout is not None
        for _ in range(writes):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)  # during the next write
        process.wait()
        assert customer.token(tmp_path / "store") == "token-1"
    assert customer.token(tmp_path / "store", stale=True) == "token-2"
    assert customer.warnings == []


@pytest.mark.parametrize("state", ["none", "damaged"])
def test_processes_that_open_a_new_store_together_make_one_token_request(
    run: Callable[..., tuple[Any, str]], customer: Customer, tmp_path: Path, state: str
) -> None:
    """Workers that start together would each create the store, and request a token."""
    if state == "damaged":
        (tmp_path / "store").mkdir(0o700)
        (tmp_path / "store" / "cache.db").touch(0o600)
        (tmp_path / "store" / "cache.db").write_bytes(b"no database at all " * 500)
    tokens, trouble = run(MANY, CROWD)

    assert tokens == ['["token-1"]'] * CROWD
    assert len(customer.endpoint.received) == 1
    assert trouble.count("was unusable") == (state == "damaged")
    assert "Traceback" not in trouble
