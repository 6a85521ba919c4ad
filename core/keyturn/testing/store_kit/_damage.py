"""How a store reads damaged files, and what remains in files after a deletion."""

from __future__ import annotations

import contextlib
import pickle
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from keyturn._common.redaction import Redaction
from keyturn._secret import Secret
from keyturn.testing.store_kit._files import Watch
from keyturn.testing.store_kit._helpers import LONG, Shown, in_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn.testing.store_kit._bounded import WatchedStore

# In bytes; a larger file belongs to a database with its own format.
_LARGEST = 2048
_SQLITE = b"SQLite format 3\0"
_loaded: list[str] = []


class _Payload:
    """An object that runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _run, ("code",)


def _run(what: str) -> None:
    _loaded.append(what)


def damage(open_store: Callable[[], WatchedStore], key: str, entry: str) -> list[str]:
    """Damage the files with an entry in several ways; return the first failure."""
    store, watch = _watched(open_store, entry)
    findings: list[str] = []
    for content in (pickle.dumps(_Payload()), None, b"", b"\xff\0\xfe{"):
        store.write(key, entry, in_seconds(LONG))
        for path in watch.files():
            raw = _raw(path)
            if len(raw) > _LARGEST or entry.encode() not in raw:
                continue
            damaged = raw[: len(raw) // 2] if content is None else content
            Path(path).write_bytes(damaged)
            findings += _after_damage(store, key, entry)
            if _raw(path) == damaged:
                Path(path).write_bytes(raw)
    store.delete(key)
    return findings[:1]


def remains(open_store: Callable[[], WatchedStore], key: str, entry: str) -> list[str]:
    """Write an entry, replace and delete it; return the files that still contain it."""
    store, watch = _watched(open_store, entry)
    store.write(key, entry, in_seconds(LONG))
    store.write(key, f"{entry} {entry}", in_seconds(LONG))
    store.delete(key)
    redaction = Redaction([Secret(entry)])
    contents = {path: _content(path) for path in sorted(watch.files())}
    return [path for path, each in contents.items() if redaction.text(each) != each]


def _watched(open_store: Callable[[], WatchedStore], entry: str) -> tuple[WatchedStore, Watch]:
    watch = Watch(entry)
    sys.addaudithook(watch.hook)
    return open_store(), watch


def _after_damage(store: WatchedStore, key: str, entry: str) -> list[str]:
    """Read a damaged entry, and write it again; return what is wrong."""
    _loaded.clear()
    findings: list[str] = []
    shown = Shown()
    try:
        with shown.gathered():
            store.read(key)
    except AssertionError as error:
        shown.add("an error", "".join(traceback.format_exception(error)))
        if not isinstance(error.__cause__, ValueError):
            findings.append(
                f"for a damaged file, `read` raised {type(error.__cause__).__name__}, which "
                "keyturn treats as an outage: return None, or raise a ValueError"
            )
    if places := shown.places(entry):
        findings.append(
            f"of a damaged file, an entry is shown in {' and '.join(places)}: show its key"
        )
    if _loaded:
        findings.append(
            "`read` runs code that is in a file, as `pickle` does: read entries with `json`"
        )
    try:
        store.write(key, entry, in_seconds(LONG))
        is_whole = store.read(key) == entry
    except AssertionError:
        is_whole = False
    return (
        findings
        if is_whole
        else ["after a file was damaged, `write` has no effect: replace the file"]
    )


def _content(path: str) -> str:
    """Return the content of a file; of a database the rows, without internal data."""
    raw = _raw(path)
    if raw.startswith(_SQLITE):
        return _rows(path)
    return "" if b"\0" in raw else raw.decode("utf-8", "replace")


def _rows(path: str) -> str:
    import sqlite3  # not every Python has it

    statements: list[str] = []
    with contextlib.suppress(sqlite3.Error):  # it may be locked
        database = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)
        with contextlib.closing(database):
            statements += database.iterdump()
    return "\n".join(statements)


def _raw(path: str) -> bytes:
    """Return the content of a file; nothing where there is none."""
    try:
        return Path(path).read_bytes() if Path(path).is_file() else b""
    except OSError:  # pragma: no cover - another process has just deleted it
        return b""
