"""The disk store in one process: its permissions, the entries it accepts, and damage."""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import pickle
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyturn.stores import _disk, _string_cache
from keyturn.stores._disk import LONGEST_ENTRY, DiskStore
from keyturn.stores._string_cache import StringCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


FILES = ["cache.db", "opening.lock"]


@pytest.fixture(params=[0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set a umask that removes no permission, then one that removes many."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def names(directory: Path | str) -> list[str]:
    """Return the names in a directory."""
    return sorted(path.name for path in Path(directory).iterdir())


def execute(directory: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    """Run SQL in the database of a store, outside the store."""
    with closing(sqlite3.connect(directory / "cache.db")) as database, database:
        for statement, parameters in statements:
            database.execute(statement, parameters)


class Bomb:
    """An object that makes a directory when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_constructing_a_store_creates_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listing connections would create directories, or a relative path would move with `chdir`."""
    monkeypatch.chdir(tmp_path)
    store = DiskStore("relative/$HOME/~")
    assert names(tmp_path) == []
    monkeypatch.chdir("/")
    store.write("a", "entry", float("inf"))
    store.close()
    assert (tmp_path / "relative/$HOME/~/cache.db").is_file()


@pytest.mark.usefixtures("umask")
def test_files_are_private_from_their_creation(tmp_path: Path) -> None:
    """Other users of the host could read tokens, at least for a moment."""
    directory = tmp_path / "a" / "b"
    store = DiskStore(directory)
    store.write("a", "entry", float("inf"))
    with closing(sqlite3.connect(directory / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM Cache")
        with store.lock("a", 1):
            found = {path.name: path.lstat().st_mode for path in tmp_path.rglob("*")}
        other.execute("ROLLBACK")
    store.close()
    modes = {name: (stat.S_ISDIR(mode), stat.S_IMODE(mode)) for name, mode in found.items()}
    file, folder = (False, 0o600), (True, 0o700)
    assert modes == {
        "a": folder,
        "b": folder,
        "locks": folder,
        "cache.db": file,
        "cache.db-journal": file,
        "a.lock": file,
        "opening.lock": file,
    }


def link_directory(directory: Path) -> None:
    """Make the directory a symbolic link."""
    (directory.parent / "elsewhere").mkdir(0o700)
    directory.symlink_to("elsewhere")


def open_directory(directory: Path) -> None:
    """Create a directory that others may list."""
    directory.mkdir()
    directory.chmod(0o750)


def link_database(directory: Path) -> None:
    """Make the database a symbolic link."""
    directory.mkdir(0o700)
    (directory.parent / "elsewhere").touch(0o600)
    (directory / "cache.db").symlink_to("../elsewhere")


def open_database(directory: Path) -> None:
    """Create a database that others may read."""
    directory.mkdir(0o700)
    (directory / "cache.db").touch()
    (directory / "cache.db").chmod(0o644)


@pytest.mark.parametrize("plant", [link_directory, open_directory, link_database, open_database])
def test_unsafe_paths_are_rejected(
    plant: Callable[[Path], None], directory: Path, disk: DiskStore
) -> None:
    """Tokens would be written to a place that others can read, or over a linked file."""
    plant(directory)
    with pytest.raises(PermissionError, match="refuses"):
        disk.write("a", "entry", 2000)
    elsewhere = directory.parent / "elsewhere"
    if elsewhere.is_dir():
        assert names(elsewhere) == []
    elif elsewhere.exists():
        assert elsewhere.read_bytes() == b""


def test_file_of_another_user_is_rejected(
    directory: Path, disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user could have created the directory, and would own the files in it."""
    directory.mkdir(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: directory.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        disk.read("a")
    with pytest.raises(PermissionError, match="belongs to another user"), disk.lock("a", 1):
        pass


def test_lock_file_is_never_a_symbolic_link(
    directory: Path, tmp_path: Path, disk: DiskStore
) -> None:
    """Taking a lock would create or empty a file that another user chose."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (directory / "locks").mkdir(0o700, parents=True)
    directory.chmod(0o700)
    (directory / "locks" / "a.lock").symlink_to(victim)
    (directory / "locks" / "b.lock").symlink_to(tmp_path / "new")
    for key in "ab":
        with pytest.raises(OSError, match="symbolic"), disk.lock(key, 1):
            pass
    assert victim.read_text() == "precious"
    assert not (tmp_path / "new").exists()


def test_lock_file_must_be_a_private_file(directory: Path, disk: DiskStore) -> None:
    """Another user could hold a lock forever by opening its file."""
    locks = directory / "locks"
    with disk.lock("a", 1):
        pass
    (locks / "a.lock").chmod(0o644)
    os.mkfifo(locks / "b.lock", 0o600)
    for key in "ab":
        with pytest.raises(PermissionError, match="refuses"), disk.lock(key, 1):
            pass


@pytest.mark.parametrize("state", ["deleted", "replaced"])
def test_lock_of_a_removed_file_is_taken_again(
    state: str, directory: Path, disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A waiter would hold the lock of a file that no other process can find."""
    path = directory / "locks" / "a.lock"
    flock, seen = fcntl.flock, []

    def tampered(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        seen.append(os.fstat(descriptor).st_ino)
        if len(seen) == 1:
            path.rename(directory / "moved")
            if state == "replaced":
                path.touch(0o600)

    monkeypatch.setattr(fcntl, "flock", tampered)
    with disk.lock("a", 1):
        assert seen[-1] == path.stat().st_ino != seen[0]


@pytest.mark.parametrize("key", ["", "../a", "a/b", "A", "a\n", "a.b", "\0", "\udc80", "a" * 81])
def test_only_keys_become_file_names(key: str, disk: DiskStore, directory: Path) -> None:
    """A key could name a path outside the directory."""
    for operation in (disk.read, disk.delete, lambda key: disk.write(key, "entry", 2000)):
        with pytest.raises(ValueError, match="A key has"):
            operation(key)
    with pytest.raises(ValueError, match="A key has"), disk.lock(key, 1):
        pass
    assert not directory.exists()


def test_long_entries_are_rejected(disk: DiskStore) -> None:
    """A server's response could fill the disk."""
    disk.write("a", "é" * (LONGEST_ENTRY // 2), 2000)
    with pytest.raises(ValueError, match="262144 bytes"):
        disk.write("a", "é" * (LONGEST_ENTRY // 2) + "x", 2000)
    assert disk.read("a") == "é" * (LONGEST_ENTRY // 2)


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in product((1, 2, 3, 4), (None, "text", b"bomb"), (None, "../outside"))
        if row != (1, "text", None)  # as an ordinary entry
    ],
)
def test_malicious_rows_are_misses(
    row: tuple[int, str | bytes | None, str | None],
    directory: Path,
    tmp_path: Path,
    disk: DiskStore,
) -> None:
    """A malicious database could run code (CVE-2025-69872), or show or delete a file."""
    bomb = pickle.dumps(Bomb(tmp_path / "marker"))
    outside = tmp_path / "outside"
    outside.write_bytes(bomb)
    disk.write("a", "entry", 2000)
    disk.close()
    mode, value, filename = row
    columns = (mode, bomb if value == b"bomb" else value, filename)
    execute(directory, ("UPDATE Cache SET mode = ?, value = ?, filename = ?", columns))
    assert disk.read("a") is None
    disk.write("a", "fresh", 2000)
    assert disk.read("a") == "fresh"
    execute(directory, ("UPDATE Cache SET filename = '../outside'", ()))
    disk.delete("a")
    assert outside.read_bytes() == bomb
    assert not (tmp_path / "marker").exists()
    assert names(directory) == FILES


def test_row_of_another_process_after_a_miss_is_not_logged(
    directory: Path,
    disk: DiskStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Workers that start together would log each other's tokens as rows of another program."""
    disk.write("b", "entry", 2000)
    insert = "INSERT INTO Cache (key, raw, mode, value, tag) VALUES ('a', 1, 1, 'entry', 2000.0)"

    def overtaken(*_: object, **__: object) -> tuple[None, None]:
        execute(directory, (insert, ()))
        return None, None

    with monkeypatch.context() as patched:
        patched.setattr(StringCache, "get", overtaken)
        assert disk.read("a") is None
    assert disk.read("a") == "entry"
    assert caplog.messages == []


def test_malicious_keys_are_not_unpickled(directory: Path, tmp_path: Path, disk: DiskStore) -> None:
    """A row whose key is a pickle would run code when keys are listed."""
    disk.write("a", "entry", 2000)
    bomb = pickle.dumps(Bomb(tmp_path / "marker"))
    execute(directory, ("INSERT INTO Cache (key, raw, mode) VALUES (?, 0, 4)", (bomb,)))
    assert set(disk._run("a", list)) == {"a", bomb}  # noqa: SLF001 - no public method lists keys
    assert not (tmp_path / "marker").exists()


def test_malicious_settings_of_the_database_have_no_effect(
    directory: Path, tmp_path: Path, disk: DiskStore
) -> None:
    """A malicious database could choose where tokens are stored, and for how long."""
    (tmp_path / "elsewhere").mkdir()
    disk.write("a", "entry", 2000)
    disk.close()
    settings = {
        "eviction_policy": "least-recently-stored",
        "cull_limit": 10,
        "size_limit": 0,
        "statistics": 1,
        "tag_index": 1,
        "sqlite_mmap_size": 2**26,
        "sqlite_journal_mode": "wal",
        "sqlite_user_version": 7,
        "disk_pickle_protocol": 99,
        "disk_min_file_size": 0,
        "disk_unknown": 1,
        "_directory": str(tmp_path / "elsewhere"),
        "_path": str(tmp_path / "elsewhere" / "cache.db"),
        "get": "not a method",
        "count": "many",
    }
    insert = "INSERT OR REPLACE INTO Settings VALUES (?, ?)"
    execute(directory, *((insert, setting) for setting in settings.items()))
    assert disk.read("a") == "entry"
    disk.write("b", "x" * 50_000, 2000)
    assert disk.read("a") == "entry"
    with closing(sqlite3.connect(directory / "cache.db")) as database:
        version = database.execute("PRAGMA user_version").fetchone()
        indexes = database.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    assert version == (0,)
    assert ("Cache_tag_rowid",) not in indexes
    assert names(directory) == FILES
    assert names(tmp_path / "elsewhere") == []


UNUSABLE = {
    "no database": b"this is no database, nor was it ever one " * 100,
    "torn header": b"SQLite format 3\0" + b"\xff" * 4096,
}


@pytest.mark.parametrize("contents", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable_database_is_moved_aside(
    contents: bytes,
    directory: Path,
    tmp_path: Path,
    disk: DiskStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One damaged file would disable the store forever."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    directory.mkdir(0o700)
    (directory / "cache.db").touch(0o600)
    (directory / "cache.db").write_bytes(contents)
    (directory / "cache.db-wal").touch(0o600)
    (directory / "cache.db.corrupt").symlink_to(victim)
    disk.write("a", "entry", 2000)
    assert disk.read("a") == "entry"
    assert (directory / "cache.db.corrupt").read_bytes() == contents
    assert victim.read_text() == "precious"
    assert not (directory / "cache.db-wal").exists()
    assert [record[:2] for record in caplog.record_tuples] == [
        ("keyturn.stores", logging.WARNING),
    ]


UNEXPECTED = {
    "other columns": ["DROP TABLE Cache", "CREATE TABLE Cache (key)"],
    "a view for a table": ["DROP TABLE Cache", "CREATE VIEW Cache AS SELECT 1 AS key"],
    "a setting that is no string": ["INSERT INTO Settings VALUES (x'00', 1)"],
    "a string that is no UTF-8": ["UPDATE Cache SET value = CAST(x'ff' AS TEXT)"],
    "a giant": ["UPDATE Cache SET value = zeroblob(1024 * 1024 + 1)"],
    "a trigger": [
        "CREATE TRIGGER t AFTER UPDATE ON Cache BEGIN SELECT RAISE(ABORT, 'no'); END",
    ],
}


@pytest.mark.parametrize("statements", UNEXPECTED.values(), ids=UNEXPECTED.keys())
@pytest.mark.parametrize("state", ["closed", "open"])
def test_unexpected_database_is_moved_aside(
    statements: list[str], state: str, directory: Path, disk: DiskStore
) -> None:
    """A database that SQLite can read, but diskcache can't use, would disable the store."""
    disk.write("a", "entry", 2000)
    if state == "closed":
        disk.close()
    execute(directory, *((statement, ()) for statement in statements))
    disk.read("a")
    disk.write("a", "entry", 2000)
    assert disk.read("a") == "entry"


@pytest.mark.parametrize("length", [0, 100, 5000])
def test_truncated_database_is_created_again(length: int, directory: Path, disk: DiskStore) -> None:
    """A crash of the host would leave a store that fails forever."""
    disk.write("a", "entry", 2000)
    os.truncate(directory / "cache.db", length)
    assert disk.read("a") is None
    disk.write("a", "entry", 2000)
    assert disk.read("a") == "entry"


def test_database_that_stays_unusable_raises(directory: Path, disk: DiskStore) -> None:
    """A store that can't be repaired would retry forever, or seem to succeed."""
    directory.mkdir(0o700)
    (directory / "cache.db").touch(0o600)
    (directory / "cache.db").write_bytes(UNUSABLE["no database"])
    (directory / "cache.db.corrupt").mkdir()
    with pytest.raises(OSError, match="directory"):
        disk.read("a")


def test_deleted_directory_is_created_again(directory: Path, disk: DiskStore) -> None:
    """Entries would be written into a file that no other process can see."""
    disk.write("a", "entry", 2000)
    shutil.rmtree(directory)
    assert disk.read("a") is None
    shutil.rmtree(directory)
    disk.write("a", "entry", 2000)
    other = DiskStore(directory, now=lambda: 1000.0)
    assert other.read("a") == "entry"
    other.close()
    shutil.rmtree(directory)
    with disk.lock("a", 1):
        assert (directory / "locks" / "a.lock").exists()


@pytest.mark.timeout(20)
def test_busy_database_raises(
    directory: Path, disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operation would wait a minute for another writer, as in diskcache itself."""
    monkeypatch.setattr(_string_cache, "PATIENCE", 0.05)
    disk.write("a", "entry", 2000)
    with closing(sqlite3.connect(directory / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(2):  # through an open connection, then while opening another
            with pytest.raises(TimeoutError, match="locked"):
                disk.write("b", "entry", 2000)
            with pytest.raises(TimeoutError, match="locked"):
                disk.read("a")
        other.execute("ROLLBACK")
    assert disk.read("a") == "entry"
    assert names(directory) == FILES


@pytest.mark.timeout(20)
def test_thread_that_finds_the_store_busy_raises(
    directory: Path, disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads would queue behind one that waits for the database."""
    monkeypatch.setattr(_disk, "PATIENCE", 0.01)
    inside, done = threading.Event(), threading.Event()

    def occupy() -> None:
        DiskStore(directory)._run("a", lambda _: (inside.set(), done.wait()))  # noqa: SLF001

    thread = threading.Thread(target=occupy)
    thread.start()
    inside.wait()
    with pytest.raises(TimeoutError, match="busy"):
        disk.read("a")
    done.set()
    thread.join()
    assert disk.read("a") is None


def test_full_disk_is_reported_as_by_the_system(disk: DiskStore) -> None:
    """The operator would look for a problem in the database."""
    disk.write("a", "entry", float("inf"))
    disk._run("a", lambda cache: cache._sql("PRAGMA max_page_count = 1"))  # noqa: SLF001 - as if the disk were full

    with pytest.raises(OSError, match="No space left on device"):
        disk.write("b", "x" * 200_000, float("inf"))
    assert disk.read("a") == "entry"


def test_deleted_tokens_are_overwritten(disk: DiskStore, directory: Path) -> None:
    """A thief of the file would find tokens that were revoked or deleted."""
    disk.write("a", "t0ken" * 100, float("inf"))
    disk.write("b", "another", float("inf"))
    disk.delete("a")
    disk.close()

    assert b"t0ken" not in (directory / "cache.db").read_bytes()


def test_large_row_is_not_loaded(disk: DiskStore, directory: Path) -> None:
    """A malicious row would fill the memory of every process that reads it."""
    disk.write("a", "entry", float("inf"))
    disk.close()
    execute(directory, ("UPDATE Cache SET value = ?", ("x" * 2_000_000,)))

    assert disk.read("a") is None


def test_expired_rows_are_deleted(directory: Path) -> None:
    """The file would grow forever, and keep tokens for longer than they are valid."""
    now = 1000.0
    store = DiskStore(directory, now=lambda: now)
    for number in range(100):
        store.write(f"old-{number:x}", "a made-up token", now + 10)
    now += 10
    for number in range(64):
        store.write("new", str(number), now + 10)
    assert store.read("new") == "63"
    store.close()
    with closing(sqlite3.connect(directory / "cache.db")) as database:
        assert database.execute("SELECT key FROM Cache").fetchall() == [("new",)]
    assert b"made-up" not in (directory / "cache.db").read_bytes()


@pytest.mark.parametrize(
    ("column", "value"), [("raw", 0), ("mode", 4), ("expire_time", 1e12), ("tag", "text")]
)
def test_invalid_rows_are_deleted(
    column: str, value: object, directory: Path, disk: DiskStore
) -> None:
    """A row that no store writes would cause warnings, and use disk space, forever."""
    disk.write("a", "entry", float("inf"))
    disk.close()
    execute(directory, (f"UPDATE Cache SET {column} = ?", (value,)))  # noqa: S608 - the test's own statement
    disk.write("b", "entry", float("inf"))
    disk = DiskStore(directory)  # a store deletes them at its first write, too
    disk.write("c", "entry", float("inf"))
    disk.close()

    with closing(sqlite3.connect(directory / "cache.db")) as database:
        assert database.execute("SELECT key FROM Cache").fetchall() == [("b",), ("c",)]


def test_threads_leave_no_open_descriptors(disk: DiskStore) -> None:
    """Each request runs on its own thread: a process would use up its descriptors."""

    def work() -> None:
        disk.write("a", "entry", 2000)
        with disk.lock("a", 5):
            assert disk.read("a") == "entry"

    def count_after_threads(number: int) -> int:
        for _ in range(number):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        links = (os.path.realpath(f"/proc/self/fd/{name}") for name in names("/proc/self/fd"))
        return sum(link.startswith(str(disk.directory)) for link in links)

    assert count_after_threads(1) == count_after_threads(30)


def test_failed_opening_leaves_no_open_descriptors(disk: DiskStore, directory: Path) -> None:
    """A store that can't be opened would use one more descriptor with every attempt."""
    disk.write("a", "entry", 2000)
    disk.close()
    execute(directory, ("DROP TABLE Cache", ()), ("CREATE VIEW Cache AS SELECT 1 AS key", ()))
    (directory / "cache.db.corrupt").mkdir()
    counts = set()
    for _ in range(5):
        with pytest.raises(IsADirectoryError):
            disk.read("a")
        counts.add(len(names("/proc/self/fd")))
    assert len(counts) == 1


def test_directory_deleted_during_opening_raises_once(tmp_path: Path) -> None:
    """A connection that was never opened would raise again when it is garbage-collected."""
    with pytest.raises(sqlite3.OperationalError):
        StringCache(str(tmp_path / "gone" / "cache.db"))
    gc.collect()
