"""All configured connections and their stores."""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from keyturn import errors
from keyturn._common.names import did_you_mean, in_one_line
from keyturn._config.directories import user_directory
from keyturn._config.problems import (
    OPTIONS,
    key_problems,
    problems_of,
    read_settings,
    references_in,
    shared_problems,
)
from keyturn._config.providers import chosen_provider
from keyturn._config.references import RawSetting, resolve_all
from keyturn._config.setting_values import plain
from keyturn._connection import Connection, make_connection
from keyturn._tokens.options import Options, Specification, option_problem
from keyturn.stores._opening import STORE_VARIABLE, shared_encrypted_store, shared_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn.stores._base import TokenStore

    RawSettings = Mapping[str, RawSetting]

_logger = logging.getLogger("keyturn.config")


@attrs.frozen(eq=False, repr=False)
class Configuration:
    """The configured connections.

    Args:
        path: The path of the configuration file, which need not exist; None if none was named and
            the user has no configuration directory.
        is_private: Whether other users can't read it.
        connections: The settings given for each connection, by the connection's name.
        store: The default store's URL, if the file gives one.
        store_keys: The keys for encrypting entries; without a key they are not encrypted.
        problems: The problems outside of connections.
    """

    path: Path | None
    is_private: bool
    connections: Mapping[str, RawSettings]
    store: RawSetting | None
    store_keys: tuple[RawSetting, ...]
    problems: tuple[errors.Problem, ...]

    @property
    def origin(self) -> str:
        """The source of the connections, for messages."""
        if self.path is not None:
            return f"{self.path} and the environment"
        return "the environment (no file: this user has no home directory; set KEYTURN_CONFIG)"

    def check(self) -> list[str]:
        """Check every connection and its provider, and return the connections' names.

        This resolves no reference.

        Raises:
            keyturn.errors.ConfigurationError: The configuration has mistakes; `problems` lists
                them.
        """
        found = [
            *shared_problems(self),
            *(each for name in self.connections for each in problems_of(self, name)),
        ]
        self._raise_if(found)
        return sorted(self.connections)

    def names(self) -> list[str]:
        """Return the connections' names, unless a problem affects all of them.

        Raises:
            keyturn.errors.ConfigurationError: A problem affects all; `problems` lists them.
        """
        self._raise_if(shared_problems(self))
        return sorted(self.connections)

    def provider_of(self, name: str) -> str:
        """Return the provider that a connection names, or an empty string."""
        raw = self.connections[name].get("provider")
        return str(raw.value) if raw is not None else ""

    def file(self) -> Path:
        """Return the path of the configuration file.

        Raises:
            keyturn.errors.ConfigurationError: This user has no directory for it.
        """
        if self.path is None:
            raise errors.ConfigurationError(
                "this user has no home directory for a configuration file.",
                hint="Set KEYTURN_CONFIG, or --config, to a file.",
            )
        return self.path

    def find(self, name: str) -> str:
        """Return the name of a connection as it is configured.

        Raises:
            keyturn.errors.ConfigurationError: The connection does not exist.
        """
        if not isinstance(name, str):
            raise errors.ConfigurationError("a connection's name must be a string.")
        names = {variable_name(known): known for known in self.connections}
        if variable_name(name) not in names:
            raise errors.ConfigurationError(
                f"no connection is named {name!r}.{did_you_mean(name, self.connections)}",
                hint=f"Configured in {self.origin}: "
                f"{', '.join(sorted(self.connections)) or 'none'}.",
            )
        return names[variable_name(name)]

    def open(self, name: str, *, reports_others: bool = True) -> Connection:
        """Return the connection with a name; see `keyturn.load_connection`.

        Args:
            name: The connection's name.
            reports_others: Whether to log problems of other connections.

        Raises:
            keyturn.errors.ConfigurationError: As `keyturn.load_connection`.
        """
        name = self.find(name)
        problems = [*shared_problems(self), *problems_of(self, name)]
        rest = [each for each in self.connections if each != name and reports_others]
        others = [problem for each in rest for problem in problems_of(self, each, is_chosen=False)]
        if others and not problems:
            _warn_of_others(str(self._error(others)))
        self._raise_if(problems and problems + others)
        raw = self.connections[name]
        provider = chosen_provider(raw["provider"].value, self.path)
        settings = functools.partial(self._settings, name, provider)
        specification = Specification(
            provider,
            settings if references_in(raw, provider) else settings(),
            name,
            Options(**{key: plain(raw[key], {"type": "number"}) for key in OPTIONS if key in raw}),
        )
        return make_connection(specification, self.open_store(name))

    def _settings(self, name: str, provider: Provider[Any]) -> Settings:
        """Return a connection's settings, with its references resolved.

        Raises:
            keyturn.errors.ConfigurationError: A reference can't be resolved, or the provider
                refuses its value.
        """
        raw = self.connections[name]
        secrets, problems = resolve_all(references_in(raw, provider), _timeout(raw))
        settings, mistakes = read_settings(name, raw, provider, secrets)
        if settings is None or problems:
            raise self._error(problems + mistakes)
        return settings

    def open_store(self, name: str | None = None) -> TokenStore:
        """Return the token store of a connection; without a name, the default store.

        Raises:
            keyturn.errors.ConfigurationError: The store or `store_key` can't be used.
        """
        self._raise_if(key_problems(self))
        raw = self.connections[name] if name else {}
        variable = RawSetting(os.environ.get(STORE_VARIABLE), STORE_VARIABLE)
        chosen = raw.get("store") or self.store or variable
        keys, problems = resolve_all(
            {each.location: each for each in self.store_keys}, _timeout(raw)
        )
        self._raise_if(problems)
        location = chosen.location
        if chosen.value and not isinstance(chosen.value, str):
            raise self._error([errors.Problem(location, "must be a string")])
        try:
            store = shared_store(chosen.value) if chosen.value else _default_store()
            location = "store_key"
            return shared_encrypted_store(store, list(keys.values())) if keys else store
        except errors.ConfigurationError as error:
            problem = errors.Problem(location, in_one_line(error))
        raise self._error([problem])

    def _raise_if(self, problems: Iterable[errors.Problem]) -> None:
        if found := list(problems):
            raise self._error(found)

    def _error(self, problems: list[errors.Problem]) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f"the configuration ({self.origin}) has {len(problems)} mistake(s):",
            problems=problems,
        )


def variable_name(name: str) -> str:
    """Return a connection's name in the form of environment variables."""
    return name.replace("-", "_").replace(".", "_").upper()


def _timeout(raw: RawSettings) -> float:
    """Return the time limit in seconds for reading all references of a connection."""
    usual = Options().timeout
    given: float = plain(raw["timeout"], {"type": "number"}) if "timeout" in raw else usual
    return usual if option_problem("timeout", given) else given


def _default_store() -> TokenStore:
    """Return the disk store of this user, or if it is unusable the memory of this process."""
    directory = user_directory("cache")
    problem = "this user has no home directory."
    if directory:
        try:
            return shared_store(f"disk://{quote(str(directory))}")
        except errors.ConfigurationError as error:
            problem = error.message
    _warn_of_memory(problem)
    return shared_store("memory://")


@functools.cache  # once in a process
def _warn_of_memory(problem: str) -> None:
    _logger.warning(
        "tokens are kept in the memory of this process only: %s Set %s, or `store` in "
        "keyturn.toml, to a store for all processes, or to memory://",
        problem,
        STORE_VARIABLE,
    )


@functools.cache  # once in a process
def _warn_of_others(problem: str) -> None:
    _logger.warning("some other connections can't be used: %s", problem)
