"""Rules between settings, as data: their checks, and their JSON Schema."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn._providers.kinds import REQUIRED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


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


def broken(
    rules: Collection[Rule], values: Mapping[str, Any], wrong: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield the setting and the problem of each rule that is broken.

    Args:
        rules: The rules.
        values: The values of all settings.
        wrong: The settings with a wrong value, which is not among `values`.
    """

    def holds(name: str, condition: Any) -> bool:
        value = values[name]
        is_absent = name not in wrong and (value is None or value is REQUIRED or value == "")
        if isinstance(condition, Presence):
            return is_absent is (condition is ABSENT)
        return not is_absent and name not in wrong and _fits(value, condition)

    for rule in rules:
        if all(holds(*each) for each in rule.when.items()) and not holds(
            rule.setting, rule.must_be
        ):
            yield rule.setting, rule.problem


def _fits(value: Any, condition: Any) -> bool:
    if callable(condition):
        return condition(value) is None
    return value in (condition if isinstance(condition, tuple) else (condition,))
