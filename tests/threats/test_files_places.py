"""A disk store at an unsafe place: a warning, no change outside the store, and a token."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.threats.conftest import Customer

    Plant = Callable[[Path, str], None]

OTHER_UID = 65_534


@pytest.fixture(params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set a umask that removes no permission, then one that removes many."""
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_are_private_under_any_umask(customer: Customer, tmp_path: Path) -> None:
    """Other users of the host could read the tokens."""
    directory = tmp_path / "a" / "b"
    assert customer.token(directory) == "token-1"
    assert customer.token(directory) == "token-1"
    kinds = {
        (stat.S_IFMT(path.lstat().st_mode), stat.S_IMODE(path.lstat().st_mode))
        for path in tmp_path.rglob("*")
    }

    assert kinds == {(stat.S_IFDIR, 0o700), (stat.S_IFREG, 0o600)}
    assert customer.warnings == []


def link_directory(directory: Path, _: str) -> None:
    """Make the directory a symbolic link."""
    (directory.parent / "elsewhere").mkdir(0o700)
    directory.symlink_to("elsewhere")


def dangling_directory(directory: Path, _: str) -> None:
    """Make the directory a symbolic link to a path that does not exist."""
    directory.symlink_to("elsewhere")


def file_for_directory(directory: Path, _: str) -> None:
    """Create a file at the path of the directory."""
    directory.touch(0o600)


def open_directory(directory: Path, _: str) -> None:
    """Create a directory that others may list."""
    directory.mkdir()
    directory.chmod(0o750)


def link_database(directory: Path, _: str) -> None:
    """Make the database a symbolic link."""
    directory.mkdir(0o700)
    (directory.parent / "elsewhere").touch(0o600)
    (directory / "cache.db").symlink_to("../elsewhere")


def dangling_database(directory: Path, _: str) -> None:
    """Make the database a symbolic link to a path that does not exist."""
    directory.mkdir(0o700)
    (directory / "cache.db").symlink_to("../elsewhere")


def open_database(directory: Path, _: str) -> None:
    """Create a database that others may read."""
    directory.mkdir(0o700)
    (directory / "cache.db").touch()
    (directory / "cache.db").chmod(0o644)


def directory_for_database(directory: Path, _: str) -> None:
    """Create a directory at the path of the database."""
    (directory / "cache.db").mkdir(0o700, parents=True)
    directory.chmod(0o700)


def pipe_for_database(directory: Path, _: str) -> None:
    """Create a pipe at the path of the database; opening it blocks."""
    directory.mkdir(0o700)
    os.mkfifo(directory / "cache.db", 0o600)


def link_locks(directory: Path, _: str) -> None:
    """Make the directory of the locks a symbolic link."""
    directory.mkdir(0o700)
    (directory.parent / "elsewhere").mkdir(0o700)
    (directory / "locks").symlink_to("../elsewhere")


def link_lock(directory: Path, fingerprint: str) -> None:
    """Make the token's lock file a symbolic link."""
    (directory / "locks").mkdir(0o700, parents=True)
    directory.chmod(0o700)
    (directory / "locks" / f"{fingerprint}.lock").symlink_to("../../elsewhere")


def directory_for_lock(directory: Path, fingerprint: str) -> None:
    """Create a directory at the path of the token's lock file."""
    (directory / "locks" / f"{fingerprint}.lock").mkdir(0o700, parents=True)
    (directory / "locks").chmod(0o700)
    directory.chmod(0o700)


