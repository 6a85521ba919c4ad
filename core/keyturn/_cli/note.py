"""The note that the ordinary way of `keyturn token NAME` leaves for the quick one."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from keyturn import _config as config
from keyturn import _token as token
from keyturn import errors
from keyturn._cli import quick as _quick
from keyturn._cli.quick import Doubt, require
from keyturn._plugins.discovery import installed_providers
from keyturn._secret import Secret
from keyturn._tokens.keyfile import fingerprint_key
from keyturn.stores._disk import DiskStore
from keyturn.stores._files import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._config import Configuration
    from keyturn._connection import Connection

# In seconds: older drafts belong to processes that were killed.
_GRACE = 60.0
_logger = logging.getLogger("keyturn._cli")


class _Needs(NamedTuple):
    """What the quick way has to look at; see `keyturn._cli.quick.inputs`."""

    variables: list[str]
    files: list[str]
    modules: list[str]


def leave(question: _quick.Question, connection: Connection, printed: str) -> None:
    """Leave a note if there is a quick way to the same response; it replaces the one before.

    There is none unless the store is on disk, the token fresh, and each secret in the configuration
    file, in another file or in an environment variable: what a keyring, a command or a plugin gives
    may change unseen.

    Args:
        question: What was asked.
        connection: What was opened for it.
        printed: What was printed.
    """
    try:
        key = _quick.known_key()
        require(key == fingerprint_key())
        note = _entry(connection, question, printed, key) | _inputs(connection, question, key)
        path = Path(_quick.note_path(question, key))
        _write(path, _quick.sealed(note, key), note["fresh_until"])
    except (OSError, errors.KeyturnError, Doubt) as error:
        # The token is printed already. Without a note the next process is slower, and no more.
        _logger.debug("there is no quick way to %s (%s)", question[0], type(error).__name__)


def _entry(
    connection: Connection, question: _quick.Question, printed: str, key: bytes
) -> dict[str, Any]:
    """Return the part of a note that tells where the response is, and until when."""
    renewal, fingerprint = connection.renewal, connection.token_request().fingerprint
    store = renewal.store.store
    if not isinstance(store, DiskStore):
        raise Doubt
    entry = store.read(fingerprint) or ""
    held = token.from_entry(entry, fingerprint)
    if held is None or _quick.FORMATS[question[1]](json.loads(entry)) != printed:
        raise Doubt
    # Without jitter it is renewed first: no process finds it stale any earlier.
    plan = attrs.evolve(renewal, jitter=0.0).plan(held)
    require(plan.issued_at <= time.time() < plan.renew_at)
    database = store.directory / "cache.db"
    return {
        "database": str(database),
        "uri": f"{database.as_uri()}?mode=ro",
        "fingerprint": fingerprint,
        "entry": _quick.digest(key, "entry", entry),
        "fresh_from": plan.issued_at,
        "fresh_until": plan.renew_at,
    }


def _inputs(connection: Connection, question: _quick.Question, key: bytes) -> dict[str, Any]:
    """Return the part of a note that tells what the response came from."""
    needs = _needs(config.read(question[2]), connection)
    inputs = _quick.inputs(question, *needs)
    # What was read before may have changed since, so it must lead to the same request once more.
    again = config.read(question[2])
    require(_needs(again, connection) == needs)
    with again.open(connection.name) as same:
        require(same.token_request() == connection.token_request())
    require(_quick.inputs(question, *needs) == inputs)
    return {**needs._asdict(), "inputs": _quick.digest(key, "inputs", inputs)}


def _needs(configuration: Configuration, connection: Connection) -> _Needs:
    variables, files = [], [str(configuration.file.path)]
    for given in configuration.connections.get(connection.name, {}).values():
        match given.value:
            case {"env": Secret() as variable}:
                variables.append(variable.reveal())
            case {"file": Secret() as path} if path.reveal().startswith(("/", "~/")):
                files.append(os.path.expanduser(path.reveal()))  # noqa: PTH111 - as others read it
            case dict():
                raise Doubt
            case _:
                pass
    return _Needs(variables, files, sorted(_modules(connection)))


def _modules(connection: Connection) -> Iterator[str]:
    """Yield the files of all imported modules of keyturn and of the provider's packages."""
    provider = connection.provider
    names = [each.__module__ for each in type(provider).__mro__]
    names += [each.point.module for each in installed_providers() if each.name == provider.name]
    packages = {name.partition(".")[0] for name in names}
    for name, module in sys.modules.copy().items():
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in packages and file:
            yield file


def _write(path: Path, text: str, until: float) -> None:
    """Write a note, and remove those that are of no use any more."""
    make_private_directory(path.parent)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
    os.utime(draft, (until, until))
    draft.replace(path)
    for other in path.parent.iterdir():
        if other.stat().st_mtime < time.time() - _GRACE:
            other.unlink()
