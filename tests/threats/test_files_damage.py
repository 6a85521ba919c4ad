"""A disk store that is damaged, malicious, full or read-only: it is ignored, and a token comes."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import time
from contextlib import closing
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

import keyturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.threats.conftest import Customer


class Bomb:
    """An object that makes a directory when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def directory(customer: Customer, tmp_path: Path) -> Path:
    """Return a store that holds the token `token-1`."""
    assert customer.token(tmp_path / "store") == "token-1"
    return tmp_path / "store"


def execute(directory: Path, statement: str, *parameters: object) -> None:
    """Run SQL in the database of a store, outside keyturn."""
    with closing(sqlite3.connect(directory / "cache.db")) as database:
        database.execute("PRAGMA synchronous = OFF")  # without fsync
        with database:
            database.execute(statement, parameters)


def write_header(directory: Path, offset: int, value: bytes) -> None:
    """Change the header of a store's database (https://sqlite.org/fileformat.html)."""
    with (directory / "cache.db").open("r+b") as file:
        file.seek(offset)
        file.write(value)


def replace(directory: Path, content: bytes) -> None:
    """Replace the database by something else."""
    (directory / "cache.db").write_bytes(content)


def rebuild(directory: Path, *statements: str) -> None:
    """Replace the database by another database."""
    (directory / "cache.db").write_bytes(b"")
    for statement in statements:
        execute(directory, statement)


def alter(directory: Path, *statements: str) -> None:
    """Change the schema of a store's database, and remove its token."""
    for statement in ("DELETE FROM Cache", *statements):
        execute(directory, statement)


