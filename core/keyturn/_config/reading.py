"""Reading the configuration: which connections the file and the environment define.

Any string may turn out to be a secret. So each is wrapped in a `Secret` as soon as it has been
read, and no error is raised from a frame that has held it bare.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._config.configuration import Configuration, variable_name
from keyturn._config.references import RawSetting
from keyturn._names import did_you_mean
from keyturn._secret import Secret
from keyturn.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FILE_VARIABLE = "KEYTURN_CONFIG"
_OVERRIDE_PREFIX = "KEYTURN_CONNECTIONS__"
_TOP_LEVEL = ("connections", "store", "store_key")


def read(config: str | os.PathLike[str] | None = None) -> Configuration:
    """Read the configuration file and the environment.

    Args:
        config: The configuration file; see `keyturn.load_connection`.

    Raises:
        keyturn.errors.ConfigurationError: The file was named and doesn't exist, or can't be read.
    """
    named = config or os.environ.get(_FILE_VARIABLE)
    path = Path(named) if named else _default_path()
    loaded = _load(path, optional=not named)
    if isinstance(loaded, str):
        raise errors.ConfigurationError(f"the configuration file {path} {loaded}.")
    tables, is_private = loaded
    connections: dict[str, dict[str, RawSetting]] = {}
    problems = [*_top_level_problems(tables), *_take_tables(tables, connections)]
    problems += _take_overrides(connections)
    store = RawSetting(tables["store"], "store") if "store" in tables else None
    return Configuration(
        path, is_private, connections, store, tuple(_store_keys(tables)), tuple(problems)
    )


def _default_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("keyturn")) / "keyturn.toml"


def _load(path: Path, *, optional: bool) -> tuple[dict[str, Any], bool] | str:
    """Return the file's content, and whether no other user can open it; or why it can't be read.

    There need not be an optional file. Every string of the content is wrapped in a `Secret`.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            # Of the opened file: the path may lead to another one by now.
            status = os.fstat(file.fileno())
            content = file.read()
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return {}, False
        return f"can't be read: {error.strerror}"
    except tomllib.TOMLDecodeError as error:
        # The rest of its message may quote the file.
        position = re.search(r"\(at (line \d+, column \d+|end of document)\)\Z", str(error))
        return f"is not TOML{f': {position[1]}' if position else ''}"
    except (UnicodeDecodeError, RecursionError) as error:
        return f"is not UTF-8, or nested too deeply ({type(error).__name__})"
    else:
        is_private = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077
        return _wrap(tables), is_private


def _wrap(value: Any) -> Any:
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, list):
        return [_wrap(each) for each in value]
    if isinstance(value, dict):
        return {name: _wrap(each) for name, each in value.items()}
    return value


def _store_keys(tables: Mapping[str, Any]) -> Iterator[RawSetting]:
    value = tables.get("store_key")
    if isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield RawSetting(each, f"store_key[{number}]")
    elif value is not None:
        yield RawSetting(value, "store_key")


def _top_level_problems(tables: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in tables.items():
        if key not in _TOP_LEVEL:
            known = f"{', '.join(_TOP_LEVEL)}.{did_you_mean(key, _TOP_LEVEL)}"
            yield Problem(_quoted(key), f"is not known; known are {known}")
        elif key == "store" and not isinstance(value, Secret):
            yield Problem("store", "must be a string")


def _take_tables(
    tables: Mapping[str, Any], connections: dict[str, dict[str, RawSetting]]
) -> Iterator[Problem]:
    """Add the file's connections, and yield the problems in doing so."""
    found = tables.get("connections", {})
    if not isinstance(found, dict):
        yield Problem("connections", "must be a table")
        return
    taken: dict[str, str] = {}
    for name, table in found.items():
        path = f"connections.{_quoted(name)}"
        if not isinstance(table, dict):
            yield Problem(path, "must be a table")
        elif not _is_name(name):
            yield Problem(path, "the name must have only letters, digits and . _ -")
        elif variable_name(name) in taken:
            other = taken[variable_name(name)]
            yield Problem(path, f"in environment variables the name is the same as {other}")
        else:
            taken[variable_name(name)] = name
            connections[name] = {
                setting: RawSetting(value, f"{path}.{_quoted(setting)}")
                for setting, value in table.items()
            }


def _take_overrides(connections: dict[str, dict[str, RawSetting]]) -> Iterator[Problem]:
    """Add the environment's settings, and yield the problems in doing so."""
    overrides: dict[str, dict[str, RawSetting]] = {}
    for variable in sorted(os.environ):
        if variable.startswith(_OVERRIDE_PREFIX):
            connection, _, setting = variable.removeprefix(_OVERRIDE_PREFIX).rpartition("__")
            raw = RawSetting(Secret(os.environ[variable]), variable, from_environment=True)
            overrides.setdefault(connection, {})[setting.lower()] = raw
    names = {variable_name(name): name for name in connections}
    for connection, settings in overrides.items():
        name = names.get(connection, connection.lower().replace("_", "-"))
        if name in connections or ("provider" in settings and _is_name(name)):
            connections.setdefault(name, {}).update(settings)
            continue
        question = did_you_mean(connection, names)
        for raw in settings.values():
            yield Problem(raw.location, f"belongs to no configured connection.{question}")


def _quoted(key: str) -> str:
    return key if _is_name(key) else json.dumps(key)


def _is_name(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", key) is not None
