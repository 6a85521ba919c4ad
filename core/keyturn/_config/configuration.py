"""All configured connections: their problems, each with its location and none with a value."""

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
from keyturn._config.providers import chosen_provider, provider_problems
from keyturn._config.references import RawSetting, reference_problem, resolve_all
from keyturn._config.setting_values import may_refer, plain, schemas_of
from keyturn._connection import Connection, make_connection
from keyturn._providers import calls
from keyturn._providers import settings as provider_settings
from keyturn._secret import Secret
from keyturn._tokens.options import Options, Specification, option_problem
from keyturn.stores._opening import STORE_VARIABLE, shared_encrypted_store, shared_store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn.stores._base import TokenStore

    RawSettings = Mapping[str, RawSetting]

_logger = logging.getLogger("keyturn.config")

_OPTIONS = ("margin", "timeout", "wait", "rate_limit")
_OWN = ("provider", "store", *_OPTIONS)
_PLACEHOLDER = Secret("the secret of a reference that is not resolved")
# What many providers have: checked where the provider isn't imported.
_COMMON_SETTINGS = (
    provider_settings.ClientSettings,
    provider_settings.KeySettings,
    provider_settings.CertificateSettings,
)


@attrs.frozen(eq=False, repr=False)
class Configuration:
    """The configured connections.

    Args:
        path: Where the configuration file is, or would be; None if none was named, and this user
            has no directory for it.
        is_private: Whether it is closed to other users.
        connections: The settings given for each connection, by the connection's name.
        store: The default store's URL, if the file gives one.
        store_keys: The keys that entries are encrypted with; without one they are not encrypted.
        problems: The problems that belong to no connection.
    """

    path: Path | None
    is_private: bool
    connections: Mapping[str, RawSettings]
    store: RawSetting | None
    store_keys: tuple[RawSetting, ...]
    problems: tuple[errors.Problem, ...]

    @property
    def origin(self) -> str:
        """Where the connections are defined, as messages call it."""
        if self.path is not None:
            return f"{self.path} and the environment"
        return "the environment (no file: this user has no home directory; set KEYTURN_CONFIG)"

    def check(self) -> list[str]:
        """Check every connection, its provider included, and return the connections' names.

        No reference is resolved.

        Raises:
            keyturn.errors.ConfigurationError: There are problems; all of them are named.
        """
        self._raise_if(self._problems(self.connections))
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
            keyturn.errors.ConfigurationError: There is no such connection.
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

    def open(self, name: str) -> Connection:
        """Return the connection of a name; see `keyturn.load_connection`."""
        name = self.find(name)
        self._raise_if(self._problems([name]))
        raw = self.connections[name]
        provider = chosen_provider(raw["provider"].value, self.path)
        settings = functools.partial(self._settings, name, provider)
        specification = Specification(
            provider,
            settings if _references_in(raw, provider) else settings(),
            name,
            Options(**{key: plain(raw[key], {"type": "number"}) for key in _OPTIONS if key in raw}),
        )
        return make_connection(specification, self.open_store(name))

    def _problems(self, chosen: Collection[str]) -> Iterator[errors.Problem]:
        """Yield all problems; only of the chosen connections the providers are imported."""
        yield from self.problems
        yield from self._key_problems()
        for name, raw in self.connections.items():
            provider = None
            if name in chosen and isinstance(getattr(raw.get("provider"), "value", None), str):
                try:
                    provider = chosen_provider(raw["provider"].value, self.path)
                except errors.ConfigurationError as error:
                    yield from provider_problems(raw["provider"], error)
            yield from self._form_problems(name, raw, provider, is_chosen=name in chosen)
            if provider is not None:
                yield from _read(name, raw, provider, {})[1]

    def _form_problems(
        self, name: str, raw: RawSettings, provider: Provider[Any] | None, *, is_chosen: bool
    ) -> Iterator[errors.Problem]:
        """Yield what is wrong with the form of a connection's settings."""
        if "provider" not in raw:
            yield errors.Problem(f"connections.{name}.provider", "is required")
        schemas = schemas_of(*([provider.settings] if provider else _COMMON_SETTINGS))
        for setting, each in raw.items():
            problem = None
            if setting in _OPTIONS:
                problem = option_problem(setting, plain(each, {"type": "number"}))
            elif setting in _OWN:
                problem = None if isinstance(each.value, str) else "must be a string"
            elif schemas.get(setting, {}).get("writeOnly"):
                yield from self._secret_problems(each, is_chosen=is_chosen)
            elif provider and setting not in schemas:
                question = did_you_mean(setting, [*schemas, *_OWN])
                problem = f"is not a setting of this provider.{question}"
            if problem:
                yield errors.Problem(each.location, problem)

    def _key_problems(self) -> Iterator[errors.Problem]:
        for key in self.store_keys:
            if isinstance(key.value, (dict, str)):
                yield from self._secret_problems(key, is_chosen=True)
            else:
                problem = "must be a reference to a secret, or a list of them"
                yield errors.Problem(key.location, problem)

    def _secret_problems(self, raw: RawSetting, *, is_chosen: bool) -> Iterator[errors.Problem]:
        if isinstance(raw.value, dict):
            # A plugin that is missing disables no connection that does not need it.
            if message := reference_problem(raw.value, allow_unknown=not is_chosen):
                yield errors.Problem(raw.location, message)
        elif isinstance(raw.value, str) and not (self.is_private or raw.from_environment):
            yield errors.Problem(
                raw.location,
                "a secret may be written out only in a file that is yours and closed to others "
                '(chmod 600); or refer to it, as in { env = "NAME" }',
            )

    def _settings(self, name: str, provider: Provider[Any]) -> Settings:
        """Return a connection's settings, the references in them resolved now.

        Raises:
            keyturn.errors.ConfigurationError: A reference can't be resolved, or the provider does
                not accept what it resolves to.
        """
        raw = self.connections[name]
        secrets, problems = resolve_all(_references_in(raw, provider), _timeout(raw))
        settings, mistakes = _read(name, raw, provider, secrets)
        if settings is None or problems:
            raise self._error(problems + mistakes)
        return settings

    def open_store(self, name: str | None = None) -> TokenStore:
        """Return the token store of a connection, by default the one of a connection without any.

        Raises:
            keyturn.errors.ConfigurationError: The store or `store_key` can't be used.
        """
        self._raise_if(self._key_problems())
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
    """Return a connection's name as environment variables have it."""
    return name.replace("-", "_").replace(".", "_").upper()


