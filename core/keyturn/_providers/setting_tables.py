"""The settings of a description: a table for each, made into a settings class."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from keyword import kwlist
from typing import Any, Literal

from keyturn import errors
from keyturn._http.steps import STEP_NAMES
from keyturn._providers.checks import between, matches
from keyturn._providers.client_authentication import NEEDED_SETTINGS
from keyturn._providers.fields import choice, domain, file, label, pem, setting, title_of, url
from keyturn._providers.key_settings import CertificateSettings, KeySettings
from keyturn._providers.kinds import REQUIRED, choice_problem, convert, fields_of, kind_of
from keyturn._providers.patterns import number_check, pattern_problem, text_check
from keyturn._providers.rules import ABSENT, Rule
from keyturn._providers.settings import (
    ClientSettings,
    ConfidentialSettings,
    Record,
    Settings,
    read,
)
from keyturn._secret import Secret

# The type of a field, and its declaration.
Field = tuple[Any, Any]


class _CertificateAndSecret(CertificateSettings):
    """The settings of a provider whose clients have a certificate and a secret."""

    client_secret: Secret = setting("Client secret", "The client's secret.")


CREDENTIALS: dict[str, type[Settings]] = {
    "client_secret": ConfidentialSettings,
    "public": ClientSettings,
    "private_key": KeySettings,
    "certificate": CertificateSettings,
    "client_secret_and_certificate": _CertificateAndSecret,
    "none": Settings,
}
CREDENTIAL_FIELDS = {
    name: field
    for cls in (KeySettings, CertificateSettings, ClientSettings)
    for name, field in fields_of(cls).items()
    if name not in fields_of(Settings)
}
# As in `KEYTURN_CONNECTIONS__NAME__SETTING`, where `__` separates and case is ignored.
_NAME_REGEX = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_RESERVED_NAMES = frozenset({"self", "uuid", "token", "request", *STEP_NAMES, *kwlist})
KINDS: dict[str, tuple[Any, Callable[..., Any]]] = {
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
# The keys of a setting that only some kinds have.
_KINDS_WITH = {
    "pattern": ("text", "secret"),
    "format": ("text",),
    "min_length": ("text", "secret"),
    "max_length": ("text", "secret"),
    "min": ("integer",),
    "max": ("integer",),
}
_LONGEST = 1000
_ADDRESSES = ("token_url", "api_url", "revocation_url")
# RFC 3986 section 5.2.4: they are removed from a path, with the segment before them.
_DOTS = matches(r"\.{1,2}", "must be . or ..")
_PLACEHOLDER = r"\{([^{}]+)\}"
_NEEDED = "is required for the token endpoint's address"
_NEEDED_BEFORE = "is required for the address of the request before"


def settings_class(description: Mapping[str, Any], mistakes: list[errors.Problem]) -> Any:
    """Return the settings class, and add the mistakes in its description to `mistakes`."""
    tables = description.get("settings", {})
    if isinstance(tables, type):
        return tables
    way = str(description.get("client_authentication"))
    credentials = description.get("credentials", NEEDED_SETTINGS.get(way, "client_secret"))
    problem = choice_problem(credentials, CREDENTIALS)
    if problem or not isinstance(tables, Mapping):
        mistakes.append(
            errors.Problem("credentials", problem)
            if problem
            else errors.Problem("settings", "must be a table with a table for each setting")
        )
        return Settings
    fields: dict[str, Field] = {}
    for key, table in tables.items():
        found = list(_setting_problems(key, table))
        mistakes += found
        if not found:
            fields[key] = _SettingTable(**_whole(key, table)).field(key)
        elif _is_free(key):
            # One mistake is reported once: templates may name the setting.
            fields.setdefault(key, (str, setting(key)))
    if "scope" not in tables:
        fields |= _usual_scope(description)
    return class_with(CREDENTIALS[credentials], fields, _address_rules(description, fields))


def _is_free(key: object) -> bool:
    """Return whether a class of settings can have an attribute of this name."""
    is_name = isinstance(key, str) and key.isidentifier()
    return is_name and not (key in _RESERVED_NAMES or hasattr(Settings, str(key)))


def scope_problem(description: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a description's `scope`, or None."""
    wanted = description.get("scope", "required")
    if wanted is not False and wanted != "required":
        return (
            'must be "required", or false for no setting of that name. A scope that is always '
            'the same is the default of a setting: write settings.scope.default = "…"'
        )
    tables = description.get("settings", {})
    if "scope" in description and (isinstance(tables, type) or "scope" in tables):
        return "must be absent if the settings have a scope"
    return None


