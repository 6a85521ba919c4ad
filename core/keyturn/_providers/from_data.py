"""Providers described by data alone: a table, as TOML has it, or the settings of a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from keyword import kwlist
from typing import TYPE_CHECKING, Any, Literal

from keyturn import errors
from keyturn._names import did_you_mean
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.kinds import WrongValueError, convert, fields_of, kind_of
from keyturn._providers.problems import problems
from keyturn._providers.provider import Provider
from keyturn._providers.settings import (
    CertificateSettings,
    ClientSettings,
    ConfidentialSettings,
    KeySettings,
    Record,
    Settings,
    choice,
    domain,
    label,
    read,
    setting,
    url,
)
from keyturn._secret import Secret
from keyturn.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CREDENTIALS: dict[str, type[Settings]] = {
    "client_secret": ConfidentialSettings,
    "public": ClientSettings,
    "private_key": KeySettings,
    "certificate": CertificateSettings,
    "none": Settings,
}
_USUAL_CREDENTIALS = {"private_key_jwt": "private_key", "tls_client_auth": "certificate"}
CREDENTIALS = {
    name: field
    for cls in (KeySettings, CertificateSettings, ClientSettings)
    for name, field in fields_of(cls).items()
    if name not in fields_of(Settings)
}
"""The fields of the credentials of any kind."""
# As in `KEYTURN_CONNECTIONS__NAME__SETTING`, where `__` separates and case makes no difference.
_NAME_REGEX = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_RESERVED_NAMES = frozenset({"self", "uuid", *kwlist})
_KINDS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "text": (str, setting),
    "label": (str, label),
    "url": (str, url),
    "domain": (str, domain),
    "secret": (Secret, setting),
    "choice": (str, choice),
    "integer": (int, setting),
    "scope": (tuple[str, ...], setting),
}


def provider_from_data(description: Mapping[str, Any], *, name: str | None = None) -> Provider[Any]:
    """Return the provider that a description describes.

    Args:
        description: What a TOML file holds: the data of a provider, `credentials`, and `settings`
            with a table for each setting; see the page «Providers as data» of the reference. Or
            `settings` is a class derived from `Settings`.
        name: The provider's name, if the description does not have it.

    Raises:
        keyturn.errors.ConfigurationError: There are mistakes in it; all of them are named.

    Example:
        >>> import keyturn
        >>> acme = keyturn.plugins.provider_from_data(
        ...     {"name": "acme", "token_url": "https://acme.example/oauth/token"}
        ... )
        >>> acme.settings_schema()["required"]
        ['client_id', 'client_secret']
    """
    if not isinstance(description, Mapping):
        raise errors.ConfigurationError("the description of a provider must be a table.")
    known = [*DATA, "settings", "credentials"]
    mistakes = [
        Problem(str(key), f"is not known.{did_you_mean(str(key), known)}")
        for key in description
        if key not in known
    ]
    name = description.get("name") if name is None else name
    if description.get("name", name) != name:
        mistakes.append(Problem("name", f"must be {name}, which the provider is registered as"))
    settings, found = _settings_class(description)
    values = {**description, "name": name}
    namespace = {key: _converted(key, values[key]) for key in DATA if key in values}
    namespace["settings"] = settings
    provider: Provider[Any] = type("DescribedProvider", (Provider,), namespace)()
    mistakes += [*found, *problems(provider)]
    if mistakes:
        raise errors.ConfigurationError(
            f"the description of provider {name} has {len(mistakes)} mistake(s):",
            problems=mistakes,
        )
    return provider


def provider_from_toml(
    content: bytes, source: str, *, name: str | None = None, usual_name: str = ""
) -> Provider[Any]:
    """Return the provider that a TOML document describes.

    Args:
        content: The document.
        source: Where it is from, for the error.
        name: The name that the provider must have, if that is given.
        usual_name: Its name if neither that nor the document says one.

    Raises:
        keyturn.errors.ConfigurationError: It is not TOML, or there are mistakes in it.
    """
    import tomllib

    try:
        description = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
    else:
        return provider_from_data(description, name=name or description.get("name", usual_name))
    raise errors.ConfigurationError(f"the description {source} is not TOML ({problem}).")


def _converted(name: str, value: Any) -> Any:
    """Return a datum as a provider's class has it; a wrong one as it is, to be reported."""
    try:
        return convert(value, datum_types()[name])
    except WrongValueError:
        return value


