"""All configured connections, checked as a whole, and opened one by one."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from keyturn import errors
from keyturn._config.checks import (
    connection_mistakes,
    options_of,
    placed,
    plain,
    schemas_of,
    settings_of,
    store_key_mistakes,
)
from keyturn._config.raw import (
    ConfigurationFile,
    RawSetting,
    in_variables,
    read_file,
    read_overrides,
)
from keyturn._config.references import resolve
from keyturn._connection import Connection
from keyturn._names import did_you_mean
from keyturn._plugins import loading as plugins
from keyturn._providers.settings import read as read_settings
from keyturn._secret import Secret
from keyturn.stores._opening import STORE_VARIABLE, shared_encrypted_store, shared_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from keyturn.stores._base import TokenStore

_TOP_LEVEL = ("connections", "store", "store_key")
_NAME_REGEX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@attrs.frozen
class Configuration:
    """The configured connections.

    Args:
        file: The configuration file.
        connections: What was given for each connection, by the connection's name.
        store: The default store's URL, if the file gives one.
        store_keys: The keys that stored entries are encrypted with; none leaves them in the clear.
        misplaced: The mistakes that belong to no connection.
    """

    file: ConfigurationFile
    connections: Mapping[str, Mapping[str, RawSetting]]
    store: RawSetting | None
    store_keys: tuple[RawSetting, ...] = ()
    misplaced: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the connections' names, sorted."""
        return sorted(self.connections)

    def check(self) -> None:
        """Check every connection thoroughly, importing its provider; no secret is resolved.

        Raises:
            keyturn.errors.ConfigurationError: There are mistakes; all of them are named.
        """
        self._refuse(self._mistakes(self.names()))

    def open(self, name: str) -> Connection:
        """Return the connection of a name; see `keyturn.load_connection`."""
        name = self._configured(name)
        given = self.connections[name]
        self._refuse(self._mistakes([name]))
        provider = plugins.provider(given["provider"].value.reveal())
        schemas = schemas_of(provider)
        values = {
            setting: plain(each, schemas[setting]) for setting, each in settings_of(given).items()
        }
        secret = [setting for setting in values if schemas[setting].get("writeOnly")]
        mistakes = list(_resolve_all(values, given, secret))
        settings = None
        if not mistakes:
            settings, found = read_settings(provider.settings, values)
            mistakes = placed(found, name, given)
        if settings is None:
            raise self._refusal(mistakes)
        return Connection(
            provider, settings, store=self._open_store(given), name=name, options=options_of(given)
        )

    def _configured(self, name: str) -> str:
        """Return the name under which a connection is configured."""
        if not isinstance(name, str):
            raise errors.ConfigurationError("a connection is chosen by its name, a text.")
        for known in self.connections:
            if in_variables(known) == in_variables(name):
                return known
        known_names = ", ".join(self.names()) or "none"
        raise errors.ConfigurationError(
            f"no connection is named {name!r}.{did_you_mean(name, self.connections)}",
            hint=f"Configured in {self.file.path} and the environment: {known_names}.",
        )

    def _mistakes(self, thoroughly: Iterable[str]) -> list[str]:
        """Return all mistakes; of the connections not named, those found without an import."""
        found = list(self.misplaced)
        thorough = frozenset(thoroughly)
        known = {info.name for info in plugins.providers()}
        for name, given in self.connections.items():
            private, load = self.file.private, name in thorough
            found += connection_mistakes(name, given, known, private=private, load=load)
        return found

    def _refuse(self, mistakes: list[str]) -> None:
        if mistakes:
            raise self._refusal(mistakes)

    def _refusal(self, mistakes: list[str]) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f"the configuration ({self.file.path} and the environment) has "
            f"{len(mistakes)} mistake(s):",
            problems=[
                errors.Problem(path, message)
                for path, _, message in (mistake.partition(": ") for mistake in mistakes)
            ],
        )

    def _open_store(self, given: Mapping[str, RawSetting]) -> TokenStore:
        chosen = given.get("store") or self.store
        try:
            if chosen is None:
                store = shared_store(os.environ.get(STORE_VARIABLE) or _default_store())
            else:
                store = shared_store(chosen.value.reveal())
        except errors.ConfigurationError as error:
            mistake = f"{chosen.place if chosen else STORE_VARIABLE}: {error}"
        else:
            return self._encrypted(store) if self.store_keys else store
        raise self._refusal([mistake])

    def _encrypted(self, store: TokenStore) -> TokenStore:
        given = {each.place: each for each in self.store_keys}
        keys = {place: plain(each, {"writeOnly": True}) for place, each in given.items()}
        mistakes = list(_resolve_all(keys, given, list(keys)))
        if not mistakes:
            try:
                return shared_encrypted_store(store, list(keys.values()))
            except errors.ConfigurationError as error:
                mistakes = [f"store_key: {error}"]
        raise self._refusal(mistakes)


