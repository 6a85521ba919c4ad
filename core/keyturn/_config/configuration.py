"""All configured connections, checked as a whole, and opened one by one."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from keyturn import errors
from keyturn._config.checks import form_problems, options_of, read, references_in
from keyturn._config.raw import ConfigurationFile, RawSetting, variable_name
from keyturn._config.references import resolve_all
from keyturn._connection import Connection
from keyturn._names import did_you_mean
from keyturn._plugins import loading as plugins
from keyturn._secret import Secret
from keyturn.errors import Problem
from keyturn.stores._opening import STORE_VARIABLE, shared_encrypted_store, shared_store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn.stores._base import TokenStore


@attrs.frozen(eq=False, repr=False)
class Configuration:
    """The configured connections.

    Args:
        file: The configuration file.
        connections: The settings given for each connection, by the connection's name.
        store: The default store's URL, if the file gives one.
        store_keys: The keys that entries are encrypted with; without one they are not encrypted.
        problems: The problems that belong to no connection.
    """

    file: ConfigurationFile
    connections: Mapping[str, Mapping[str, RawSetting]]
    store: RawSetting | None
    store_keys: tuple[RawSetting, ...]
    problems: tuple[Problem, ...]

    def names(self) -> list[str]:
        """Return the connections' names, sorted."""
        return sorted(self.connections)

    def check(self) -> None:
        """Check every connection, its provider included; no reference is resolved.

        Raises:
            keyturn.errors.ConfigurationError: There are problems; all of them are named.
        """
        self._raise_if(self._problems(self.connections))

    def open(self, name: str) -> Connection:
        """Return the connection of a name; see `keyturn.load_connection`."""
        name = self._configured(name)
        self._raise_if(self._problems([name]))
        raw = self.connections[name]
        provider = plugins.provider(raw["provider"].value.reveal())
        settings = functools.partial(self._settings, name, provider)
        return Connection(
            provider,
            settings if references_in(raw, provider) else settings(),
            store=self._open_store(raw.get("store") or self.store),
            name=name,
            options=options_of(raw),
        )

    def _configured(self, name: str) -> str:
        """Return the name under which a connection is configured."""
        if not isinstance(name, str):
            raise errors.ConfigurationError("a connection's name must be a string.")
        for known in self.connections:
            if variable_name(known) == variable_name(name):
                return known
        known_names = ", ".join(self.names()) or "none"
        raise errors.ConfigurationError(
            f"no connection is named {name!r}.{did_you_mean(name, self.connections)}",
            hint=f"Configured in {self.file.path} and the environment: {known_names}.",
        )

    def _problems(self, chosen: Collection[str]) -> Iterator[Problem]:
        """Yield all problems; only of the chosen connections the providers are imported."""
        yield from self.problems
        for name, raw in self.connections.items():
            provider = None
            if name in chosen and isinstance(getattr(raw.get("provider"), "value", None), Secret):
                try:
                    provider = plugins.provider(raw["provider"].value.reveal())
                except errors.ConfigurationError as error:
                    yield Problem(raw["provider"].location, str(error))
            yield from form_problems(name, raw, provider, is_private=self.file.is_private)
            if provider is not None:
                yield from read(name, raw, provider, {})[1]

    def _settings(self, name: str, provider: Provider[Any]) -> Settings:
        """Return a connection's settings, the references in them resolved now.

        Raises:
            keyturn.errors.ConfigurationError: A reference can't be resolved, or the provider does
                not accept what it resolves to.
        """
        raw = self.connections[name]
        secrets, problems = resolve_all(references_in(raw, provider))
        settings = None
        if not problems:
            settings, problems = read(name, raw, provider, secrets)
        if settings is None:
            raise self._error(problems)
        return settings

    def _open_store(self, chosen: RawSetting | None) -> TokenStore:
        url = chosen.value.reveal() if chosen else os.environ.get(STORE_VARIABLE)
        try:
            store = shared_store(url or _default_store())
        except errors.ConfigurationError as error:
            found = Problem(chosen.location if chosen else STORE_VARIABLE, str(error))
        else:
            return self._encrypted(store) if self.store_keys else store
        raise self._error([found])

    def _encrypted(self, store: TokenStore) -> TokenStore:
        keys, problems = resolve_all({each.location: each for each in self.store_keys})
        if not problems:
            try:
                return shared_encrypted_store(store, list(keys.values()))
            except errors.ConfigurationError as error:
                problems = [Problem("store_key", str(error))]
        raise self._error(problems)

    def _raise_if(self, problems: Iterable[Problem]) -> None:
        found = list(problems)
        if found:
            raise self._error(found)

    def _error(self, problems: list[Problem]) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f"the configuration ({self.file.path} and the environment) has "
            f"{len(problems)} mistake(s):",
            problems=problems,
        )


def _default_store() -> str:
    import platformdirs

    return f"disk://{quote(platformdirs.user_cache_dir('keyturn'))}"
