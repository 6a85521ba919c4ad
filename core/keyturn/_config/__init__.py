"""Connections by name, from `keyturn.toml` and the environment.

Any value may contain a secret. So keyturn wraps each in a `RawSetting`, which no `repr` shows, as
soon as it is read, and raises no error from a frame that held the plain value.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._common.names import did_you_mean
from keyturn._config.configuration import Configuration, variable_name
from keyturn._config.directories import is_private, user_directory
from keyturn._config.references import RawSetting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn._connection import Connection

_OVERRIDE_PREFIX = "KEYTURN_CONNECTIONS__"
_TOP_LEVEL = ("connections", "store", "store_key")
is_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch


def load_connection(name: str, *, config: str | os.PathLike[str] | None = None) -> Connection:
    """Return the connection with a name, from the configuration file and the environment.

    A variable such as `KEYTURN_CONNECTIONS__NORCE_STAGE__CLIENT_ID` overrides one setting, or sets
    it without a file. Tokens are kept in the connection's `store`, else the file's, else
    `$KEYTURN_STORE`, else on disk in the user's cache directory, else in memory; encrypted if the
    file has a `store_key`.

    A mistake in another connection is logged, and does not affect this one. keyturn checks the
    others without importing their providers or resolving their secret references. Some mistakes
    affect all connections: an unknown key, a setting from the environment without a connection, or
    a plain secret in a file that others can read. `keyturn check` checks all connections.

    Args:
        name: The connection's name.
        config: The configuration file; by default `$KEYTURN_CONFIG`, else `keyturn.toml` in the
            user's configuration directory. The working directory and relative directories are not
            searched.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read, the connection does not exist, or
            the configuration has mistakes (`problems` lists all of them).
    """
    return read(config).open(name)


def read(
    config: str | os.PathLike[str] | None = None, *, may_be_new: bool = False
) -> Configuration:
    """Read the configuration file and the environment.

    Args:
        config: The configuration file; see `keyturn.load_connection`.
        may_be_new: Whether a named file need not exist.

    Raises:
        keyturn.errors.ConfigurationError: The file was named and doesn't exist, or can't be read.
    """
    named = config or os.environ.get("KEYTURN_CONFIG")
    directory = None if named else user_directory("config")
    path = Path(named) if named else directory and directory / "keyturn.toml"
    top, closed = _load(path, optional=may_be_new or not named) if path else ({}, False)
    connections: dict[str, dict[str, RawSetting]] = {}
    tables = top.get("connections", RawSetting({}, "connections"))
    problems = (
        *_top_level_problems(top),
        *_take_tables(tables.value, connections),
        *_take_overrides(connections),
    )
    keys = _store_keys(top["store_key"].value) if "store_key" in top else ()
    return Configuration(path, closed, connections, top.get("store"), keys, problems)


def _load(path: Path, *, optional: bool) -> tuple[dict[str, RawSetting], bool]:
    """Return the file's top-level values, and whether other users can't read the file.

    An optional file need not exist.
    """
    import tomllib

    try:
        with open(path, "rb", opener=_without_waiting) as file:
            # For the opened file, because the path may lead to another one by now.
            status = os.fstat(file.fileno())
            is_regular = stat.S_ISREG(status.st_mode)
            tables = tomllib.loads(file.read().decode("utf-8-sig") if is_regular else "")
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return {}, False
        problem = f"can't be read: {error.strerror}"
    except tomllib.TOMLDecodeError as error:
        # The rest of its message may quote the file.
        position = re.search(r"\(at (line \d+, column \d+|end of document)\)\Z", str(error))
        place = position[1].replace("end of", "the end of the") if position else ""
        problem = f"is not valid TOML{place and f' at {place}'}"
    except (UnicodeDecodeError, RecursionError) as error:
        problem = f"is not UTF-8, or is nested too deeply ({type(error).__name__})"
    else:
        values = {key: RawSetting(each, _quoted(key)) for key, each in tables.items()}
        if is_regular:
            return values, is_private(status)
        problem = "is not a regular file"
    raise errors.ConfigurationError(f"the configuration file {path} {problem}.")


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; opening a FIFO without a writer would block forever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _store_keys(value: object) -> tuple[RawSetting, ...]:
    if isinstance(value, list) and value:
        return tuple(RawSetting(each, f"store_key[{number}]") for number, each in enumerate(value))
    return (RawSetting(value, "store_key"),)


def _top_level_problems(top: Mapping[str, RawSetting]) -> Iterator[errors.Problem]:
    for key, raw in top.items():
        if key not in _TOP_LEVEL:
            yield errors.Problem(
                raw.location,
                f"is not known; known are {', '.join(_TOP_LEVEL)}.{did_you_mean(key, _TOP_LEVEL)}",
            )
        elif key == "store" and not isinstance(raw.value, str):
            yield errors.Problem("store", "must be a string")


def _take_tables(
    found: object, connections: dict[str, dict[str, RawSetting]]
) -> Iterator[errors.Problem]:
    """Add the file's connections, and yield their problems."""
    if not isinstance(found, dict):
        yield errors.Problem("connections", "must be a table")
        return
    taken: dict[str, str] = {}
    for name, table in found.items():
        path = f"connections.{_quoted(name)}"
        other = taken.setdefault(variable_name(name), name)
        if not isinstance(table, dict):
            yield errors.Problem(path, "must be a table")
        elif not is_name(name):
            yield errors.Problem(path, "the name must have only letters, digits and . _ -")
        elif other != name:
            yield errors.Problem(path, f"in environment variables the name is the same as {other}")
        else:
            connections[name] = {
                setting: RawSetting(value, f"{path}.{_quoted(setting)}")
                for setting, value in table.items()
            }


def _take_overrides(connections: dict[str, dict[str, RawSetting]]) -> Iterator[errors.Problem]:
    """Add the environment's settings, and yield their problems."""
    overrides: dict[str, dict[str, RawSetting]] = {}
    for variable in sorted(os.environ):
        if variable.startswith(_OVERRIDE_PREFIX):
            connection, _, setting = variable.removeprefix(_OVERRIDE_PREFIX).rpartition("__")
            overrides.setdefault(connection, {})[setting.lower()] = RawSetting(
                os.environ[variable], variable, from_environment=True
            )
    names = {variable_name(name): name for name in connections}
    for connection, settings in overrides.items():
        name = names.get(connection, connection.lower().replace("_", "-"))
        if name in connections or ("provider" in settings and is_name(name)):
            connections.setdefault(name, {}).update(settings)
        else:
            problem = f"belongs to no configured connection.{did_you_mean(connection, names)}"
            yield from (errors.Problem(raw.location, problem) for raw in settings.values())


def _quoted(key: str) -> str:
    return key if is_name(key) else json.dumps(key)
