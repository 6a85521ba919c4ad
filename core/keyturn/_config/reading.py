"""Reading the configuration: which connections the file and the environment define."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from keyturn._config.checks import store_key_problems
from keyturn._config.configuration import Configuration
from keyturn._config.raw import RawSetting, read_file, read_overrides, variable_name
from keyturn._names import did_you_mean
from keyturn._secret import Secret
from keyturn.errors import Problem

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

_TOP_LEVEL = ("connections", "store", "store_key")


def read(config: str | os.PathLike[str] | None = None) -> Configuration:
    """Read the configuration file and the environment.

    Args:
        config: The configuration file; see `keyturn.load_connection`.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read.
    """
    file = read_file(config)
    connections: dict[str, dict[str, RawSetting]] = {}
    problems = [*_top_level_problems(file.tables), *_take_tables(file.tables, connections)]
    problems += _take_overrides(connections)
    store = file.tables.get("store")
    raw_store = RawSetting(store, "store") if isinstance(store, Secret) else None
    store_keys = tuple(_store_keys(file.tables))
    problems += store_key_problems(store_keys, is_private=file.is_private)
    return Configuration(file, connections, raw_store, store_keys, tuple(problems))


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
            question = did_you_mean(key, _TOP_LEVEL)
            known = ", ".join(_TOP_LEVEL)
            yield Problem(_quoted(key), f"is not known; known are {known}.{question}")
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
    names = {variable_name(name): name for name in connections}
    for variable, settings in read_overrides().items():
        name = names.get(variable, variable.lower().replace("_", "-"))
        if name in connections or ("provider" in settings and _is_name(name)):
            connections.setdefault(name, {}).update(settings)
            continue
        question = did_you_mean(variable, names)
        for raw in settings.values():
            yield Problem(raw.location, f"belongs to no configured connection.{question}")


def _quoted(key: str) -> str:
    return key if _is_name(key) else json.dumps(key)


def _is_name(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", key) is not None
