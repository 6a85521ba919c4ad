"""Check of a provider's messages for people: warnings, problems and titles."""

from __future__ import annotations

import functools
import hashlib
import itertools
import secrets
from typing import TYPE_CHECKING, Any

from keyturn._common.redaction import Redaction
from keyturn._providers.kinds import WrongValueError, convert, fields_of, kind_of
from keyturn._providers.settings import Settings, read, value_problem
from keyturn._secret import Secret
from keyturn.testing.provider_kit._canaries import LETTERS, canaries_for, is_partly_in
from keyturn.testing.provider_kit._checks_data import PROBES
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._made_up import scope_values, secret_settings
from keyturn.testing.provider_kit._source import compared
from keyturn.testing.provider_kit._variants import cases, other_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import attrs

    from keyturn.testing.provider_kit._subject import Subject

_MOST = 100
_LONGEST = 2000
_DIGESTS = ("md5", "sha1", "sha256", "sha512")


def plugin_messages(subject: Subject) -> None:
    """The provider's messages have one line, are not empty, and contain no secret."""
    for what, text, hidden in itertools.chain(
        _declared(subject), _checks(subject), _spoken(subject)
    ):
        member = what.partition(" ")[0]
        if not isinstance(text, str):
            raise CheckFailed(
                f"{what} is {type(text).__name__}, not a string.",
                f"let {member} give strings of one line.",
            )
        if not text.strip() or len(text) > _LONGEST or not text.isprintable():
            raise CheckFailed(
                f"{what} is empty, too long, or holds control characters: {text[:60]!r}.",
                f"let {member} say in one line what is wrong and what to change.",
            )
        is_whole = hidden and Redaction(map(Secret, hidden)).text(text) != text
        if is_whole or any(_quotes(each, text) for each in hidden):
            raise CheckFailed(
                f"{what} quotes a secret.", f"let {member} name the setting, and never its value."
            )


def _quotes(secret: str, text: str) -> bool:
    """Return whether a string has a part of a generated secret, or a digest of it."""
    if not set(secret) <= set(LETTERS):
        return False
    digests = (hashlib.new(each, secret.encode(), usedforsecurity=False) for each in _DIGESTS)
    return is_partly_in(secret, text) or any(each.hexdigest()[:8] in text for each in digests)


def _declared(subject: Subject) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    provider, cls = subject.provider, subject.provider.settings
    if provider.title:
        yield "title of the provider", provider.title, ()
    for name, field in fields_of(cls).items():
        for part in ("title", "description"):
            if field.metadata.get(part):
                yield f"{name}, the setting, has a {part} which", field.metadata[part], ()
        for choice in field.metadata.get("choices") or ():
            yield f"{name}, the setting, has a choice which", choice, ()
    for rule in cls.rules:
        yield f"rules of {rule.setting}: the problem", rule.problem, ()


def _checks(subject: Subject) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Yield the messages of the checks of settings about wrong values."""
    for name, field in fields_of(subject.provider.settings).items():
        check = field.metadata.get("check")
        if check is None:
            continue
        is_secret = kind_of(field.type)[0] is Secret
        made = f"canary-{secrets.token_hex(8)}"
        printable = (each for each in PROBES if str(each).isprintable())
        for probe in (made, f"{made} ", *printable):
            value = _converted(field, probe)
            found = None if value is None else check(value)
            if found is not None:
                hidden = (made,) if is_secret else ()
                yield f"{name}, the setting: what its check returns", found, hidden


def _converted(field: attrs.Attribute[Any], value: object) -> Any:
    try:
        return convert(value, field.type)
    except WrongValueError:
        return None


def _spoken(subject: Subject) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Yield the warnings, and the problems of settings that contradict each other."""
    cls = subject.provider.settings
    for values in _combinations(subject):
        hidden = tuple(str(values[name]) for name in secret_settings(cls) if values.get(name))
        settings = _unchecked(cls, values)
        problems = _problems(settings)
        yield from (("problems: one of them", each, hidden) for each in problems)
        for each in problems:
            path, colon, message = str(each).partition(": ")
            if colon and " " not in path:
                yield "problems: what one says of a setting", message, ()
                if path not in fields_of(cls):
                    raise CheckFailed(
                        f"problems names {path}, which is not a setting.",
                        "let each of problems begin with the name of a setting, or with none.",
                    )
        if problems or read(cls, values)[0] is None:
            continue
        given: Any = subject.call("warnings", functools.partial(_warnings, subject, settings))
        _require_strings("warnings", given)
        found = subject.call("warnings", functools.partial(_some, given))
        if len(found) > _MOST:
            raise CheckFailed("warnings does not end.", "let warnings return a few strings.")
        yield from (("warnings: one of them", each, hidden) for each in found)


def _require_strings(method: str, given: Any) -> None:
    """Check that a method has returned several strings, or may yield them."""
    advice = f"let {method} return a tuple of strings, or yield each."
    if isinstance(given, str):
        each = method.removesuffix("s")
        raise CheckFailed(
            f"{method} returns a string: each of its characters would be a {each}.", advice
        )
    if not hasattr(given, "__iter__"):
        raise CheckFailed(f"{method} returns {type(given).__name__}, not strings.", advice)


def _problems(settings: Settings) -> list[Any]:
    """Return the result of `problems` for settings, which it must not change."""
    before = dict(vars(settings))
    found: Any = settings.problems()
    _require_strings("problems", found)
    problems = list(itertools.islice(found, _MOST + 1))
    if vars(settings) != before:
        raise CheckFailed("problems changes the settings.", "let problems read them only.")
    return problems


def _warnings(subject: Subject, settings: Settings) -> Any:
    return subject.provider.for_settings(settings).warnings(settings)


def _some(given: Any) -> list[Any]:
    return list(itertools.islice(given, _MOST + 1))


def _combinations(subject: Subject) -> Iterator[Mapping[str, Any]]:
    """Yield settings with secrets that occur nowhere by chance."""
    names = secret_settings(subject.provider.settings)
    for case in cases(subject):
        yield {**case.values, **canaries_for(name for name in names if name in case.values)}
    plain = dict(cases(subject)[0].values)
    plain |= canaries_for(name for name in names if name in plain)
    for values in itertools.islice(scope_values(subject.provider), 1):
        yield {**plain, "scope": values}
    for name, field in fields_of(subject.provider.settings).items():
        known = compared(subject.provider).get(name, ())
        for value in (*itertools.islice(other_values(subject, name), 2), "Made-Up", *known):
            if value_problem(field, value) is None:
                yield {**plain, name: value}
    for short in ("a", "test", "secret", "password", "changeme", "0000000000"):
        given = [name for name in names if name in plain]
        yield {**plain, **{name: f"{short}-{secrets.token_hex(6)}" for name in given}}


def _unchecked(cls: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Return settings in the state in which `problems` reads them."""
    settings = cls.__new__(cls)
    for name, field in fields_of(cls).items():
        vars(settings)[name] = (
            convert(values[name], field.type) if name in values else field.default
        )
    return settings
