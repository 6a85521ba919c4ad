"""Rules between settings, as data: their checks, and their JSON Schema."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn._providers.checks import NamingCheck
from keyturn._providers.kinds import REQUIRED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class Presence(enum.Enum):
    """Whether a setting has a value; one that is None or left blank has none."""

    GIVEN = enum.auto()
    ABSENT = enum.auto()


GIVEN = Presence.GIVEN
ABSENT = Presence.ABSENT


class Rule(NamedTuple):
    """A condition on a setting that depends on other settings.

    A condition is `GIVEN` or `ABSENT`, for a setting without a default; or a value, or a tuple of
    several; or a check that has an equivalent JSON Schema, such as `keyturn.plugins.matches(…)`.

    Args:
        setting: The setting to change when the rule is broken.
        problem: What is wrong with it, such as "is required for an integration".
        when: The other settings and their conditions, all of which hold.
        must_be: The setting's own condition.

    Example:
        >>> import keyturn
        >>> class AcmeSettings(keyturn.plugins.ClientSettings):
        ...     kind: str = keyturn.plugins.choice("Kind", choices={"shop": "s", "office": "o"})
        ...     rules = (
        ...         keyturn.plugins.Rule(
        ...             "client_secret", "is required for an office", when={"kind": "office"}
        ...         ),
        ...     )
        >>> AcmeSettings(client_id="made-up", kind="office")
        Traceback (most recent call last):
        ...
        keyturn.errors.ConfigurationError: AcmeSettings has 1 mistake(s):
          - client_secret: is required for an office
    """

    setting: str
    problem: str
    when: Mapping[str, Any]
    must_be: Any = GIVEN


def named_in(rules: Collection[Rule]) -> set[str]:
    """Return the names of the settings that rules are about."""
    return {name for rule in rules for name in (rule.setting, *rule.when)}


def broken(
    rules: Collection[Rule], values: Mapping[str, Any], wrong: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield the setting and the problem of each rule that is broken.

    Args:
        rules: The rules.
        values: The values of all settings. One that is absent from them fulfils no condition.
        wrong: The settings that were given a wrong value, which is not among `values`.
    """

    def fulfils(name: str, condition: Any) -> bool:
        if name in wrong:
            return condition is GIVEN
        return name in values and holds(values[name], condition)

    for rule in rules:
        is_broken = all(fulfils(*each) for each in rule.when.items()) and not fulfils(
            rule.setting, rule.must_be
        )
        if is_broken and (rule.setting in values or rule.setting in wrong):
            names_it = isinstance(rule.must_be, NamingCheck) and rule.setting not in wrong
            said = rule.must_be(values[rule.setting]) if names_it else rule.problem
            yield rule.setting, said or rule.problem


def holds(value: Any, condition: Any) -> bool:
    """Return whether the value of a setting, which is right by itself, fulfils a condition."""
    if isinstance(condition, Presence):
        is_empty = isinstance(value, (str, Mapping)) and not value
        return (value is None or value is REQUIRED or is_empty) is (condition is ABSENT)
    if value is None or value is REQUIRED:
        return False
    if callable(condition):
        return condition(value) is None
    return value in (condition if isinstance(condition, tuple) else (condition,))