def _usual_scope(description: Mapping[str, Any]) -> dict[str, Field]:
    """Return the setting `scope` by its name, if a token request sends one."""
    wanted = description.get("scope")
    name, parameters = description.get("scope_name", "scope"), description.get("parameters", {})
    is_fixed = isinstance(parameters, Mapping) and name in [*parameters]
    is_sent = name and not is_fixed
    if wanted != "required" and (wanted is False or not is_sent):
        return {}
    declared = _SettingTable(
        kind="scope",
        title="Scope",
        description="What the token is for: one or several scope values.",
        optional=wanted != "required",
    )
    return {"scope": declared.field()}


def _address_rules(description: Mapping[str, Any], fields: Mapping[str, Field]) -> tuple[Rule, ...]:
    """Return the rules for settings in the templates of addresses.

    Those of the token endpoint, and of steps before it, are required; a part of a path is neither
    `.` nor `..`.
    """
    steps = list(_step_addresses(description))
    rules = [
        Rule(names[0], problem, when=dict.fromkeys((*moved, *names[1:]), ABSENT))
        for url, problem, moved in (
            (description.get("token_url"), _NEEDED, ("token_url",)),
            *((each, _NEEDED_BEFORE, ()) for each in steps),
        )
        for names in _names_in(url, _PLACEHOLDER)
        if all(name in fields and kind_of(fields[name][0])[1] for name in names)
    ]
    rules += [
        Rule(name, "must not be . or .., as it is a part of a path", {name: _DOTS}, ABSENT)
        for url in (*map(description.get, _ADDRESSES), *steps)
        for names in _names_in(url, rf"[^/]/{_PLACEHOLDER}(?=/|\Z)")
        for name in names
        if name in fields and kind_of(fields[name][0])[0] is str
    ]
    return tuple(each for number, each in enumerate(rules) if each not in rules[:number])


def _step_addresses(description: Any) -> Iterator[object]:
    """Yield the addresses of the steps before a described request."""
    for name, key in (("discovery", "url"), ("previous", "token_url")):
        step = description.get(name)
        if isinstance(step, Mapping):
            yield step.get(key)
            yield from _step_addresses(step)


def _names_in(url: object, pattern: str) -> Iterator[tuple[str, ...]]:
    """Yield the names in each placeholder of an address: several if the first one set is used."""
    for found in re.findall(pattern, str(url)):
        yield tuple(each.partition("[")[0] for each in found.split("|"))