def _settings_class(description: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    """Return the settings class, and the mistakes in its description."""
    tables = description.get("settings", {})
    if isinstance(tables, type):
        return tables, []
    way = str(description.get("client_authentication"))
    usual = _USUAL_CREDENTIALS.get(way, "client_secret")
    base = _CREDENTIALS.get(str(description.get("credentials", usual)))
    if base is None:
        return Settings, [Problem("credentials", f"must be one of {', '.join(_CREDENTIALS)}")]
    if not isinstance(tables, Mapping):
        return Settings, [Problem("settings", "must be a table with a table for each setting")]
    fields: dict[str, tuple[Any, Any]] = {}
    mistakes: list[Problem] = []
    for key, table in tables.items():
        found = list(_setting_problems(key, table))
        mistakes += [Problem(f"settings.{key}{path}", message) for path, message in found]
        if not found:
            fields[key] = _field(table, key)
    return settings_class(base, fields), mistakes


def settings_class(base: type[Settings], fields: Mapping[str, tuple[Any, Any]]) -> type[Settings]:
    """Return a settings class with further fields: by name, each with its type and declaration."""
    namespace: dict[str, Any] = {name: field for name, (_, field) in fields.items()}
    namespace["__annotations__"] = {name: annotation for name, (annotation, _) in fields.items()}
    return type("DescribedSettings", (base,), {"__module__": __name__, **namespace})


def _choices_problem(choices: Any) -> str | None:
    values = choices if isinstance(choices, list) else []
    if isinstance(choices, dict):
        groups = [each.values() if isinstance(each, dict) else [each] for each in choices.values()]
        values = [each for group in groups for each in group]
    if values and all(isinstance(each, str) for each in values):
        return None
    return "must be a list of strings, or a table of strings or of tables of strings"


class _SettingTable(Record):
    """The table of one setting in a description."""

    kind: Literal["text", "label", "url", "domain", "secret", "choice", "integer", "scope"] = (
        setting("Kind", default="text")
    )
    title: str = setting("Title")
    description: str = setting("Description", default="", check=lambda _: None)
    optional: bool = setting("Optional", default=False)
    choices: Any = setting("Choices", default=None, check=_choices_problem)
    default: Any = setting("Default", default=None)

    def problems(self) -> Iterator[str]:
        """Return what is wrong with the choices or the default."""
        if (self.kind == "choice") != (self.choices is not None):
            yield "choices: must be given if kind is choice, and absent if not"
        elif self.default is not None:
            required = {"kind": self.kind, "title": self.title, "choices": self.choices}
            cls = settings_class(Settings, {"default": _field(required)})
            yield from map(str, read(cls, {"default": self.default})[1])


def _setting_problems(key: Any, table: Any) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a setting: where in its table, and what."""
    is_name = isinstance(key, str) and _NAME_REGEX.fullmatch(key)
    if not is_name or hasattr(Record, key) or key in {*_RESERVED_NAMES, *fields_of(Settings)}:
        yield "", "can't be the name of a setting"
    if not isinstance(table, Mapping):
        yield "", "must be a table with kind and title"
        return
    mistakes = read(_SettingTable, table)[1]
    yield from ((f".{mistake.path}", mistake.message) for mistake in mistakes)
    kind = _KINDS.get(str(table.get("kind", "text")), (None, None))[0]
    usual = kind_of(CREDENTIALS[key].type)[0] if key in CREDENTIALS else kind
    if kind and kind is not usual:
        word = "secret" if usual is Secret else "text"
        yield ".kind", f"must be {word}, as the credential of that name is"


def _field(table: Mapping[str, Any], name: str = "") -> tuple[Any, Any]:
    """Return the type and the declaration of a setting; a credential keeps its check."""
    annotation, declare = _KINDS[table.get("kind", "text")]
    arguments: dict[str, Any] = {}
    if name in CREDENTIALS and declare is setting:
        arguments["check"] = CREDENTIALS[name].metadata["check"]
    if table.get("choices"):
        listed = table["choices"]
        arguments["choices"] = (
            {each: each for each in listed} if isinstance(listed, list) else listed
        )
    if "default" in table:
        arguments["default"] = convert(table["default"], annotation)
    elif table.get("optional"):
        arguments["default"] = None
        annotation |= None
    return annotation, declare(table["title"], table.get("description", ""), **arguments)
