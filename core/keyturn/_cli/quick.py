"""The quick way of `keyturn token NAME`: a token from the disk store, with hardly an import.

The ordinary way imports plugins, settings and stores to find out which of the store's entries is
the response. Once it has found out, it leaves a note (`keyturn._cli.note`), which the next process
looks at first. The note says which entry that was and until when its token is fresh, and has three
hashes: of the note itself, of all that the response came from (`inputs`), and of the entry. While all
of them fit, the ordinary way would give the same response. Whenever one does not, or anything fails,
the ordinary way is asked.

A note holds no secret. Its hashes are keyed with the key of the fingerprints, so that nobody can
test guessed secrets against them, or write a note.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
import sys
import time

from keyturn._tokens.keyreading import FILE, given_key, read_key

# `typing` and `pathlib`, for two, take too long to import.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    Question = tuple[str, str, str | None]

JSON_FIELDS = ("access_token", "token_type", "expires_at", "scope")
FORMATS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "token": lambda fields: f"{fields['access_token']}",
    "header": lambda fields: f"Authorization: Bearer {fields['access_token']}",
    "json": lambda fields: json.dumps({name: fields[name] for name in JSON_FIELDS}),
}
"""What is printed of an entry's fields, by the formats that have a quick way."""
_OPTIONS = ("--config", "--format")
_DEFAULTS = {"XDG_CACHE_HOME": ".cache", "XDG_DATA_HOME": ".local/share"}
_LONGEST = 1024 * 1024
# In seconds. To wait any longer would be slower than the ordinary way.
_PATIENCE = 0.1
# The columns are diskcache's. A row in which one of them is not as expected is a stranger's.
_SELECT = """
SELECT value FROM Cache WHERE key = ? AND raw = 1 AND mode = 1 AND filename IS NULL
AND expire_time IS NULL AND typeof(tag) = 'real' AND tag > ?
"""


class Doubt(Exception):
    """It takes the ordinary way to response."""


def response(arguments: Sequence[str]) -> str | None:
    """Return what a command prints, or None when that is for the ordinary way to say.

    Args:
        arguments: The command's arguments, without the program's name.
    """
    question = as_question(arguments)
    try:
        return None if question is None else _response(question)
    except Exception:  # noqa: BLE001 - the ordinary way will tell what is wrong, if anything is
        return None


def as_question(arguments: Sequence[str]) -> Question | None:
    """Return NAME, FORMAT and FILE of `token NAME [--format FORMAT] [--config FILE]`, or None."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(arguments)
    for word in rest:
        option, equals, value = word.partition("=")
        # The option --format is the command's own, so it stands after it.
        if option in _OPTIONS and option not in options and (words or option == "--config"):
            options[option] = value if equals else next(rest, "")
        else:
            words.append(word)
    form = options.get("--format", "token")
    plain = all(each and not each.startswith("-") for each in (*words, *options.values()))
    if not plain or len(words) != 2 or words[0] != "token" or form not in FORMATS:
        return None
    return words[1], form, options.get("--config")


def _response(question: Question) -> str:
    key = known_key()
    note = _read_note(question, key)
    seen = inputs(question, note["variables"], note["files"], note["modules"])
    _require_same(note["inputs"], digest(key, "inputs", seen))
    entry = _read_entry(note["database"], note["uri"], note["fingerprint"])
    _require_same(note["entry"], digest(key, "entry", entry))
    line = FORMATS[question[1]](json.loads(entry))
    require(note["fresh_from"] <= time.time() < note["fresh_until"])
    return line


def known_key() -> bytes:
    """Return the key of the fingerprints, if it is set, or where Linux has it.

    Raises:
        Doubt: It is not.
        OSError: It can't be read.
    """
    key = given_key() or read_key(f"{_user_directory('XDG_DATA_HOME')}/{FILE}")
    if key is None:
        raise Doubt
    return key


def note_path(question: Question, key: bytes) -> str:
    """Return where the note about a question is: in the user's cache directory.

    Raises:
        Doubt: The user has no home.
    """
    return f"{_user_directory('XDG_CACHE_HOME')}/notes/{digest(key, 'name', question)}"


def sealed(note: Mapping[str, Any], key: bytes) -> str:
    """Return a note as it is kept: a line of JSON, and the hash of that line."""
    line = json.dumps(note)
    return f"{line}\n{digest(key, 'note', line)}"


def digest(key: bytes, purpose: str, value: object) -> str:
    """Return the keyed hash (BLAKE2b, RFC 7693) of a JSON value, another for each purpose."""
    person = f"note {purpose}".encode()
    text = json.dumps(value).encode()
    return hashlib.blake2b(text, key=key, person=person, digest_size=32).hexdigest()


def inputs(
    question: Question, variables: Iterable[str], files: Iterable[str], modules: Iterable[str]
) -> list[object]:
    """Return all that the response to a question comes from, the store's entry excepted.

    Args:
        question: The question.
        variables: The environment variables that secret references name. keyturn's own count too,
            and those that tell where the user's directories are.
        files: The configuration file, and the files that secret references name.
        modules: The files of keyturn's and the provider's modules. What is installed, updated or
            removed changes one of the directories that Python imports from, which count too.

    Raises:
        Doubt: A file is too long, or no ordinary file.
        OSError: A file can't be read.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in variables or name == "HOME" or name.startswith(("KEYTURN_", "XDG_"))
    }
    return [
        question,
        sorted(environment.items()),
        [_content(path) for path in files],
        [(path, _stamp(path)) for path in (*sys.path, *modules)],
    ]


