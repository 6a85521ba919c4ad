"""One connection's settings and their problems: each with its location, none with a value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from keyturn._config.raw import RawSetting, reveal
from keyturn._config.references import reference_problem
from keyturn._names import did_you_mean
from keyturn._options import Options, option_problem
from keyturn._providers import settings as provider_settings
from keyturn._providers.kinds import json_schema
from keyturn._secret import Secret
from keyturn.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

    RawSettings = Mapping[str, RawSetting]

_OPTIONS = tuple(field.name for field in attrs.fields(Options))
_OWN = ("provider", "store", *_OPTIONS)
_NUMBER = {"type": "number"}
_WRITTEN_OUT = (
    "a secret may be written out only in a file that is yours and closed to others (chmod 600);"
    ' or refer to it, as in { env = "NAME" }'
)
_PLACEHOLDER = Secret("the secret of a reference that is not resolved")


def form_problems(
    name: str, raw: RawSettings, provider: Provider[Any] | None, *, is_private: bool
) -> Iterator[Problem]:
    """Yield what is wrong with the form of a connection's settings; no reference is resolved.

    Args:
        name: The connection's name.
        raw: Its settings as they were given.
        provider: Its provider; without it only the secrets that many providers have are checked.
        is_private: Whether the configuration file may hold secrets.
    """
    if "provider" not in raw:
        yield Problem(f"connections.{name}.provider", "is required")
    for key in ("provider", "store"):
        if key in raw and not isinstance(raw[key].value, Secret):
            yield Problem(raw[key].location, "must be a string")
    for option in _OPTIONS:
        if option in raw:
            message = option_problem(option, _plain(raw[option], _NUMBER))
            if message:
                yield Problem(raw[option].location, message)
    schemas = _schemas(provider.settings) if provider else _common_schemas()
    for setting, each in raw.items():
        if schemas.get(setting, {}).get("writeOnly"):
            yield from _secret_problems(each, is_private=is_private)


def store_key_problems(keys: Iterable[RawSetting], *, is_private: bool) -> Iterator[Problem]:
    """Yield what is wrong with the form of the store's keys; no reference is resolved.

    Args:
        keys: The keys as the configuration file gives them.
        is_private: Whether the configuration file may hold secrets.
    """
    for each in keys:
        if isinstance(each.value, (dict, Secret)):
            yield from _secret_problems(each, is_private=is_private)
        else:
            yield Problem(each.location, "must be a reference to a secret, or a list of them")


def _secret_problems(raw: RawSetting, *, is_private: bool) -> Iterator[Problem]:
    message = None
    if isinstance(raw.value, dict):
        message = reference_problem(reveal(raw.value))
    elif isinstance(raw.value, Secret) and not (is_private or raw.from_environment):
        message = _WRITTEN_OUT
    if message:
        yield Problem(raw.location, message)


def references_in(raw: RawSettings, provider: Provider[Any]) -> dict[str, RawSetting]:
    """Return the settings that refer to a secret."""
    schemas = _schemas(provider.settings)
    return {
        setting: each
        for setting, each in raw.items()
        if isinstance(each.value, dict) and schemas.get(setting, {}).get("writeOnly")
    }


def read(
    name: str, raw: RawSettings, provider: Provider[Any], secrets: Mapping[str, Secret]
) -> tuple[Settings | None, list[Problem]]:
    """Return a connection's settings, or None, and their problems.

    Args:
        name: The connection's name.
        raw: Its settings as they were given.
        provider: Its provider.
        secrets: The secrets that its references resolve to. One that is missing is not checked.
    """
    schemas = _schemas(provider.settings)
    values, problems = {}, []
    for setting in [setting for setting in raw if setting not in _OWN]:
        if setting in schemas:
            values[setting] = _plain(raw[setting], schemas[setting])
        else:
            question = did_you_mean(setting, [*schemas, *_OWN])
            message = f"is not a setting of this provider.{question}"
            problems.append(Problem(raw[setting].location, message))
    references = references_in(raw, provider)
    values |= {setting: secrets.get(setting, _PLACEHOLDER) for setting in references}
    settings, found = provider_settings.read(provider.settings, values)
    for each in found:
        setting = each.path
        path = raw[setting].location if setting in raw else f"connections.{name}.{setting}"
        # A placeholder need not be what the setting demands, such as a key as PEM.
        if setting not in references or setting in secrets:
            problems.append(Problem(path, each.message))
    return settings, problems


def options_of(raw: RawSettings) -> Options:
    """Return the options, in which `form_problems` found no problem."""
    return Options(**{name: _plain(raw[name], _NUMBER) for name in _OPTIONS if name in raw})


def _plain(raw: RawSetting, schema: Mapping[str, Any]) -> Any:
    """Return a setting's value as a provider reads it; a secret stays wrapped."""
    if schema.get("writeOnly") and isinstance(raw.value, Secret):
        return raw.value
    value = reveal(raw.value)
    types = schema.get("type", ())
    if raw.from_environment and not {"object", "integer", "number", "boolean"}.isdisjoint(
        [types] if isinstance(types, str) else types
    ):
        try:
            return json.loads(value if "object" in types else value.lower())
        except (ValueError, RecursionError):
            return value
    return value


def _schemas(settings: type[Settings]) -> dict[str, Any]:
    """Return the JSON Schemas of the settings of a class, by their names."""
    schemas: dict[str, Any] = json_schema(settings, "")["properties"]
    return schemas


def _common_schemas() -> dict[str, Any]:
    return {
        **_schemas(provider_settings.ClientSettings),
        **_schemas(provider_settings.KeySettings),
        **_schemas(provider_settings.CertificateSettings),
    }