def _timeout(raw: RawSettings) -> float:
    """Return the seconds that a connection's references may take, all together."""
    usual = Options().timeout
    given: float = plain(raw["timeout"], {"type": "number"}) if "timeout" in raw else usual
    return usual if option_problem("timeout", given) else given


def _references_in(raw: RawSettings, provider: Provider[Any]) -> dict[str, RawSetting]:
    """Return the settings that refer to a secret."""
    schemas = schemas_of(provider.settings)
    return {
        setting: each
        for setting, each in raw.items()
        if isinstance(each.value, dict) and may_refer(schemas.get(setting, {}))
    }


def _read(
    name: str, raw: RawSettings, provider: Provider[Any], secrets: Mapping[str, Secret]
) -> tuple[Settings | None, list[errors.Problem]]:
    """Return a connection's settings, or None, and their problems.

    A reference that `secrets` doesn't resolve is not checked.
    """
    schemas = schemas_of(provider.settings)
    known = [setting for setting in raw if setting in schemas and setting not in _OWN]
    values = {setting: plain(raw[setting], schemas[setting]) for setting in known}
    references = _references_in(raw, provider)
    values |= {setting: secrets.get(setting, _PLACEHOLDER) for setting in references}
    settings, problems = calls.translate_errors(
        provider.name,
        lambda: provider_settings.read(provider.settings, values),
        provider_settings.given_secrets(provider.settings, values),
    )
    paths = {setting: each.location for setting, each in raw.items()}
    return settings, [
        errors.Problem(paths.get(each.path, f"connections.{name}.{each.path}"), each.message)
        for each in problems
        # A placeholder need not be what the setting demands, such as a key as PEM.
        if each.path not in references or each.path in secrets
    ]


def _default_store() -> TokenStore:
    """Return the disk store of this user, or the memory of this process where there can be none."""
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
