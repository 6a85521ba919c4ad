"""Settings: classes of typed fields, whose instances are always checked."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

import attrs

from keyturn import errors
from keyturn._common.names import did_you_mean
from keyturn._common.redaction import Redaction
from keyturn._http.keys import is_pem
from keyturn._http.values import DEFECT, defect
from keyturn._providers.bounds import MAX_NAME, MAX_UNKNOWN, size_problem
from keyturn._providers.checks import one_line, scope
from keyturn._providers.fields import choice, domain, file, label, pem, setting, url
from keyturn._providers.kinds import (
    REQUIRED,
    WrongValueError,
    convert,
    fields_of,
    from_form,
    kind_of,
)
from keyturn._providers.rules import Rule, broken, named_in
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

R = TypeVar("R", bound="Record")

# The options of `keyturn.connect`, whose names no setting may have.
OPTION_NAMES = (
    "store",
    "name",
    "policy",
    "margin",
    "timeout",
    "wait",
    "rate_limit",
    "tls",
    "on_event",
)


@dataclass_transform(
    kw_only_default=True,
    frozen_default=True,
    field_specifiers=(setting, label, domain, url, file, pem, choice),
)
class Record:
    """A frozen value with keyword-only fields, checked when it is created."""

    __attrs_attrs__: ClassVar[Any]

    rules: ClassVar[tuple[Rule, ...]] = ()
    """Rules between settings; the JSON Schema has them too."""

    def __init_subclass__(cls) -> None:
        """Make the fields from the annotations, so that no decorator is needed."""
        attrs.frozen(cls, kw_only=True, slots=False, init=False, eq=False, repr=False)
        fields = {field.name for field in cls.__attrs_attrs__}
        if unknown := named_in(cls.rules) - fields:
            raise errors.ConfigurationError(
                f"{cls.__name__} has {len(unknown)} mistake(s):",
                problems=[
                    errors.Problem(
                        "rules", f"name {each}, which is not a setting.{did_you_mean(each, fields)}"
                    )
                    for each in sorted(unknown)
                ],
            )

    def __init__(self, /, **values: Any) -> None:
        failure, problems = None, list[errors.Problem]()
        try:
            problems = _fill(self, values)
        except Exception as error:  # noqa: BLE001 - a check may raise anything, and quote a secret
            failure = defect(f"the settings class {type(self).__name__}", error)
        values.clear()  # a traceback with locals must not show what is in them
        if failure:
            raise failure
        if problems:
            raise errors.ConfigurationError(
                f"{type(self).__name__} has {len(problems)} mistake(s):", problems=problems
            )

    # attrs would compile these three for each class: a third of what it costs to define one.
    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Record)
            and type(self) is type(other)
            and self._values() == other._values()
        )

    def __hash__(self) -> int:
        return hash((type(self), *self._values().items()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._values().items())
        return f"{type(self).__qualname__}({fields})"

    def _values(self) -> dict[str, Any]:
        return attrs.asdict(self, recurse=False)

    def problems(self) -> Iterable[str]:
        """Return what is wrong with values that are each valid; to be overridden.

        The JSON Schema does not have these checks: write a `Rule` in `rules` where one is possible.

        Returns:
            Strings such as `scope: must be absent for a sales channel`.
        """
        return ()


class Settings(Record):
    """The settings of every provider; a provider's own class derives from it, without a decorator.

    Each instance is checked, and all its mistakes are reported at once. The strings of an HTML form
    are accepted: a number as a string, `on` for a checkbox, and an empty string for a
    setting that was left blank.

    Raises:
        keyturn.errors.ConfigurationError: A setting is missing, unknown or wrong.
    """

    token_url: str | None = url(
        "Token URL", "The token endpoint, if it differs from the provider's default.", default=None
    )
    api_url: str | None = url(
        "API URL", "The API's address, if it differs from the provider's default.", default=None
    )
    revocation_url: str | None = url(
        "Revocation URL",
        "The revocation endpoint (RFC 7009), if it differs from the provider's default.",
        default=None,
    )


class ClientSettings(Settings):
    """The settings of a provider whose clients may have no secret."""

    client_id: str = setting("Client ID", "The client's public name.")
    client_secret: Secret | None = setting("Client secret", "The client's secret.", default=None)


class ConfidentialSettings(Settings):
    """The settings of a provider whose clients all have a secret."""

    client_id: str = setting("Client ID", "The client's public name.")
    client_secret: Secret = setting("Client secret", "The client's secret.")


def read(cls: type[R], values: Mapping[str, Any]) -> tuple[R | None, list[errors.Problem]]:
    """Make settings from plain values.

    Args:
        cls: The settings class.
        values: Names and values, as from a configuration file.

    Returns:
        The settings, or None and every mistake; none shows a value.
    """
    settings = cls.__new__(cls)
    problems = _fill(settings, values)
    return (None, problems) if problems else (settings, [])


def value_problem(field: attrs.Attribute[Any], value: Any) -> str | None:
    """Return what is wrong with the plain value of one setting, or None."""
    try:
        _checked(field, from_form(value, field))
    except WrongValueError as mistake:
        return str(mistake)
    return None


def _fill(settings: Record, values: Mapping[str, Any]) -> list[errors.Problem]:
    """Set the fields to values; return every mistake."""
    fields = fields_of(type(settings))
    unknown = [str(name)[:MAX_NAME] for name in values if name not in fields]
    mistakes = {
        name: f"is not known.{did_you_mean(name, fields)}" for name in unknown[:MAX_UNKNOWN]
    }
    takes_forms = isinstance(settings, Settings)
    wrong = set[str]()
    for name, field in fields.items():
        value = values.get(name, field.default)
        settings.__dict__[name] = field.default
        try:
            value = from_form(_bounded(value), field) if takes_forms else value
            settings.__dict__[name] = _checked(field, value)
        except WrongValueError as mistake:
            mistakes[name] = str(mistake)
            wrong |= set() if value is REQUIRED else {name}
    for name, problem in broken(settings.rules, settings.__dict__, wrong):
        mistakes.setdefault(name, problem)
    found = [errors.Problem(name, message) for name, message in mistakes.items()]
    # Values that are each valid may contradict each other.
    if REQUIRED not in settings.__dict__.values():
        own: Any = settings.problems()
        if not hasattr(own, "__iter__"):
            which = f"{type(settings).__name__} returned a wrong {type(own).__name__} from problems"
            own = [f"{which}. {DEFECT}"]
        for each in map(str, own):
            path, colon, message = each.partition(": ")
            if not (colon and path in mistakes):
                found.append(errors.Problem(path, message) if colon else errors.Problem("", each))
    # A check may quote a value, and so may the name of an unknown setting.
    hide = Redaction(given_secrets(type(settings), values)).text if found else str
    return sorted(
        (
            errors.Problem(
                each.path if each.path in fields else hide(each.path), hide(each.message)
            )
            for each in found
        ),
        key=str,
    )


def given_secrets(cls: type[Record], values: Mapping[str, Any]) -> list[Secret]:
    """Return the secret values of settings, whether they are valid or not."""
    fields = fields_of(cls).items()
    given = [
        values.get(name)
        for name, field in fields
        if kind_of(field.type)[0] is Secret or is_pem(values.get(name))
    ]
    # A value that is too large is not read.
    return [secret for each in given if not size_problem(each) for secret in _secrets_in(each)]


def _secrets_in(value: object) -> Iterator[Secret]:
    """Yield the secrets in a value of any type, which may be invalid."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield Secret(str(value))
    elif isinstance(value, (bytes, bytearray)):
        yield Secret(value.decode(errors="replace"))
    elif isinstance(value, (list, tuple, set, frozenset, dict)):
        for each in chain(value, value.values() if isinstance(value, dict) else ()):
            yield from _secrets_in(each)


def _bounded(value: Any) -> Any:
    """Return a value, if it is not too large.

    Raises:
        WrongValueError: It is.
    """
    if problem := size_problem(value):
        raise WrongValueError(problem)
    return value


def _checked(field: attrs.Attribute[Any], value: Any) -> Any:
    """Return a value converted to the field's type.

    Raises:
        WrongValueError: The value is wrong.
    """
    if value is REQUIRED:
        raise WrongValueError("is required")
    is_pem_field = field.metadata.get("pem")
    if is_pem_field and isinstance(value, Secret):  # from a secret reference
        value = value.reveal()
    converted = convert(value, field.type)
    if converted is None or value is field.default:
        return converted
    usual_check = one_line if kind_of(field.type)[0] in {str, Secret} else None
    check = field.metadata.get("check") or usual_check
    problem = scope(converted) if isinstance(converted, tuple) else None
    problem = problem or (check(converted) if check else None)
    if problem:
        raise WrongValueError(problem)
    made: Any = converted
    return Secret(made) if is_pem_field and is_pem(made) else made
