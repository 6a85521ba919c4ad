"""What is wrong with one connection, each mistake with its place and never with a value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._config.raw import RawSetting, revealed
from keyturn._config.references import reference_mistake
from keyturn._names import did_you_mean
from keyturn._plugins import loading as plugins
from keyturn._providers.schema import json_schema
from keyturn._providers.settings import (
    CertificateSettings,
    ClientSettings,
    KeySettings,
)
from keyturn._providers.settings import read as read_settings
from keyturn._secret import Secret
from keyturn._tokens.acquisition import Options, option_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from keyturn._providers.provider import Provider
    from keyturn.errors import Problem

_OPTIONS = tuple(field.name for field in attrs.fields(Options))
_OWN = ("provider", "store", *_OPTIONS)
_NUMBERS = frozenset({"integer", "number", "boolean"})
_WRITTEN_OUT = (
    "a secret may be written out only in a file that is yours and closed to others (chmod 600); or"
    ' refer to it, as in { env = "NAME" }'
)
_PLACEHOLDER = Secret("the secret of a reference that isn't resolved")


def connection_mistakes(
    name: str, given: Mapping[str, RawSetting], known: set[str], *, private: bool, load: bool
) -> Iterator[str]:
    """Yield all mistakes in what was given for a connection; no secret is resolved.

    Args:
        name: The connection's name.
        given: What was given for it.
        known: The names of the installed providers.
        private: Whether the configuration file may hold secrets.
        load: Whether to import the provider; without it only what any provider needs is checked.
    """
    provider, mistakes = _provider(name, given, known, load=load)
    yield from mistakes
    yield from _option_mistakes(given)
    yield from _secret_mistakes(settings_of(given), provider, private=private)
    if provider is not None:
        yield from _setting_mistakes(name, given, provider)


def _provider(
    name: str, given: Mapping[str, RawSetting], known: set[str], *, load: bool
) -> tuple[Provider[Any] | None, list[str]]:
    """Return a connection's provider, if it is to be loaded and can be, and mistakes about it."""
    chosen = given.get("provider")
    if chosen is None:
        return None, [f"connections.{name}.provider: is required"]
    if not isinstance(chosen.value, Secret):
        return None, [f"{chosen.place}: must be a text"]
    provider = chosen.value.reveal()
    if provider not in known:
        question = did_you_mean(provider, known)
        return None, [f"{chosen.place}: no provider is named {provider!r}.{question}"]
    if not load:
        return None, []
    try:
        return plugins.provider(provider), []
    except errors.ConfigurationError as error:
        return None, [f"{chosen.place}: {error}"]


def _option_mistakes(given: Mapping[str, RawSetting]) -> Iterator[str]:
    for option in _OPTIONS:
        if option in given:
            value = plain(given[option], {"type": "number"})
            mistake = option_problem(option, value)
            if mistake:
                yield f"{given[option].place}: {mistake}"
    if "store" in given and not isinstance(given["store"].value, Secret):
        yield f"{given['store'].place}: must be a text"


def _secret_mistakes(
    given: Mapping[str, RawSetting], provider: Provider[Any] | None, *, private: bool
) -> Iterator[str]:
    """Return what is wrong with references, and with secrets that stand in the file themselves.

    Which settings are secrets is known for certain only if the provider is loaded.
    """
    schemas = schemas_of(provider) if provider else _COMMON_SCHEMAS
    for setting, each in given.items():
        schema = schemas.get(setting, {})
        if isinstance(each.value, dict) and schema.get("writeOnly"):
            mistake = reference_mistake(revealed(each.value))
            if mistake:
                yield f"{each.place}: {mistake}"
        bare = isinstance(each.value, Secret) and not each.is_text
        if bare and not private and schema.get("writeOnly"):
            yield f"{each.place}: {_WRITTEN_OUT}"


def store_key_mistakes(keys: Iterable[RawSetting], *, private: bool) -> Iterator[str]:
    """Yield what is wrong with the forms of the store's keys; none is resolved.

    Args:
        keys: The keys as the configuration file gives them.
        private: Whether the configuration file may hold secrets.
    """
    for each in keys:
        if isinstance(each.value, dict):
            mistake = reference_mistake(revealed(each.value))
        elif isinstance(each.value, Secret):
            mistake = None if private else _WRITTEN_OUT
        else:
            mistake = "must be a reference to a secret, or a list of such"
        if mistake:
            yield f"{each.place}: {mistake}"


def _setting_mistakes(
    name: str, given: Mapping[str, RawSetting], provider: Provider[Any]
) -> Iterator[str]:
    """Yield what the provider finds wrong, taking any reference for a secret in good order."""
    schemas = schemas_of(provider)
    values = {}
    references = set()
    for setting, each in settings_of(given).items():
        if setting not in schemas:
            question = did_you_mean(setting, [*schemas, *_OWN])
            yield f"{each.place}: is not a setting of this provider.{question}"
            continue
        if isinstance(each.value, dict) and schemas[setting].get("writeOnly"):
            references.add(setting)
            values[setting] = _PLACEHOLDER
        else:
            values[setting] = plain(each, schemas[setting])
    _, mistakes = read_settings(provider.settings, values)
    yield from placed((each for each in mistakes if each.path not in references), name, given)


def placed(mistakes: Iterable[Problem], name: str, given: Mapping[str, RawSetting]) -> list[str]:
    """Return a provider's mistakes with the place of each setting instead of its bare name."""
    found = []
    for mistake in mistakes:
        setting, what = mistake.path, mistake.message
        place = given[setting].place if setting in given else f"connections.{name}.{setting}"
        found.append(f"{place}: {what}")
    return found


def plain(given: RawSetting, schema: Mapping[str, Any]) -> Any:
    """Return a setting's value as a provider reads it; a secret stays wrapped."""
    if schema.get("writeOnly") and isinstance(given.value, Secret):
        return given.value
    value = revealed(given.value)
    kinds = schema.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if given.is_text and kinds & {"object", *_NUMBERS}:
        try:
            return json.loads(value if "object" in kinds else value.lower())
        except (ValueError, RecursionError):
            return value
    return value


def settings_of(given: Mapping[str, RawSetting]) -> dict[str, RawSetting]:
    """Return what was given for the provider's settings alone."""
    return {setting: each for setting, each in given.items() if setting not in _OWN}


def options_of(given: Mapping[str, RawSetting]) -> Options:
    """Return the options, in which `connection_mistakes` found no mistake."""
    options = {name: plain(given[name], {"type": "number"}) for name in _OPTIONS if name in given}
    return Options(**options)


def schemas_of(provider: Provider[Any]) -> dict[str, Any]:
    """Return the JSON Schemas of a provider's settings by their names."""
    schemas: dict[str, Any] = json_schema(provider.settings, provider.name)["properties"]
    return schemas


_COMMON_SCHEMAS: dict[str, Any] = {
    name: schema
    for settings in (ClientSettings, KeySettings, CertificateSettings)
    for name, schema in json_schema(settings, "")["properties"].items()
}