def read(config: str | os.PathLike[str] | None = None) -> Configuration:
    """Read the configuration file and the environment.

    Args:
        config: The configuration file; see `keyturn.load_connection`.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read.
    """
    file = read_file(config)
    connections: dict[str, dict[str, RawSetting]] = {}
    misplaced = [*_top_level_mistakes(file.tables), *_take_tables(file.tables, connections)]
    misplaced += _take_overrides(connections)
    store = file.tables.get("store")
    given_store = RawSetting(store, "store") if isinstance(store, Secret) else None
    store_keys = tuple(_store_keys(file.tables))
    misplaced += store_key_mistakes(store_keys, private=file.private)
    return Configuration(file, connections, given_store, store_keys, tuple(misplaced))


def _store_keys(tables: Mapping[str, Any]) -> Iterator[RawSetting]:
    value = tables.get("store_key")
    if isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield RawSetting(each, f"store_key[{number}]")
    elif value is not None:
        yield RawSetting(value, "store_key")


def _top_level_mistakes(tables: Mapping[str, Any]) -> Iterator[str]:
    for key, value in tables.items():
        if key not in _TOP_LEVEL:
            question = did_you_mean(key, _TOP_LEVEL)
            yield f"{_quoted(key)}: is not known; known are {', '.join(_TOP_LEVEL)}.{question}"
        elif key == "store" and not isinstance(value, Secret):
            yield "store: must be a text"


def _take_tables(
    tables: Mapping[str, Any], connections: dict[str, dict[str, RawSetting]]
) -> Iterator[str]:
    """Take over the file's connections, and return the mistakes in doing so."""
    found = tables.get("connections", {})
    if not isinstance(found, dict):
        yield "connections: must be a table"
        return
    taken: dict[str, str] = {}
    for name, table in found.items():
        place = f"connections.{_quoted(name)}"
        if not isinstance(table, dict):
            yield f"{place}: must be a table"
        elif not _NAME_REGEX.fullmatch(name):
            yield f"{place}: the name must be of letters, digits and . _ - alone"
        elif in_variables(name) in taken:
            yield f"{place}: in variables the name is the same as {taken[in_variables(name)]}"
        else:
            taken[in_variables(name)] = name
            connections[name] = {
                setting: RawSetting(value, f"{place}.{_quoted(setting)}")
                for setting, value in table.items()
            }


def _take_overrides(connections: dict[str, dict[str, RawSetting]]) -> Iterator[str]:
    """Take over the environment's settings, and return the mistakes in doing so."""
    names = {in_variables(name): name for name in connections}
    for variable_name, settings in read_overrides().items():
        name = names.get(variable_name, variable_name.lower().replace("_", "-"))
        if name in connections or ("provider" in settings and _NAME_REGEX.fullmatch(name)):
            connections.setdefault(name, {}).update(settings)
            continue
        question = did_you_mean(variable_name, names)
        for given in settings.values():
            yield f"{given.place}: belongs to no configured connection.{question}"


def _resolve_all(
    values: dict[str, Any], given: Mapping[str, RawSetting], secret: Iterable[str]
) -> Iterator[str]:
    """Put the secrets in the place of the references to them; return what can't be resolved."""
    for setting in secret:
        if isinstance(values[setting], dict):
            found = resolve(values[setting])
            if isinstance(found, Secret):
                values[setting] = found
            else:
                yield f"{given[setting].place}: {found}"


def _default_store() -> str:
    import platformdirs

    return f"disk://{quote(platformdirs.user_cache_dir('keyturn'))}"


def _quoted(key: str) -> str:
    return key if _NAME_REGEX.fullmatch(key) else json.dumps(key)
