"""A container, as far as the system allows one: a read-only root, and a user without a name."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

REPOSITORY = Path(__file__).parents[2]
UID = 54_321
# The container's root is a file system of its own (mount_namespaces(7)). The system, Python and
# keyturn are mounted in it read-only, and one directory writable. Root changes to a user ID without
# an entry in passwd; another user gets that ID in a user namespace. Where namespaces aren't
# allowed, root changes to that ID too, and for another user the entry in passwd is hidden.
ENTER = """
import ctypes, json, os, sys

libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER = 0x20000, 0x10000000
RDONLY, REMOUNT, BIND, REC, PRIVATE = 1, 32, 4096, 16384, 0x40000


def unshare(flags):
    return libc.unshare(flags) == 0


def mount(source, target, kind, flags, options=None):
    assert libc.mount(source.encode(), target.encode(), kind, flags, options) == 0, (
        target, os.strerror(ctypes.get_errno()))


def become(uid):
    # user_namespaces(7): any user may map a group if setgroups is denied.
    outside = os.geteuid(), os.getegid()
    assert unshare(NEWUSER)
    for name, line in ("setgroups", "deny"), ("uid_map", f"{uid} {outside[0]} 1"), (
            "gid_map", f"{uid} {outside[1]} 1"):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def set_capabilities(mask):
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    assert libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask)) == 0


def enter(root, uid, groups, kept, volumes):
    is_root = os.geteuid() == 0
    directory = os.getcwd()
    if not is_root:
        try:
            become(uid)
        except (AssertionError, OSError):
            return without_namespaces(uid, groups)
    if not unshare(NEWNS):
        return without_namespaces(uid, groups)
    mount("none", "/", None, REC | PRIVATE)
    mount("none", root, b"tmpfs", 0)
    own = [sys.base_prefix, sys.prefix, *kept]
    for path in sorted({"/usr", "/bin", "/lib", "/lib64", "/dev", "/proc", directory, *own}):
        if os.path.isdir(path):
            os.makedirs(root + path, exist_ok=True)
            mount(path, root + path, None, BIND | REC)
            if path not in {"/dev", "/proc", directory}:
                mount("none", root + path, None, BIND | REMOUNT | RDONLY)
    for path, source, options in volumes:
        os.makedirs(root + path)
        if source:
            mount(source, root + path, None, BIND)
            mount("none", root + path, None, BIND | REMOUNT | RDONLY)
        else:
            mount("none", root + path, b"tmpfs", 0, options.encode())
    mount("none", root, None, BIND | REMOUNT | RDONLY)
    os.chroot(root)
    os.chdir(directory)
    if is_root:
        drop_privileges(uid, groups)
    set_capabilities(0)


def drop_privileges(uid, groups):
    os.setgroups(groups)
    os.setgid(uid)
    os.setuid(uid)


def without_namespaces(uid, groups):
    import pwd

    def missing(uid):
        raise KeyError(uid)

    pwd.getpwuid = missing
    if os.geteuid() == 0:
        # Only root may be able to read Python's files: PR_SET_KEEPCAPS, then CAP_DAC_READ_SEARCH.
        libc.prctl(8, 1)
        drop_privileges(uid, groups)
        set_capabilities(4)


enter(**json.loads(sys.argv[1]))
"""
# One process starts, and forks for each command.
COMMANDS = """
import json, logging, tempfile
import keyturn, keyturn._cli.tokens, keyturn._config, keyturn.stores._disk, platformdirs


def run(variables, arguments, setup):
    os.environ.update(variables)
    exec(setup)
    from keyturn._cli import main
    return main(arguments)


def result_of(command):
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = run(*command)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


# Import everything once, before the forks.
settings = json.loads(sys.stdin.readline())
keyturn.connect(settings.pop("provider"), settings, store="memory://").token()
for line in sys.stdin:
    print(json.dumps(result_of(json.loads(line))), flush=True)
"""


@attrs.frozen
class Result:
    """The result of a command.

    Args:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Yield a running emulator."""
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def account(emulator: Emulator) -> dict[str, Any]:
    """Return the settings of an account at the emulator's OroCommerce, and the provider's name."""
    return {"provider": "orocommerce", **emulator.settings("orocommerce")}


@pytest.fixture(scope="module")
def shop(account: dict[str, Any]) -> dict[str, str]:
    """Return the variables that define the connection `shop`."""
    return {f"KEYTURN_CONNECTIONS__SHOP__{name.upper()}": str(account[name]) for name in account}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the only directory that the container's commands can write to; they run there."""
    directory = tmp_path_factory.mktemp("work")
    directory.chmod(0o1777)
    return directory


@contextlib.contextmanager
def open_container(
    account: dict[str, Any],
    root: Path,
    work: Path,
    *,
    uid: int = UID,
    groups: Sequence[int] = (),
    volumes: Sequence[tuple[str, str | None, str]] = (),
) -> Generator[Callable[..., Result]]:
    """Return a function that runs a command of keyturn in a container.

    It takes the command's variables, its arguments, and Python code that runs first.

    Args:
        account: Settings with which a token is acquired before the first command.
        root: An empty directory.
        work: The working directory, the only writable one.
        uid: The ID of the user and of its group.
        groups: The IDs of its other groups.
        volumes: For each, its path and the directory to mount there read-only; or its path, None
            and the options of a tmpfs to mount there.
    """
    # Not the clone itself: only root can enter the directory of `mktemp -d`.
    kept = [str(each) for each in REPOSITORY.iterdir() if each.is_dir()]
    given = {"root": str(root), "uid": uid, "groups": groups, "kept": kept}
    with subprocess.Popen(
        [sys.executable, "-c", ENTER + COMMANDS, json.dumps(given | {"volumes": volumes})],
        cwd=work,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(work)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps(account), file=process.stdin, flush=True)

        def run(variables: dict[str, str], arguments: list[str], setup: str = "") -> Result:
            print(json.dumps([variables, arguments, setup]), file=process.stdin, flush=True)
            return Result(*json.loads(process.stdout.readline()))

        yield run
        process.stdin.close()


@pytest.fixture(scope="module")
def container(
    account: dict[str, Any], work: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Result]]:
    """Return a function that runs a command in a container; see `open_container`."""
    with open_container(account, tmp_path_factory.mktemp("root"), work) as run:
        yield run