def class_with(
    base: type[Record], fields: Mapping[str, Field], rules: tuple[Rule, ...] = ()
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
    pattern: str | None = setting("Pattern", default=None, check=pattern_problem)
    format: Literal["uuid", "email", "uri", "hostname", "date"] | None = setting(
        "Format", default=None
    )
    min_length: int | None = setting("Least length", default=None, check=between(1, _LONGEST))
    max_length: int | None = setting("Most length", default=None, check=between(1))
    min: int | None = setting("Least", default=None)
    max: int | None = setting("Most", default=None)

    def problems(self) -> Iterator[str]:
        """Return what is wrong with the bounds, the choices or the default."""
        bounds = {name: getattr(self, name) for name in _KINDS_WITH}
        for name, kinds in _KINDS_WITH.items():
            if bounds[name] is not None and self.kind not in kinds:
                yield f"{name}: is for the kind {' or '.join(kinds)} only"
        for least, most in (("min", "max"), ("min_length", "max_length")):
            if None not in {bounds[least], bounds[most]} and bounds[least] > bounds[most]:
                yield f"{least}: must not be more than {most}"
        if (self.kind == "choice") != (self.choices is not None):
            yield "choices: must be given if kind is choice, and absent if not"
        elif self.default is not None:
            table = _SettingTable(kind=self.kind, title=self.title, choices=self.choices, **bounds)
            cls = class_with(Record, {"default": table.field()})
            yield from map(str, read(cls, {"default": self.default})[1])

    def field(self, name: str = "") -> Field:
        """Return the type and the declaration of the setting; a credential keeps its own check."""
        annotation, declare = KINDS[self.kind]
        default = REQUIRED if self.default is None else convert(self.default, annotation)
        if self.optional and self.default is None:
            annotation, default = annotation | None, None
        further = self._check()
        if name in CREDENTIAL_FIELDS and declare is setting:
            usual = CREDENTIAL_FIELDS[name].metadata
            if "file" in usual:
                declare = pem if "pem" in usual else file
            elif usual["check"]:
                further["check"] = usual["check"]
        if self.choices is not None:
            further["choices"] = (
                {each: each for each in self.choices}
                if isinstance(self.choices, list)
                else self.choices
            )
        return annotation, declare(self.title, self.description, default=default, **further)

    def _check(self) -> dict[str, Any]:
        """Return the check of the pattern, the format and the bounds, if there is one."""
        check = number_check(self.min, self.max)
        if self.kind in {"text", "secret"}:
            check = text_check(
                pattern=self.pattern,
                form=self.format,
                least=self.min_length,
                most=self.max_length,
            )
        return {"check": check} if check else {}


def _whole(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a setting with its title and its kind, unless it has these."""
    usual = {"title": title_of(name)}
    if name in CREDENTIAL_FIELDS:
        usual["kind"] = _kind_of_credential(name)
        usual["description"] = CREDENTIAL_FIELDS[name].metadata["description"]
    elif "choices" in table or name == "scope":
        usual["kind"] = "choice" if "choices" in table else "scope"
    return usual | dict(table)


def _kind_of_credential(name: str) -> str:
    return "secret" if kind_of(CREDENTIAL_FIELDS[name].type)[0] is Secret else "text"


SETTING_KEYS = tuple(fields_of(_SettingTable))


def _setting_problems(key: Any, table: Any) -> Iterator[errors.Problem]:
    """Yield what is wrong with a setting."""
    path = f"settings.{key}"
    is_name = isinstance(key, str) and _NAME_REGEX.fullmatch(key)
    if not is_name or hasattr(Record, key) or key in {*_RESERVED_NAMES, *fields_of(Settings)}:
        yield errors.Problem(path, "can't be the name of a setting")
    if not isinstance(table, Mapping):
        yield errors.Problem(path, "must be a table with kind and title")
        return
    whole = _whole(str(key), table)
    for mistake in read(_SettingTable, whole)[1]:
        yield errors.Problem(f"{path}.{mistake.path}", mistake.message)
    metadata = CREDENTIAL_FIELDS[key].metadata if key in CREDENTIAL_FIELDS else {}
    if metadata.get("check") or "file" in metadata:
        for name in _KINDS_WITH.keys() & table.keys():
            yield errors.Problem(
                f"{path}.{name}", "can't be set: this credential has its own check"
            )
    kind, _ = KINDS.get(str(whole.get("kind")), (None, None))
    if kind and key in CREDENTIAL_FIELDS and kind is not KINDS[_kind_of_credential(key)][0]:
        problem = f"must be {_kind_of_credential(key)}, as the credential of that name is"
        yield errors.Problem(f"{path}.kind", problem)
