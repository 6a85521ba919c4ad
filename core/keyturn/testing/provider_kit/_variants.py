"""Variants of the given settings: one for each setting that a tenant may change."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from keyturn._providers.kinds import fields_of, kind_of
from keyturn._providers.settings import read
from keyturn._secret import Secret
from keyturn.testing.provider_kit._kept import Kept
from keyturn.testing.provider_kit._made_up import candidates, scope_values
from keyturn.testing.provider_kit._outcomes import Case
from keyturn.testing.provider_kit._source import compared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn.testing.provider_kit._subject import Subject

BASE, LAST = "the settings given", "other settings altogether"
SEVERAL = "several values of scope"
# Settings that move endpoints; other checks vary them.
_MOVES = {"token_url", "api_url", "revocation_url"}

# Cases besides those that change one setting each.
_FURTHER = 6

_kept: Kept[list[Case]] = Kept()
_others_kept: Kept[Mapping[str, Any]] = Kept()


def cases(subject: Subject) -> list[Case]:
    """Return the given settings, and variants of them, in a form that a second process can read."""
    return _kept.get(subject) or _kept.put(subject, _cases(subject))


def _cases(subject: Subject) -> list[Case]:
    plain = _plain(subject.values)
    found = [
        Case(BASE, plain, "made-up-token-0"),
        Case("a second token", plain, "made-up-token-1"),
    ]
    together = dict(plain)
    for name, value in varied(subject).items():
        found.append(Case(f"another {name}", {**plain, name: value}, "made-up-token-0"))
        if read(subject.provider.settings, {**together, name: value})[0] is not None:
            together[name] = value
    found += _further(subject, plain)
    compared_with = {name: each[0] for name, each in compared(subject.provider).items() if each}
    both = {**together, **{name: each for name, each in compared_with.items() if name in together}}
    with contextlib.suppress(Exception):  # checks of the settings report it
        if both != together and read(subject.provider.settings, both)[0] is not None:
            found.append(Case("other settings, with values of the code", both, "made-up-token-0"))
    for values in scope_values(subject.provider):
        if read(subject.provider.settings, {**plain, "scope": values})[0] is not None:
            found.append(Case(SEVERAL, {**plain, "scope": values}, "made-up-token-0"))
            break
    # The last: a second process begins with it.
    found.append(Case(LAST, together, "made-up-token-2"))
    return found


def _further(subject: Subject, plain: Mapping[str, Any]) -> Iterator[Case]:
    """Yield a case for each further choice, and for each value that the provider's code knows."""
    cls, known = subject.provider.settings, compared(subject.provider)
    seen = [subject.settings(), *(read(cls, {**plain, **each})[0] for each in _pairs(subject))]
    left = _FURTHER
    for name, field in fields_of(cls).items():
        zero = (0,) if kind_of(field.type)[0] is int else ()
        for value in (*(field.metadata.get("choices") or ()), *known.get(name, ()), *zero):
            settings = None
            with contextlib.suppress(Exception):  # checks of the settings report it
                settings, _ = read(cls, {**plain, name: value})
            if settings is None or settings in seen or not left:
                continue
            seen.append(settings)
            left -= 1
            yield Case(f"{name} as {value!r}", {**plain, name: value}, "made-up-token-0")


def _pairs(subject: Subject) -> list[dict[str, Any]]:
    return [{name: value} for name, value in varied(subject).items()]


def varied(subject: Subject) -> Mapping[str, Any]:
    """Return another plain value of each setting for which one can be generated."""
    return _others_kept.get(subject) or _others_kept.put(subject, _varied(subject))


def _varied(subject: Subject) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in fields_of(subject.provider.settings):
        if name in _MOVES and name not in subject.values:
            continue
        value = next(_others(subject, name), None)
        if value is not None:
            found[name] = value
    return found


def _others(subject: Subject, name: str) -> Iterator[Any]:
    """Yield valid values of a setting that differ from the given one."""
    given, cls = subject.examples.others, subject.provider.settings
    values = [given[name]] if name in given else other_values(subject, name)
    usual = getattr(subject.settings(), name)
    for value in values:
        settings, _ = read(cls, {**subject.values, name: value})
        if settings is not None and getattr(settings, name) != usual:
            yield _plain_value(value)


def other_values(subject: Subject, name: str) -> Iterator[Any]:
    """Yield values to try for a setting."""
    if name == "private_key":
        # It may not suit the algorithm: only the change matters here.
        yield "-----BEGIN PRIVATE KEY-----\nmade up\n-----END PRIVATE KEY-----"
    kind, _ = kind_of(fields_of(subject.provider.settings)[name].type)
    if kind is Secret:
        yield from ("made-up-s3cret-too", "Made+Up/S3cret=")
    if kind is str:
        # No other setting has this value, so it can be found in a result.
        yield f"other-{name.replace('_', '-')}"
    yield from candidates(subject.provider, name)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    """Return a value in JSON."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    return dict(value) if hasattr(value, "items") else value
