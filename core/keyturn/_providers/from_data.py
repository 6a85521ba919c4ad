"""Providers described by data alone, as in a TOML file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from keyword import kwlist
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.urls import DOMAIN_PATTERN, domain_problem
from keyturn._providers import data as provider_data
from keyturn._providers.provider import Provider
from keyturn._providers.schema import kind_of
from keyturn._providers.settings import (
    CertificateSettings,
    ClientSettings,
    ConfidentialSettings,
    KeySettings,
    Settings,
    choice,
    did_you_mean,
    label,
    read,
    setting,
    url,
)
from keyturn._rate_limit import RateLimit
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OWN_KEYS = ("settings", "credentials")
_CREDENTIALS: dict[str, type[Settings]] = {
    "client_secret": ConfidentialSettings,
    "public": ClientSettings,
    "private_key": KeySettings,
    "certificate": CertificateSettings,
    "none": Settings,
}
_USUAL_CREDENTIALS = {"private_key_jwt": "private_key", "tls_client_auth": "certificate"}
# How the parts of a token request that are known by their names must be given.
_CREDENTIAL_KINDS = {
    field.name: kind_of(field.type)[0]
    for cls in _CREDENTIALS.values()
    for field in attrs.fields(attrs.resolve_types(cls))
}
# As in `KEYTURN_CONNECTIONS__NAME__SETTING`, where only case and `__` tell what is what.
_NAME_REGEX = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_PROVIDER_NAME_REGEX = re.compile(r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*")
_NO_NAMES = frozenset({"self", "uuid", *kwlist})
_SETTING_KEYS = ("kind", "title", "description", "default", "optional", "choices")


def provider_from_data(
    name: str, description: Mapping[str, Any], *, settings: type[Settings] | None = None
) -> Provider[Any]:
    """Return the provider that a description describes.

    Args:
        name: The provider's name.
        description: What a TOML file holds: the data of a provider, `credentials`, and `settings`
            with a table for each setting; see the page «Providers as data» of the reference.
        settings: The settings class, if `credentials` and `settings` don't describe it.

    Raises:
        keyturn.errors.ConfigurationError: There are mistakes in it; all of them are named.

    Example:
        >>> import keyturn
        >>> acme = keyturn.plugins.described("acme", {"token_url": "https://acme.example/oauth/token"})
        >>> acme.settings_schema()["required"]
        ['client_id', 'client_secret']
    """
    if not (isinstance(name, str) and _PROVIDER_NAME_REGEX.fullmatch(name)):
        raise errors.ConfigurationError(
            "a provider's name has letters, digits and inner . _ or - alone."
        )
    if not isinstance(description, Mapping) or not all(isinstance(key, str) for key in description):
        raise errors.ConfigurationError(f"the description of provider {name} must be a table.")
    known = provider_data.kinds()
    data = {key: value for key, value in description.items() if key not in _OWN_KEYS}
    mistakes = [
        f"{key}: is not known.{did_you_mean(key, [*known, *_OWN_KEYS])}"
        for key in data
        if key not in known
    ]
    if data.get("name", name) != name:
        mistakes.append("name: is given already, by what the provider is registered as")
    made, found = (settings, []) if settings else _settings_class(name, description)
    values = {key: _converted(value) for key, value in data.items() if key in known}
    described_class = type("DescribedProvider", (Provider,), values)
    provider: Provider[Any] = described_class()
    described_class.name, described_class.settings = name, made  # type: ignore[attr-defined]
    mistakes += [*found, *provider_data.problems(provider)]
    if mistakes:
        raise errors.ConfigurationError(
            f"the description of provider {name} has {len(mistakes)} mistake(s):",
            problems=mistakes,
        )
    return provider


def _converted(value: Any) -> Any:
    """Return a datum as a provider's class has it."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict) and value.keys() == {"per_minute", "burst"}:
        numbers = (int, float)
        if isinstance(value["per_minute"], numbers) and isinstance(value["burst"], numbers):
            return RateLimit(**value)
    return value