IGNORE = "CREATE TRIGGER {} BEFORE INSERT ON Cache BEGIN SELECT RAISE(IGNORE); END"
OLD_SETTINGS = "CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)"
DAMAGES: dict[str, Callable[[Path], object]] = {
    "text": lambda d: replace(d, b"this is no database, nor was it ever one " * 100),
    "emptied": lambda d: replace(d, b""),
    "a single byte": lambda d: replace(d, b"S"),
    "zeros": lambda d: replace(d, bytes(8192)),
    "half a header": lambda d: replace(d, b"SQLite form"),
    "torn header": lambda d: replace(d, b"SQLite format 3\0" + b"\xff" * 4096),
    "another page size": lambda d: write_header(d, 16, b"\x02\x00"),
    "a newer file format": lambda d: write_header(d, 18, b"\x07\x07"),
    "a newer schema format": lambda d: write_header(d, 47, b"\x09"),
    "another encoding": lambda d: write_header(d, 59, b"\x02"),
    "a first page of noise": lambda d: write_header(d, 100, b"\xa5" * 3000),
    "an older store, without tables": lambda d: rebuild(d, OLD_SETTINGS),
    "an older store, of fewer columns": lambda d: rebuild(
        d, OLD_SETTINGS, "CREATE TABLE Cache (key BLOB, value BLOB)"
    ),
    "a newer store, of other columns": lambda d: rebuild(
        d, OLD_SETTINGS, "CREATE TABLE Cache (key, raw, entry, until, sealed)"
    ),
    "a view for a table": lambda d: rebuild(d, "CREATE VIEW Settings AS SELECT 1 AS key"),
    "an endless view": lambda d: rebuild(
        d, OLD_SETTINGS, "CREATE VIEW Cache AS SELECT * FROM Cache"
    ),
    "a dropped table": lambda d: execute(d, "DROP TABLE Cache"),
    "a table more": lambda d: alter(d, "CREATE TABLE other (value)"),
    "a view more": lambda d: alter(d, "CREATE VIEW other AS SELECT 1"),
    "an index more": lambda d: alter(d, "CREATE UNIQUE INDEX other ON Cache (mode)"),
    "a column more": lambda d: alter(d, "ALTER TABLE Cache ADD COLUMN other"),
    "a trigger that ignores": lambda d: alter(d, IGNORE.format("other")),
    "a trigger that ignores, by a known name": lambda d: alter(
        d, "DROP TRIGGER Settings_count_insert", IGNORE.format("Settings_count_insert")
    ),
    "a trigger that fails": lambda d: [
        execute(d, "DELETE FROM Cache"),
        execute(d, "CREATE TRIGGER t BEFORE INSERT ON Cache BEGIN SELECT RAISE(ABORT, 'no'); END"),
    ],
    "a setting of bytes": lambda d: execute(d, "INSERT INTO Settings VALUES (x'00', 1)"),
    "bytes as a string": lambda d: execute(d, "UPDATE Cache SET value = CAST(x'ff' AS TEXT)"),
    "a giant": lambda d: execute(d, "UPDATE Cache SET value = zeroblob(2000000)"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_costs_one_token_request_at_most(
    customer: Customer, directory: Path, damage: str
) -> None:
    """One damaged file would disable the store forever, and be reported each time."""
    DAMAGES[damage](directory)

    found = customer.token(directory)
    assert found in {"token-1", "token-2"}
    assert customer.token(directory) == found
    assert customer.token(directory, stale=True) not in {"token-1", found}


LOGGED = [
    "text",
    "torn header",
    "a first page of noise",
    "emptied",
    "a single byte",
    "an older store, without tables",
    "a dropped table",
    "a table more",
    "a view more",
    "an index more",
    "a column more",
    "a trigger that ignores",
    "a trigger that ignores, by a known name",
]


@pytest.mark.parametrize("damage", LOGGED)
def test_damaged_database_is_logged_once_and_moved_aside(
    customer: Customer, directory: Path, damage: str
) -> None:
    """No user could find the cause of the damage, or why each process requests a token."""
    DAMAGES[damage](directory)
    damaged = (directory / "cache.db").read_bytes()
    for _ in range(2):
        assert customer.token(directory) == "token-2"

    assert len(customer.warnings) == 1
    assert "was unusable" in customer.warnings[0]
    assert (directory / "cache.db.corrupt").read_bytes() == damaged


def test_database_truncated_anywhere_costs_one_token_request(
    customer: Customer, directory: Path
) -> None:
    """A host that crashed would leave a store that fails forever."""
    whole = (directory / "cache.db").read_bytes()
    for length in [0, 1, 15, 16, 99, 100, 101, *range(512, len(whole), 1024), len(whole) - 1]:
        (directory / "cache.db").write_bytes(whole[:length])
        found = customer.token(directory)
        assert customer.token(directory) == found, length


@pytest.mark.parametrize("companion", ["cache.db-journal", "cache.db-wal", "cache.db-shm"])
@pytest.mark.parametrize("content", ["noise", "a link", "a directory", "a torn journal"])
def test_file_left_by_a_torn_write_costs_one_token_request(
    customer: Customer, directory: Path, tmp_path: Path, companion: str, content: str
) -> None:
    """SQLite restores what a journal names; a malicious one could reach files outside."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    magic = bytes.fromhex("d9d505f920a163d7")  # as in a rollback journal
    if content == "a link":
        (directory / companion).symlink_to(victim)
    elif content == "a directory":
        (directory / companion).mkdir()
    else:
        (directory / companion).write_bytes(
            b"\xa5" * 5000 if content == "noise" else magic + b"\xff" * 600
        )

    found = customer.token(directory)
    assert found in {"token-1", "token-2"}
    assert customer.token(directory, stale=True) not in {"token-1", found}
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("raw", [0, 1])
@pytest.mark.parametrize("mode", [0, 1, 2, 3, 4, 5, "4"])
def test_malicious_row_runs_reads_and_deletes_nothing(
    customer: Customer, directory: Path, tmp_path: Path, mode: object, raw: int
) -> None:
    """A malicious database could run code (CVE-2025-69872), or show or delete a file."""
    bomb = pickle.dumps(Bomb(tmp_path / "marker"))
    outside = tmp_path / "outside"
    outside.write_bytes(bomb)
    entry = entry_of(directory, customer.fingerprint)
    names = (None, "../outside", str(outside), "cache.db")
    insert = "INSERT INTO Cache (key, raw, mode, value, filename, tag) VALUES (?, ?, ?, ?, ?, 1e12)"
    for value, filename in product((entry, bomb, None), names):
        if (raw, mode, value, filename) == (1, 1, entry, None):
            continue  # the entry, unchanged
        execute(directory, "DELETE FROM Cache")
        execute(directory, insert, customer.fingerprint, raw, mode, value, filename)
        found = customer.token(directory)
        assert found != "token-1", (value, filename)
        assert customer.token(directory) == found

    assert outside.read_bytes() == bomb
    assert not (tmp_path / "marker").exists()


def test_malicious_row_in_an_open_store_deletes_nothing(directory: Path, tmp_path: Path) -> None:
    """The next write would delete the file that the row names."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    store = keyturn.stores.from_url(f"disk://{directory}")
    store.write("a", "entry", 9e12)
    execute(directory, "UPDATE Cache SET filename = ? WHERE key = 'a'", str(victim))
    store.write("a", "another entry", 9e12)

    assert victim.read_bytes() == b"precious"
    assert store.read("a") == "another entry"


@pytest.mark.parametrize(
    "change", ["raw = 0", "raw = NULL", "expire_time = -9e999", "tag = -9e999", "tag = 'x'"]
)
def test_invalid_row_is_logged(customer: Customer, directory: Path, change: str) -> None:
    """No user could find out why a token was requested again."""
    statement = f"UPDATE Cache SET {change} WHERE key = ?"  # noqa: S608 - our own
    execute(directory, statement, customer.fingerprint)

    assert customer.token(directory) == "token-2"
    logged = customer.warnings
    assert {"a row of the token store is not keyturn's: ignoring it"} == set(logged)
    assert customer.token(directory) == "token-2"
    assert customer.warnings == logged


def entry_of(directory: Path, key: str) -> str:
    """Return the entry of a store for a key."""
    with closing(sqlite3.connect(directory / "cache.db")) as database:
        statement = "SELECT value FROM Cache WHERE key = ?"
        return str(database.execute(statement, (key,)).fetchone()[0])


def test_key_of_a_malicious_row_is_not_unpickled(
    customer: Customer, directory: Path, tmp_path: Path
) -> None:
    """A row whose key is a pickle would run code when the keys are read."""
    bomb = pickle.dumps(Bomb(tmp_path / "marker"))
    insert = "INSERT INTO Cache (key, raw, mode, value, filename) VALUES (?, 0, 4, ?, ?)"
    execute(directory, insert, bomb, bomb, "../outside")
    (tmp_path / "outside").write_bytes(bomb)

    assert customer.token(directory) == "token-1"
    assert customer.token(directory, stale=True) == "token-2"
    assert not (tmp_path / "marker").exists()
    assert (tmp_path / "outside").exists()


def test_malicious_settings_of_the_database_have_no_effect(
    customer: Customer, directory: Path, tmp_path: Path
) -> None:
    """A malicious database could choose where tokens are stored, and delete them."""
    (tmp_path / "elsewhere").mkdir()
    settings: dict[str, object] = {
        "eviction_policy": "least-recently-stored",
        "cull_limit": 10,
        "size_limit": 0,
        "statistics": 1,
        "disk_pickle_protocol": 99,
        "disk_min_file_size": 0,
        "_directory": str(tmp_path / "elsewhere"),
        "_path": str(tmp_path / "elsewhere" / "cache.db"),
        "get": "not a method",
    }
    for name, value in settings.items():
        execute(directory, "INSERT OR REPLACE INTO Settings VALUES (?, ?)", name, value)

    assert customer.token(directory) == "token-1"
    assert customer.token(directory, stale=True) == "token-2"
    assert customer.token(directory) == "token-2"
    assert list((tmp_path / "elsewhere").iterdir()) == []


ENTRIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another key's": lambda e: e | {"fingerprint": "0" * 64},
    "no key's": lambda e: {name: value for name, value in e.items() if name != "fingerprint"},
    "over": lambda e: e | {"expires_at": time.time() - 1},
    "endless": lambda e: e | {"expires_at": 1e400},
    "a time that is a string": lambda e: e | {"expires_at": "2099-01-01"},
    "a token with a newline": lambda e: e | {"access_token": "theirs\r\nX-Evil: 1"},
    "a token that is a list": lambda e: e | {"access_token": ["theirs"]},
    "no token": lambda e: {name: value for name, value in e.items() if name != "access_token"},
    "one field more": lambda e: e | {"__class__": "theirs"},
    "a list": lambda e: [e],
    "a number": lambda _: 7,
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_malicious_entry_is_a_miss(customer: Customer, directory: Path, entry: str) -> None:
    """A malicious entry could put its own header into every API request."""
    key = customer.fingerprint
    malicious = ENTRIES[entry](json.loads(entry_of(directory, key)))
    execute(directory, "UPDATE Cache SET value = ? WHERE key = ?", json.dumps(malicious), key)

    assert customer.token(directory) == "token-2"
    assert customer.token(directory) == "token-2"


@pytest.mark.parametrize("text", ["", "{", "null", "[" * 100_000, '{"a": 1, "a": 2}', "\0"])
def test_invalid_string_is_a_miss(customer: Customer, directory: Path, text: str) -> None:
    """A string that is no entry would end the application that reads it."""
    execute(directory, "UPDATE Cache SET value = ?", text)

    assert customer.token(directory) == "token-2"
