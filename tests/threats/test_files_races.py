"""A disk store whose directory is replaced during use, or can be replaced by other users."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from keyturn.stores import _private_files
from keyturn.stores._disk import DiskStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.threats.conftest import Customer

OTHER_ID = 65_534

# At each audit event (PEP 578), the directory is replaced once: by a link to another one, by one
# that all may read, or by nothing. The content of the other one is what others can read.
RACES = """
import os, pathlib, shutil, sys
from keyturn.stores._disk import DiskStore

base, entry = pathlib.Path(sys.argv[1]), "t0ken" * 1000
place, theirs, moved = base / "store", base / "theirs", base / "moved"
countdown = [0]

def replace(kind):
    place.rename(moved)
    if kind == "link":
        place.symlink_to(theirs)
    elif kind == "directory":
        theirs.rename(place)

def watch(event, arguments):
    if countdown[0] and event in {"open", "sqlite3.connect", "os.mkdir", "os.listdir", "os.rename"}:
        countdown[0] -= 1
        if not countdown[0]:
            replace(kind)

sys.addaudithook(watch)
for kind in ("link", "directory", "nothing"):
    for opened in (False, True):
        reached = number = 0
        while not reached:
            number += 1
            for each in (place, theirs, moved):
                each.unlink() if each.is_symlink() else shutil.rmtree(each, ignore_errors=True)
            theirs.mkdir(0o777)
            theirs.chmod(0o777)
            (theirs / "cache.db-journal").touch(0o666)
            store = DiskStore(place)
            if opened:
                store.write("a", entry, float("inf"))
            else:
                place.mkdir(0o700)
            countdown[0] = number
            try:
                store.write("a", entry, float("inf"))
                store.read("a")
                with store.lock("a", 0.1):
                    store.delete("a")
            except OSError:
                pass
            reached, countdown[0] = countdown[0], 0
            store.close()
            other = place if kind == "directory" and not theirs.exists() else theirs
            for file in other.iterdir():
                assert b"t0ken" not in file.read_bytes(), (kind, opened, number, file.name)
        print(kind, opened, number > 3)
"""


@pytest.mark.timeout(60)
def test_directory_replaced_during_an_operation_gets_no_token(
    run_python: Callable[..., str], tmp_path: Path
) -> None:
    """Another user who wins the race could read every token."""
    tmp_path.chmod(0o777)
    shown = run_python(RACES, tmp_path).splitlines()

    assert shown == [
        f"{kind} {opened} True"
        for kind in ("link", "directory", "nothing")
        for opened in (False, True)
    ]


def test_database_replaced_while_it_is_opened_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite takes a path: another file could be at that path after the check."""
    store, directory = DiskStore(tmp_path / "store"), tmp_path / "store"
    theirs = DiskStore(tmp_path / "theirs")
    theirs.write("a", "theirs", float("inf"))
    theirs.close()
    usual = _private_files.PrivateDirectory.check

    def swapped(self: Any, name: str, descriptor: int | None = None) -> object:
        found = usual(self, name, descriptor)
        if found and name == "cache.db" and directory.is_dir() and not (tmp_path / "old").exists():
            directory.rename(tmp_path / "old")
            (tmp_path / "theirs").rename(directory)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(_private_files.PrivateDirectory, "check", swapped)
        with pytest.raises(PermissionError, match="was replaced while it was opened"):
            store.read("a")
        shutil.rmtree(tmp_path / "old")
        shutil.move(directory, tmp_path / "theirs")
        patched.setattr(_private_files, "_OPEN_FILES", tmp_path / "not Linux")
        with pytest.raises(PermissionError, match="was replaced while it was opened"):
            store.read("a")
    store.close()


def test_open_files_are_found_by_path_without_a_list_of_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store could not be used on macOS."""
    monkeypatch.setattr(_private_files, "_OPEN_FILES", tmp_path / "not Linux")
    store = DiskStore(tmp_path / "store")
    store.write("a", "entry", float("inf"))

    assert store.read("a") == "entry"
    store.close()


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Set a umask that removes no permission."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_parent_directories_are_created_for_the_user_alone(tmp_path: Path) -> None:
    """Other users could replace the store by their own directory."""
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to("real")
    store = DiskStore(tmp_path / "link" / "a" / "b" / "store")
    store.write("a", "entry", float("inf"))
    with store.lock("a", 1):
        assert store.read("a") == "entry"
    store.close()

    found = [*(tmp_path / "real").rglob("*")]
    assert {stat.S_IMODE(each.lstat().st_mode) & 0o077 for each in found} == {0}
    assert len(found) == 7


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """Return a directory to which no other user has access yet."""
    (tmp_path / "parent").mkdir(0o755)
    return tmp_path / "parent"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a directory away")
@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_parent_directory_of_another_user_is_reported(
    customer: Customer, parent: Path, mode: int
) -> None:
    """Another user could replace the store's directory, and the operator would not be warned."""
    parent.chmod(mode)
    os.chown(parent, OTHER_ID, OTHER_ID)

    assert customer.token(parent / "store") == "token-1"
    assert customer.token(parent / "store") == "token-1"
    (warning,) = customer.warnings
    assert f"{parent} belongs to another user ({OTHER_ID}): run `chown`" in warning


@pytest.mark.parametrize(("mode", "warned"), [(0o775, True), (0o1775, False), (0o2770, True)])
def test_parent_directory_writable_by_a_group_is_reported(
    customer: Customer, parent: Path, mode: int, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members of the group could replace the store's directory, and no warning would say so."""
    group = foreign_group(parent, monkeypatch)
    parent.chmod(mode)

    assert customer.token(parent / "a" / "store") == "token-1"
    expected = f"{parent} is writable by its group ({group}): run `chmod g-w`"
    assert [expected in each for each in customer.warnings] == [True] * warned


def test_link_to_an_unsafe_parent_directory_is_reported(
    customer: Customer, tmp_path: Path, parent: Path
) -> None:
    """A link above the store would hide who may write to the real directory."""
    (parent / "real").mkdir(0o700)
    parent.chmod(0o777)
    (tmp_path / "link").symlink_to(parent / "real")

    assert customer.token(tmp_path / "link" / "store") == "token-1"
    (warning,) = customer.warnings
    assert f"{parent} is writable by all" in warning


@pytest.mark.parametrize("members", [[], ["alice"], ["alice", "bob"]])
def test_private_group_of_the_user_is_not_reported(
    customer: Customer, parent: Path, members: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user of a system with private groups would get a warning."""
    group = foreign_group(parent, monkeypatch)
    parent.chmod(0o775)
    user = SimpleNamespace(pw_name="alice", pw_gid=group)
    named = SimpleNamespace(gr_name="alice", gr_mem=members)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: user)
    monkeypatch.setattr(grp, "getgrgid", lambda _: named)

    assert customer.token(parent / "store") == "token-1"
    assert len(customer.warnings) == ("bob" in members)


def foreign_group(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Change a directory's group to one that is not known to be private."""
    if os.geteuid() == 0:
        os.chown(path, 0, OTHER_ID)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: {}["no such user"])
    return path.stat().st_gid