def _settings_class(name: str, description: Mapping[str, Any]) -> tuple[type[Settings], list[str]]:
    """Return the settings class, and the mistakes in its description."""
    authentication = str(description.get("client_authentication"))
    usual = _USUAL_CREDENTIALS.get(authentication, "client_secret")
    base = _CREDENTIALS.get(str(description.get("credentials", usual)))
    tables = description.get("settings", {})
    if base is None:
        return Settings, [f"credentials: must be one of {', '.join(_CREDENTIALS)}"]
    if not isinstance(tables, dict) or not all(isinstance(key, str) for key in tables):
        return Settings, ["settings: must be a table with a table for each setting"]
    mistakes = {key: list(_setting_mistakes(key, table)) for key, table in tables.items()}
    right = {key: table for key, table in tables.items() if not mistakes[key]}
    settings = _class_of(right, base, f"The settings of `{name}`.")
    return settings, [f"settings.{key}: {each}" for key in mistakes for each in mistakes[key]]


def _class_of(tables: Mapping[str, Any], base: type[Settings], docstring: str) -> type[Settings]:
    namespace: dict[str, Any] = {"__module__": __name__, "__doc__": docstring}
    annotations = namespace["__annotations__"] = {}
    for key, table in tables.items():
        annotations[key], namespace[key] = _setting(table)
    made: type[Settings] = attrs.frozen(kw_only=True)(type("DescribedSettings", (base,), namespace))
    return made


def _setting_mistakes(key: str, table: Any) -> Iterator[str]:
    if not _NAME_REGEX.fullmatch(key) or hasattr(Settings, key) or key in _NO_NAMES:
        yield "can't be the name of a setting"
    if not isinstance(table, dict):
        yield "must be a table with kind and title"
        return
    for name in table:
        if name not in _SETTING_KEYS:
            yield f"{name} is not known.{did_you_mean(name, _SETTING_KEYS)}"
    found = [*_kind_mistakes(key, table), *_word_mistakes(table)]
    # What is wrong with a default can only be told if the rest is right.
    yield from found or _default_mistakes(table)


def _kind_mistakes(key: str, table: Mapping[str, Any]) -> Iterator[str]:
    kind = str(table.get("kind", "text"))
    usual = _CREDENTIAL_KINDS.get(key)
    if kind not in _KINDS:
        yield f"kind must be one of {', '.join(_KINDS)}"
    elif usual and _KINDS[kind][0] is not usual:
        yield f"kind must be {'secret' if usual is Secret else 'text'}, as credentials have it"
    choices = table.get("choices", {})
    if (kind == "choice") != bool(choices):
        yield "choices must be given if kind is choice, and absent if not"
    elif not _are_choices(choices):
        yield "choices must be a list of texts, or a table of texts or of tables of texts"


def _are_choices(choices: Any) -> bool:
    if isinstance(choices, list):
        return all(isinstance(each, str) for each in choices)
    if not isinstance(choices, dict):
        return False
    groups = [each.values() if isinstance(each, dict) else [each] for each in choices.values()]
    return all(isinstance(each, str) for group in groups for each in group)


def _word_mistakes(table: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(table.get("title"), str):
        yield "title is required, a text"
    if not isinstance(table.get("description", ""), str):
        yield "description must be a text"
    if not isinstance(table.get("optional", False), bool):
        yield "optional must be true or false"


def _default_mistakes(table: Mapping[str, Any]) -> Iterator[str]:
    if "default" in table:
        required = {**table, "optional": False}
        default = required.pop("default")
        _, mistakes = read(_class_of({"default": required}, Settings, ""), {"default": default})
        yield from (mistake.replace(": ", " ", 1) for mistake in mistakes)


def _setting(table: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the annotation and the field of a setting."""
    annotation, declare = _KINDS[table.get("kind", "text")]
    default = table.get("default", None if table.get("optional") else attrs.NOTHING)
    choices = table.get("choices")
    if isinstance(choices, list):
        choices = {each: each for each in choices}
    if annotation is Secret and isinstance(default, str):
        default = Secret(default)
    elif declare is _scope and isinstance(default, (str, list)):
        default = tuple(default.split() if isinstance(default, str) else default)
    more = {"choices": choices} if declare is choice else {}
    field = declare(table["title"], table.get("description", ""), default=default, **more)
    return (annotation | None if default is None else annotation), field


def _domain(title: str, description: str, *, default: Any) -> Any:
    schema = {"pattern": DOMAIN_PATTERN, "maxLength": 253}
    return setting(title, description, default=default, check=domain_problem, schema=schema)


def _scope(title: str, description: str, *, default: Any) -> Any:
    return setting(title, description, default=default)


_KINDS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "text": (str, setting),
    "label": (str, label),
    "url": (str, url),
    "domain": (str, _domain),
    "secret": (Secret, setting),
    "choice": (str, choice),
    "integer": (int, setting),
    "scope": (tuple[str, ...], _scope),
}