def _content(path: str) -> object:
    """Return whose a file is, who may open it, and what it holds; None when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib takes too long to import
    except FileNotFoundError:
        return None
    require(stat.S_ISREG(status.st_mode))  # What is read from a pipe is gone for who comes next.
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        content = file.read(_LONGEST + 1)
    require(len(content) <= _LONGEST)
    return status.st_uid, stat.S_IMODE(status.st_mode), content.decode("latin-1")


def _stamp(path: str) -> object:
    """Return what tells a file or a directory from a changed one; None when there is none."""
    try:
        status = os.stat(path or os.curdir)  # noqa: PTH116 - pathlib takes too long to import
    except OSError:
        return None
    # Unlike the time of modification, that of the change can't be set.
    return status.st_ino, status.st_ctime_ns


def _user_directory(variable: str) -> str:
    """Return keyturn's directory in the one that a variable of the XDG specification sets."""
    directory = os.environ.get(variable, "")
    home = os.environ.get("HOME", "")
    if not directory.startswith("/") and home.startswith("/"):
        directory = f"{home}/{_DEFAULTS[variable]}"
    require(directory.startswith("/"))
    return f"{directory}/keyturn"


def _read_note(question: Question, key: bytes) -> dict[str, Any]:
    path = note_path(question, key)
    _require_private(os.lstat(path.rpartition("/")[0]), stat.S_IFDIR)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        _require_private(os.fstat(descriptor), stat.S_IFREG)
        line, _, seal = file.read(_LONGEST).partition("\n")
    _require_same(seal, digest(key, "note", line))
    note: dict[str, Any] = json.loads(line)
    return note


def _read_entry(database: str, uri: str, fingerprint: str) -> str:
    """Return an entry of a disk store that has not expired.

    Args:
        database: The path of the store's database.
        uri: The same as a URI (https://sqlite.org/uri.html) that opens it for reading only.
        fingerprint: The entry's key.
    """
    import sqlite3

    _require_private(os.lstat(database.rpartition("/")[0]), stat.S_IFDIR)
    _require_private(os.lstat(database), stat.S_IFREG)
    connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        connection.execute("PRAGMA trusted_schema = OFF")
        ((entry,),) = connection.execute(_SELECT, (fingerprint, time.time()))
    finally:
        connection.close()
    return str(entry)


def require(condition: bool) -> None:  # noqa: FBT001 - as for assert
    """Go on only if there is no doubt.

    Raises:
        Doubt: There is.
    """
    if not condition:
        raise Doubt


def _require_private(status: os.stat_result, kind: int) -> None:
    require(stat.S_IFMT(status.st_mode) == kind)
    require(status.st_uid == os.geteuid() and not status.st_mode & 0o077)


def _require_same(one: str, other: str) -> None:
    require(hmac.compare_digest(one, other))
