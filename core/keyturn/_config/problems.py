"""Problems of the configuration and of each connection.

A problem of one connection does not affect the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn._common.names import did_you_mean
from keyturn._config.providers import chosen_provider, provider_problems
from keyturn._config.references import RawSetting, reference_problem
from keyturn._config.setting_values import may_refer, plain, schemas_of
from keyturn._providers import calls
from keyturn._providers import settings as provider_settings
from keyturn._secret import Secret
from keyturn._tokens.options import option_problem
from keyturn.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn._config.configuration import Configuration, RawSettings
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

OPTIONS = ("margin", "timeout", "wait", "rate_limit")
_OWN = ("provider", "store", *OPTIONS)
_PLACEHOLDER = Secret("the secret of a reference that is not resolved")
# The secrets of many providers, checked if the provider isn't imported.
COMMON_SECRETS = frozenset({"client_secret", "private_key", "certificate_password"})


def shared_problems(configured: Configuration) -> Iterator[Problem]:
    """Yield the problems that affect all connections, such as secrets that others can read."""
    yield from configured.problems
    yield from key_problems(configured)
    for raw in configured.connections.values():
        for setting, each in raw.items():
            if setting in COMMON_SECRETS:
                yield from _exposed(configured, each)


def key_problems(configured: Configuration) -> Iterator[Problem]:
    """Yield the problems of the encryption keys."""
    for key in configured.store_keys:
        if isinstance(key.value, (dict, str)):
            yield from _exposed(configured, key)
            yield from _reference_problems(key, is_chosen=True)
        else:
            yield Problem(key.location, "must be a reference to a secret, or a list of them")


def problems_of(configured: Configuration, name: str, *, is_chosen: bool = True) -> list[Problem]:
    """Return the problems of one connection.

    Args:
        configured: All connections.
        name: The connection's name.
        is_chosen: Whether the connection is used; if not, its provider is not imported.
    """
    raw, provider = configured.connections[name], None
    found: list[Problem] = []
    if is_chosen and isinstance(getattr(raw.get("provider"), "value", None), str):
        try:
            provider = chosen_provider(raw["provider"].value, configured.path)
        except ConfigurationError as error:
            found += provider_problems(raw["provider"], error)
    if "provider" not in raw:
        found.append(Problem(f"connections.{name}.provider", "is required"))
    schemas = schemas_of(provider.settings) if provider else {}
    for setting, each in raw.items():
        problem = _form_problem(setting, each, schemas, is_known=provider is not None)
        if problem:
            found.append(Problem(each.location, problem))
        is_common = setting in COMMON_SECRETS
        is_secret = schemas.get(setting, {}).get("writeOnly") if provider else is_common
        if setting not in _OWN and is_secret:
            found += _reference_problems(each, is_chosen=is_chosen)
            found += [] if is_common else _exposed(configured, each)
    return found + (read_settings(name, raw, provider, {})[1] if provider else [])


def references_in(raw: RawSettings, provider: Provider[Any]) -> dict[str, RawSetting]:
    """Return the settings that refer to a secret."""
    schemas = schemas_of(provider.settings)
    return {
        setting: each
        for setting, each in raw.items()
        if isinstance(each.value, dict) and may_refer(schemas.get(setting, {}))
    }


def read_settings(
    name: str, raw: RawSettings, provider: Provider[Any], secrets: Mapping[str, Secret]
) -> tuple[Settings | None, list[Problem]]:
    """Return a connection's settings, or None, and their problems.

    An unresolved reference is not checked.
    """
    schemas = schemas_of(provider.settings)
    known = [setting for setting in raw if setting in schemas and setting not in _OWN]
    values = {setting: plain(raw[setting], schemas[setting]) for setting in known}
    references = references_in(raw, provider)
    values |= {setting: secrets.get(setting, _PLACEHOLDER) for setting in references}
    settings, problems = calls.translate_errors(
        provider.name,
        lambda: provider_settings.read(provider.settings, values),
        provider_settings.given_secrets(provider.settings, values),
    )
    paths = {setting: each.location for setting, each in raw.items()}
    return settings, [
        Problem(paths.get(each.path, f"connections.{name}.{each.path}"), each.message)
        for each in problems
        # A placeholder need not be valid for the setting, such as a PEM key.
        if each.path not in references or each.path in secrets
    ]


def _form_problem(
    setting: str, raw: RawSetting, schemas: Mapping[str, Any], *, is_known: bool
) -> str | None:
    """Return the mistake in the type of one value, or None."""
    if setting in OPTIONS:
        return option_problem(setting, plain(raw, {"type": "number"}))
    if setting in _OWN:
        return None if isinstance(raw.value, str) else "must be a string"
    if is_known and setting not in schemas:
        question = did_you_mean(setting, [*schemas, *_OWN])
        return f"is not a setting of this provider.{question}"
    return None


def _reference_problems(raw: RawSetting, *, is_chosen: bool) -> Iterator[Problem]:
    # A missing plugin does not affect connections that do not need it.
    unknown = not is_chosen
    if isinstance(raw.value, dict) and (
        message := reference_problem(raw.value, allow_unknown=unknown)
    ):
        yield Problem(raw.location, message)


def _exposed(configured: Configuration, raw: RawSetting) -> Iterator[Problem]:
    """Yield the problem of a plain secret in a file that others can read."""
    if isinstance(raw.value, str) and not (configured.is_private or raw.from_environment):
        yield Problem(
            raw.location,
            "a plain secret is allowed only in a file that belongs to you and that others can't "
            'read (chmod 600); or use a reference, such as { env = "NAME" }',
        )
