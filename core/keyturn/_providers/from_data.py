"""Providers described by data alone: a table, as TOML has it, or the settings of a connection."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from keyword import kwlist
from typing import TYPE_CHECKING, Any, Literal

import attrs

from keyturn import errors
from keyturn._names import did_you_mean
from keyturn._providers.calls import NEEDED_SETTINGS, problems
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.fields import choice, domain, file, label, setting, url
from keyturn._providers.kinds import (
    REQUIRED,
    WrongValueError,
    choice_problem,
    convert,
    fields_of,
    kind_of,
)
from keyturn._providers.provider import Provider
from keyturn._providers.rules import ABSENT, Rule
from keyturn._providers.settings import (
    CertificateSettings,
    ClientSettings,
    ConfidentialSettings,
    KeySettings,
    Record,
    Settings,
    read,
)
from keyturn._secret import Secret

# The type of a field, and its declaration.
_Field = tuple[Any, Any]

_CREDENTIALS: dict[str, type[Settings]] = {
    "client_secret": ConfidentialSettings,
    "public": ClientSettings,
    "private_key": KeySettings,
    "certificate": CertificateSettings,
    "none": Settings,
}
_CREDENTIAL_FIELDS = {
    name: field
    for cls in (KeySettings, CertificateSettings, ClientSettings)
    for name, field in fields_of(cls).items()
    if name not in fields_of(Settings)
}
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
    "file": (str, file),
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
        errors.Problem(str(key), f"is not known.{did_you_mean(str(key), known)}")
        for key in description
        if key not in known
    ]
    name = description.get("name") if name is None else name
    if description.get("name", name) != name:
        mistakes.append(
            errors.Problem("name", f"must be {name}, which the provider is registered as")
        )
    values = {**description, "name": name}
    data: dict[str, Any] = {"settings": _settings_class(description, mistakes)}
    for key in DATA.keys() & values.keys():
        data[key] = values[key]
        with contextlib.suppress(WrongValueError):  # a wrong one stays as it is, to be reported
            data[key] = convert(values[key], datum_types()[key])
    provider: Provider[Any] = type("DescribedProvider", (Provider,), data)()
    mistakes += problems(provider)
    if mistakes:
        raise errors.ConfigurationError(
            f"the description of provider {name} has {len(mistakes)} mistake(s):",
            problems=mistakes,
        )
    return provider


def _settings_class(description: Mapping[str, Any], mistakes: list[errors.Problem]) -> Any:
    """Return the settings class, and add the mistakes in its description to those known."""
    tables = description.get("settings", {})
    if isinstance(tables, type):
        return tables
    way = str(description.get("client_authentication"))
    credentials = description.get("credentials", NEEDED_SETTINGS.get(way, "client_secret"))
    problem = choice_problem(credentials, _CREDENTIALS)
    if problem or not isinstance(tables, Mapping):
        mistakes.append(
            errors.Problem("credentials", problem)
            if problem
            else errors.Problem("settings", "must be a table with a table for each setting")
        )
        return Settings
    fields: dict[str, _Field] = {}
    for key, table in tables.items():
        found = list(_setting_problems(key, table))
        mistakes += found
        if not found:
            fields[key] = _SettingTable(**table).field(key)
    return _class_with(_CREDENTIALS[credentials], fields, _address_rules(description, fields))


def _address_rules(
    description: Mapping[str, Any], fields: Mapping[str, _Field]
) -> tuple[Rule, ...]:
    """Return the rules that require the optional settings which the token endpoint is made of."""
    names = re.findall(r"\{([a-z0-9_]+)", str(description.get("token_url")))
    return tuple(
        Rule(name, "is required for the token endpoint's address", when={"token_url": ABSENT})
        for name in dict.fromkeys(names)
        if name in fields and kind_of(fields[name][0])[1]
    )


def _class_with(
    base: type[Record], fields: Mapping[str, _Field], rules: tuple[Rule, ...] = ()
) -> Any:
    """Return a settings class with further fields: by name, each with its type and declaration."""
    namespace: dict[str, Any] = {name: field for name, (_, field) in fields.items()}
    namespace["__annotations__"] = {name: annotation for name, (annotation, _) in fields.items()}
    namespace |= {"__module__": __name__, "rules": rules}
    return type("DescribedSettings", (base,), namespace)


def _choices_problem(choices: Any) -> str | None:
    values = choices if isinstance(choices, list) else []
    if isinstance(choices, dict):
        tables = (each if isinstance(each, dict) else {"": each} for each in choices.values())
        values = [each for table in tables for each in table.values()]
    if values and all(isinstance(each, str) for each in values):
        return None
    return "must be a list of strings, or a table of strings or of tables of strings"


class _SettingTable(Record):
    """The table of one setting in a description."""

    kind: Literal[
        "text", "label", "url", "domain", "secret", "choice", "integer", "file", "scope"
    ] = setting("Kind", default="text")
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
            table = _SettingTable(kind=self.kind, title=self.title, choices=self.choices)
            cls = _class_with(Record, {"default": table.field()})
            yield from map(str, read(cls, {"default": self.default})[1])

    def field(self, name: str = "") -> _Field:
        """Return the type and the declaration of the setting; a credential keeps its check."""
        annotation, declare = _KINDS[self.kind]
        default = REQUIRED if self.default is None else convert(self.default, annotation)
        if self.optional and self.default is None:
            annotation, default = annotation | None, None
        further: dict[str, Any] = {}
        if name in _CREDENTIAL_FIELDS and declare is setting:
            usual = _CREDENTIAL_FIELDS[name].metadata
            if "file" in usual:
                declare = file
            else:
                further["check"] = usual["check"]
        if self.choices is not None:
            further["choices"] = (
                {each: each for each in self.choices}
                if isinstance(self.choices, list)
                else self.choices
            )
        return annotation, declare(self.title, self.description, default=default, **further)


def _setting_problems(key: Any, table: Any) -> Iterator[errors.Problem]:
    """Yield what is wrong with a setting."""
    path = f"settings.{key}"
    is_name = isinstance(key, str) and _NAME_REGEX.fullmatch(key)
    if not is_name or hasattr(Record, key) or key in {*_RESERVED_NAMES, *fields_of(Settings)}:
        yield errors.Problem(path, "can't be the name of a setting")
    if not isinstance(table, Mapping):
        yield errors.Problem(path, "must be a table with kind and title")
        return
    for mistake in read(_SettingTable, table)[1]:
        yield errors.Problem(f"{path}.{mistake.path}", mistake.message)
    kind, _ = _KINDS.get(str(table.get("kind", "text")), (None, None))
    usual = kind_of(_CREDENTIAL_FIELDS[key].type)[0] if key in _CREDENTIAL_FIELDS else kind
    if kind and kind is not usual:
        word = "secret" if usual is Secret else "text"
        yield errors.Problem(f"{path}.kind", f"must be {word}, as the credential of that name is")


def _title(name: str) -> str:
    title = re.sub(r"\b(?:api|id|url)\b", lambda match: match[0].upper(), name.replace("_", " "))
    return title[0].upper() + title[1:]


_OPTIONAL_CREDENTIALS: dict[str, _Field] = {
    name: (kind_of(field.type)[0] | None, attrs.field(default=None, metadata=field.metadata))
    for name, field in _CREDENTIAL_FIELDS.items()
}
# Settings of every provider, and what a setting can't say.
_NO_SETTINGS = frozenset({"name", "title", "token_url", "api_url", "rate_limit"})
_DATA_FIELDS: dict[str, _Field] = {
    name: (
        datum_types()[name],
        setting(
            _title(name),
            datum.description,
            default=datum.default,
            check=datum.check or (lambda _: None),
        ),
    )
    for name, datum in DATA.items()
    if name not in _NO_SETTINGS
}

if TYPE_CHECKING:

    class _Fields(Settings):
        def __getattr__(self, name: str) -> Any: ...

else:
    _Fields = _class_with(Settings, _OPTIONAL_CREDENTIALS | _DATA_FIELDS)


class DescriptionSettings(_Fields):
    """Credentials of any kind, all optional, and the data of a provider under their own names."""

    def description(self) -> dict[str, Any]:
        """Return the data, as `provider_from_data` takes them, without a name."""
        return {name: getattr(self, name) for name in _DATA_FIELDS} | {"settings": type(self)}
