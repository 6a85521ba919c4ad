"""Checks of settings together: defaults, rules, and unused settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from keyturn._providers.data import DATA
from keyturn._providers.key_settings import CertificateSettings, KeySettings
from keyturn._providers.kinds import REQUIRED, WrongValueError, convert, fields_of, kind_of
from keyturn._providers.provider import Provider
from keyturn._providers.rules import ABSENT, GIVEN
from keyturn._providers.settings import (
    ClientSettings,
    Settings,
    read,
)
from keyturn._secret import Secret
from keyturn.testing.provider_kit._canaries import canaries
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._source import compared, is_data_alone, own_classes, own_names
from keyturn.testing.provider_kit._templates import every_template
from keyturn.testing.provider_kit._variants import cases, other_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn._providers.rules import Rule
    from keyturn.testing.provider_kit._subject import Subject

_ROUNDS = 12
# Names that keyturn itself uses.
_KNOWN = {
    "scope",
    *DATA,
    *(
        name
        for cls in (Settings, ClientSettings, KeySettings, CertificateSettings)
        for name in fields_of(cls)
    ),
}


def setting_defaults(subject: Subject) -> None:
    """A setting's default has the right type and passes its check; a secret has no default."""
    for name, field in fields_of(subject.provider.settings).items():
        if field.default is REQUIRED or field.default is None:
            continue
        if kind_of(field.type)[0] is Secret:
            raise CheckFailed(
                f"the setting {name} has a default, and so all its users share one secret.",
                f"let {name} have no default, or None.",
            )
        problem = _default_problem(field)
        if problem:
            raise CheckFailed(
                f"the default of the setting {name} is wrong: it {problem}.",
                f"correct the default of {name}, or its check.",
            )


def settings_alone(subject: Subject) -> None:
    """The mistakes in settings do not depend on settings that were read before."""
    cls = subject.provider.settings
    values = [case.values for case in cases(subject)]
    for name, known in compared(subject.provider).items():
        for value in known if name in fields_of(cls) else ():
            _mistakes(cls, {**values[0], name: value})  # its exceptions are reported
    first = [_mistakes(cls, each) for each in values]
    again = [_mistakes(cls, each) for each in reversed(values)][::-1]
    if first != again or any(first):
        names = {mistake.path for each in (*first, *again) for mistake in each} - {""}
        what = f"the setting {min(names)} is" if names else "settings are"
        raise CheckFailed(
            f"{what} valid or not depending on earlier settings: a check, or problems, has state.",
            "let checks and problems use the value alone.",
        )
    if read(cls, values[0])[0] is read(cls, values[0])[0]:
        raise CheckFailed(
            f"{cls.__name__} returns the same object for different values.",
            "leave __new__ of the settings class as it is.",
        )


def _mistakes(cls: type[Settings], values: Mapping[str, Any]) -> list[Any]:
    return read(cls, values)[1]


def _default_problem(field: Any) -> str | None:
    try:
        value = convert(field.default, field.type)
    except WrongValueError as mistake:
        return str(mistake)
    check = field.metadata.get("check")
    # An empty string means that a setting is left out.
    return check(value) if check and value not in ("", ()) else None


def rules_agree(subject: Subject) -> None:
    """The rules name settings and choices that exist, and every setting and choice can be used."""
    cls = subject.provider.settings
    fields = fields_of(cls)
    for rule in cls.rules:
        conditions = {**rule.when, rule.setting: rule.must_be}
        for name, condition in conditions.items():
            choices = fields[name].metadata.get("choices")
            wanted = condition if isinstance(condition, tuple) else (condition,)
            wrong = [
                each for each in wanted if isinstance(each, str) and choices and each not in choices
            ]
            if wrong:
                raise CheckFailed(
                    f"rules: the one about {rule.setting} has {name} as {wrong[0]!r}, which is "
                    "not one of its choices.",
                    "correct rules.",
                )
        if _is_always(rule, fields) and rule.must_be is ABSENT:
            raise CheckFailed(
                f"rules: the setting {rule.setting} can never be given: the rule that forbids it "
                "always holds.",
                "correct rules.",
            )
    if is_data_alone(subject.provider):
        return
    for name, value in _wanted(subject):
        if not _can_be(subject, name, value):
            raise CheckFailed(
                f"no settings are valid with the setting {name} as {value!r}, whatever the "
                "others are.",
                "correct rules and problems of the settings class: they contradict each other.",
            )


def _is_always(rule: Rule, fields: Mapping[str, Any]) -> bool:
    """Return whether a rule holds for all settings, because its conditions always do."""
    return all(
        condition is GIVEN and fields[name].default is REQUIRED
        for name, condition in rule.when.items()
    )


def _wanted(subject: Subject) -> Iterator[tuple[str, Any]]:
    """Yield the settings that are choices, each with each of its choices."""
    for name, field in fields_of(subject.provider.settings).items():
        yield from ((name, choice) for choice in field.metadata.get("choices") or ())


def _can_be(subject: Subject, name: str, value: Any) -> bool:
    """Return whether settings can be completed around one of them."""
    cls = subject.provider.settings
    fields = fields_of(cls)
    required = {
        key: each for key, each in subject.values.items() if fields[key].default is REQUIRED
    }
    for start in (dict(subject.values), required):
        values = {**start, name: value}
        for _ in range(_ROUNDS):
            settings, mistakes = read(cls, values)
            if settings is not None:
                return True
            for each in mistakes:
                path = each.path
                if path in {name, ""} or path not in fields:
                    continue
                if path in values and fields[path].default is not REQUIRED:
                    del values[path]
                    continue
                found = next(iter(other_values(subject, path)), None)
                values[path] = found
    return False


def unused_names(subject: Subject) -> None:
    """Each setting, and each attribute of the provider's class, is used."""
    provider = subject.provider
    used = own_names(provider) | {
        name
        for template in every_template(subject.effective_provider, of_steps=True)
        for name in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", template)
    }
    used |= {name for rule in provider.settings.rules for name in rule.when}
    fields = fields_of(provider.settings)
    # Where templates are settings themselves, the user decides what is used.
    are_free = DATA.keys() & (fields.keys() - fields_of(Settings).keys())
    for name in () if are_free else fields:
        if name not in used | _KNOWN:
            raise CheckFailed(
                f"the setting {name} is not used.",
                f"use {{{name}}} in a template or settings.{name} in a method, or remove the "
                f"setting {name}.",
            )
    known = {*dir(Provider), *DATA, "settings"}
    for cls in own_classes(provider):
        for name in vars(cls) if issubclass(cls, Provider) else ():
            if not (name.startswith("_") or name in known | used):
                raise CheckFailed(
                    f"{name} is neither a datum nor a method that keyturn knows, and nothing uses "
                    "it.",
                    f"correct the name {name}, or begin it with _ if it is your own.",
                )


def secret_strings(subject: Subject) -> None:
    """A value that is secret in the token request is a secret setting."""
    fields = fields_of(subject.provider.settings)
    # A made-up secret may be equal to another made-up setting.
    changes = canaries(subject)
    hidden = [each.reveal() for each in subject.request(**changes).secrets()]
    settings = subject.settings()
    for name, field in fields.items():
        is_open = kind_of(field.type)[0] is str and not field.metadata.get("choices")
        value = getattr(settings, name)
        if name != "client_id" and is_open and value in hidden:
            raise CheckFailed(
                f"the setting {name} is sent as a secret, but is a plain string, which is shown in "
                "every repr, log and traceback.",
                f"annotate the setting {name} as keyturn.Secret.",
            )
