"""Providers described by data alone, as in a TOML file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors, provider_data
from keyturn._provider import Provider
from keyturn.budget import Budget
from keyturn.secret import Secret
from keyturn.settings import (
    CertificateSettings,
    ClientSettings,
    ConfidentialSettings,
    KeySettings,
    Settings,
    choice,
    did_you_mean,
    label,
    setting,
    url,
)
from keyturn.urls import DOMAIN_PATTERN, domain_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_OWN_KEYS = ("settings", "credentials")
_CREDENTIALS: dict[str, type[Settings]] = {
    "client_secret": ConfidentialSettings,
    "public": ClientSettings,
    "private_key": KeySettings,
    "certificate": CertificateSettings,
    "none": Settings,
}
_USUAL_CREDENTIALS = {"private_key_jwt": "private_key", "tls_client_auth": "certificate"}
_SETTING_KEYS = ("kind", "title", "description", "default", "optional", "choices")


def described(
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
        >>> acme = keyturn.described("acme", {"token_url": "https://acme.example/oauth/token"})
        >>> acme.settings_schema()["required"]
        ['client_id', 'client_secret']
    """
    known = provider_data.kinds()
    data = {key: value for key, value in description.items() if key not in _OWN_KEYS}
    mistakes = [
        f"{key}: is not known.{did_you_mean(key, [*known, *_OWN_KEYS])}"
        for key in data
        if key not in known
    ]
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
            return Budget(**value)
    return value


def _settings_class(name: str, description: Mapping[str, Any]) -> tuple[type[Settings], list[str]]:
    """Return the settings class, and the mistakes in its description."""
    authentication = str(description.get("client_authentication"))
    usual = _USUAL_CREDENTIALS.get(authentication, "client_secret")
    credentials = description.get("credentials", usual)
    tables = description.get("settings", {})
    if credentials not in _CREDENTIALS:
        return Settings, [f"credentials: must be one of {', '.join(_CREDENTIALS)}"]
    if not isinstance(tables, dict):
        return Settings, ["settings: must be a table with a table for each setting"]
    annotations: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    mistakes: list[str] = []
    for key, table in tables.items():
        found = list(_setting_mistakes(key, table))
        mistakes += [f"settings.{key}: {mistake}" for mistake in found]
        if not found:
            annotations[key], fields[key] = _setting(table)
    namespace = {"__annotations__": annotations, "__module__": __name__, **fields}
    made = type("DescribedSettings", (_CREDENTIALS[credentials],), namespace)
    made.__doc__ = f"The settings of `{name}`."
    settings: type[Settings] = attrs.frozen(kw_only=True)(made)
    return settings, mistakes


def _setting_mistakes(key: str, table: Any) -> Iterator[str]:
    if not key.isidentifier() or key.startswith("_") or hasattr(Settings, key):
        yield "can't be the name of a setting"
    if not isinstance(table, dict):
        yield "must be a table with kind and title"
        return
    for name in table:
        if name not in _SETTING_KEYS:
            yield f"{name} is not known.{did_you_mean(name, _SETTING_KEYS)}"
    kind = table.get("kind", "text")
    if kind not in _KINDS:
        yield f"kind must be one of {', '.join(_KINDS)}"
    if not isinstance(table.get("title"), str):
        yield "title is required, a text"
    if (kind == "choice") != bool(_choices(table)):
        yield "choices must be a list or a table of values if kind is choice, and absent if not"
    elif kind == "choice" and table.get("default", next(iter(_choices(table)))) not in _choices(
        table
    ):
        yield "default must be one of the choices"


def _setting(table: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the annotation and the field of a setting."""
    annotation, declare = _KINDS[table.get("kind", "text")]
    default = table.get("default", None if table.get("optional") else attrs.NOTHING)
    more = {"choices": _choices(table)} if declare is choice else {}
    if isinstance(default, list):
        default = tuple(default)
    elif annotation is Secret and isinstance(default, str):
        default = Secret(default)
    field = declare(table["title"], table.get("description", ""), default=default, **more)
    return (annotation | None if default is None else annotation), field


def _choices(table: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = table.get("choices", {})
    if isinstance(choices, list):
        return {str(each): str(each) for each in choices}
    return choices if isinstance(choices, dict) else {}


def _domain(title: str, description: str, *, default: Any) -> Any:
    schema = {"pattern": DOMAIN_PATTERN, "maxLength": 253}
    return setting(title, description, default=default, check=domain_problem, schema=schema)


_KINDS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "text": (str, setting),
    "label": (str, label),
    "url": (str, url),
    "domain": (str, _domain),
    "secret": (Secret, setting),
    "choice": (str, choice),
    "integer": (int, setting),
    "scope": (tuple[str, ...], setting),
}