UNSAFE = [
    link_directory,
    dangling_directory,
    file_for_directory,
    open_directory,
    link_database,
    dangling_database,
    open_database,
    directory_for_database,
    pipe_for_database,
    link_locks,
    link_lock,
    directory_for_lock,
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("plant", UNSAFE)
def test_unsafe_place_costs_a_warning_and_no_token(
    plant: Plant, customer: Customer, tmp_path: Path
) -> None:
    """Tokens would be written to a place that others can read, or over another file."""
    plant(tmp_path / "store", customer.fingerprint)
    elsewhere = tmp_path / "elsewhere"
    before = elsewhere.is_dir(), elsewhere.exists()

    assert customer.token(tmp_path / "store") == "token-1"
    assert customer.warnings != []
    assert (elsewhere.is_dir(), elsewhere.exists()) == before
    if elsewhere.is_dir():
        assert list(elsewhere.iterdir()) == []
    elif elsewhere.exists():
        assert elsewhere.read_bytes() == b""


def test_warning_names_the_path_and_its_problem(customer: Customer, tmp_path: Path) -> None:
    """No user could fix it, and every process would make its own token requests."""
    open_directory(tmp_path / "store", "")
    customer.token(tmp_path / "store")

    assert any(f"refuses {tmp_path / 'store'}" in warning for warning in customer.warnings)
    assert any("open to other users (mode 0750)" in warning for warning in customer.warnings)


@pytest.mark.parametrize("name", ["", "cache.db", "locks"])
def test_file_of_another_user_is_not_used(
    customer: Customer, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner could read every token written there, and return their own tokens."""
    directory = tmp_path / "store"
    assert customer.token(directory) == "token-1"
    give_away(directory / name, monkeypatch)
    before = {path: path.lstat() for path in directory.rglob("*") if path.is_file()}

    assert customer.token(directory) == ("token-1" if name == "locks" else "token-2")
    assert customer.token(directory, stale=True) != "token-1"
    assert any("another user" in warning for warning in customer.warnings)
    changed = {p for p, status in before.items() if p.lstat().st_mtime_ns != status.st_mtime_ns}
    assert changed <= {directory / "cache.db"}
    assert name == "locks" or changed == set()


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change the owner of a path; without root, let the system report another one."""
    if os.geteuid() == 0:
        os.chown(path, OTHER_UID, OTHER_UID)
        return
    given = path.stat()

    def owned(status: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def changed(*arguments: Any, **options: Any) -> os.stat_result:
            found = status(*arguments, **options)
            if not os.path.samestat(found, given):
                return found
            names = [name for name in dir(found) if name.startswith("st_")]
            extra = {name: getattr(found, name) for name in names}
            return os.stat_result((*found[:4], OTHER_UID, *found[5:]), extra)

        return changed

    for name in ("stat", "lstat", "fstat"):
        monkeypatch.setattr(os, name, owned(getattr(os, name)))


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_parent_directory_writable_by_all_is_reported_unless_it_is_sticky(
    customer: Customer, tmp_path: Path, mode: int
) -> None:
    """Other users could replace the store by their own."""
    parent = tmp_path / "parent"
    (parent / "between").mkdir(parents=True)
    parent.chmod(mode)
    assert customer.token(parent / "store") == "token-1"
    assert customer.token(parent / "store") == "token-1"
    advice = [f"{parent} is writable by all: run `chmod o-w` or `chmod +t` on that directory"]
    check_warnings(customer, advice * (mode == 0o777))
    assert customer.token(parent / "between" / "store") == "token-2"
    check_warnings(customer, advice * 2 * (mode == 0o777))
    before_the_attack = len(customer.warnings)
    assert stat.S_IMODE((parent / "store").stat().st_mode) == 0o700
    # Unless the parent is sticky, any user can replace the directory.
    (parent / "store").rename(parent / "moved")
    (parent / "theirs").mkdir(0o700)
    shutil.copy(parent / "moved" / "cache.db", parent / "theirs" / "cache.db")
    (parent / "store").symlink_to("theirs")
    before = (parent / "theirs" / "cache.db").read_bytes()

    assert customer.token(parent / "store") == "token-3"
    assert (parent / "theirs" / "cache.db").read_bytes() == before
    assert len(customer.warnings) > before_the_attack


def check_warnings(customer: Customer, expected: list[str]) -> None:
    """Check that the warnings are the expected ones, in that order."""
    assert len(customer.warnings) == len(expected)
    assert all(each in warning for each, warning in zip(expected, customer.warnings, strict=True))


def test_database_with_a_hard_link_is_not_written(customer: Customer, tmp_path: Path) -> None:
    """A hard link could make keyturn write to another database, or keep tokens for another user."""
    directory, victim = tmp_path / "store", tmp_path / "victim.db"
    directory.mkdir(0o700)
    with closing(sqlite3.connect(victim)) as database, database:
        database.execute("CREATE TABLE precious (value)")
    victim.chmod(0o600)
    before = victim.read_bytes()
    os.link(victim, directory / "cache.db")

    assert customer.token(directory) == "token-1"
    assert victim.read_bytes() == before
    assert customer.warnings != []


def test_lock_file_with_a_hard_link_is_not_written(customer: Customer, tmp_path: Path) -> None:
    """Taking the lock would empty a file that another user chooses."""
    victim = tmp_path / "victim"
    victim.touch(0o600)
    victim.write_text("precious", encoding="utf-8")
    (tmp_path / "store" / "locks").mkdir(0o700, parents=True)
    (tmp_path / "store").chmod(0o700)
    os.link(victim, tmp_path / "store" / "locks" / f"{customer.fingerprint}.lock")

    assert customer.token(tmp_path / "store") == "token-1"
    assert victim.read_text(encoding="utf-8") == "precious"


def test_directory_deleted_while_a_connection_is_open_is_created_again(
    customer: Customer, tmp_path: Path
) -> None:
    """Cleaning a cache would end an application, or leave a file that no other process sees."""
    directory = tmp_path / "store"
    with customer.connect(directory) as live:
        first = live.token()
        shutil.rmtree(directory)
        assert live.token() == first  # from memory, still valid
        second = live.token(stale=first)
        assert customer.token(directory) == second.access_token
        shutil.rmtree(directory)
        live.invalidate(second)
        shutil.rmtree(directory, ignore_errors=True)
        third = live.token()
        live.forget()
        shutil.rmtree(directory, ignore_errors=True)
        live.revoke()

    assert [first.access_token, second.access_token, third.access_token] == [
        f"token-{number}" for number in (1, 2, 3)
    ]


def test_warnings_come_from_the_logger_of_the_store(customer: Customer, tmp_path: Path) -> None:
    """Users filter by logger: a warning outside keyturn's loggers could not be filtered."""
    file_for_directory(tmp_path / "store", "")
    customer.token(tmp_path / "store")

    assert {record.name for record in customer.records} == {"keyturn"}
    assert {record.levelno for record in customer.records} == {logging.WARNING}
