"""Checks across tenants and processes: results for one do not depend on another."""

from __future__ import annotations

import contextlib
from types import GeneratorType
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.urls import host_of
from keyturn._providers.kinds import fields_of
from keyturn._providers.provider import Provider
from keyturn._providers.settings import read
from keyturn.testing.provider_kit._checks_domains import requested_host
from keyturn.testing.provider_kit._elsewhere import elsewhere
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._imports import acting_statements
from keyturn.testing.provider_kit._outcomes import (
    collect,
    collect_across,
    collect_reused,
    collect_together,
)
from keyturn.testing.provider_kit._source import (
    is_data_alone,
    own_classes,
    own_files,
    own_places,
    statement,
)
from keyturn.testing.provider_kit._templates import FORGETFUL, templates_with
from keyturn.testing.provider_kit._variants import BASE, LAST, cases

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn.testing.provider_kit._elsewhere import Elsewhere
    from keyturn.testing.provider_kit._outcomes import Outcome
    from keyturn.testing.provider_kit._subject import Subject

# More than one: what alternates is the same each second time.
_TIMES = 3
_MINE = (
    "let {} use its arguments alone: no attribute of the class or the instance, no default "
    "argument, no module variable and no cache whose key lacks a setting."
)
_SAME = (
    "let {} give the same for the same settings: a tuple instead of a set, no random or timed "
    "value, nothing of an earlier call, the process, the host, the platform or the logging; what "
    "is new in each request is a keyturn.plugins.DynamicValue that uses its argument `now`."
)


def isolation(subject: Subject) -> None:
    """The results of a provider for one connection do not depend on other connections."""
    if is_data_alone(subject.provider):
        return
    _judge_iterators(subject)
    found = elsewhere(subject)
    first = found.here
    _judge_raised({case.name: first[case.name] for case in found.cases if not case.field})
    _judge_again(subject, found)
    _judge_returned(subject)
    reused = collect_reused(subject.provider, found.cases, found.reply, found.error)
    for _, method, part, _ in _all_differences(first, reused):
        _judge_again(subject, found)
        raise CheckFailed(
            f"{method} returns another {part} when new settings have the identity of earlier ones.",
            f"let {method} keep nothing by id(settings).",
        )
    _judge_together(subject, found)
    _judge_first(found)
    if found.problem:
        across = collect_across(subject.provider, found.cases, found.reply, found.error)
        found = attrs.evolve(found, outcomes=across)
    for case, method, part, there in _all_differences(first, found.outcomes):
        if _is_anothers(first, found, (case, method, part, there)):
            raise CheckFailed(
                f"{method} returns another {part} for {case} when it is called for other "
                "connections in another order.",
                _MINE.format(method),
            )
    _judge_equality(subject)


def other_process(subject: Subject) -> None:
    """A process with another hash seed, host name and clock gives the same results."""
    if is_data_alone(subject.provider):
        return
    found = elsewhere(subject)
    if found.problem:
        subject.note(f"the provider is not tried in a second process: {found.problem}.")
        return
    first = found.here
    for case, method, part, there in _all_differences(first, found.outcomes):
        if not _is_anothers(first, found, (case, method, part, there)):
            raise CheckFailed(
                f"{method} returns another {part} in another process, for the same settings.",
                _SAME.format(method),
            )


def import_effects(subject: Subject) -> None:
    """The import of the provider has no side effects."""
    found = elsewhere(subject).effects
    for what, where in (*found, *acting_statements(own_files(subject.provider))):
        raise CheckFailed(
            f"the import of the provider {what}{f' ({where})' if where else ''}.",
            "leave at the top level of the module only imports, classes, functions and constants; "
            "what a connection needs is a setting.",
            at=where or statement(subject.provider, what),
        )


def forgotten_settings(subject: Subject) -> None:
    """A setting in a template of the provider changes the result of the template."""
    if is_data_alone(subject.provider):
        return
    found = elsewhere(subject)
    first = found.here
    _judge_choices(subject, first)
    _judge_zeros(first)
    for case in found.cases:
        name = case.name.removeprefix("another ")
        _judge_hosts(name, first[BASE], first[case.name])
        for datum in templates_with(subject.provider, name):
            method = FORGETFUL[datum]
            if first[case.name].get(method) == first[BASE].get(method):
                raise CheckFailed(
                    f"{datum} names the setting {name}, but {method} returns the same whatever "
                    f"{name} is.",
                    f"let {method} use settings.{name}, or start from super().{method}(…).",
                )


def _judge_again(subject: Subject, found: Elsewhere) -> None:
    """Check that each method returns the same for the settings given, time after time."""
    for _ in range(_TIMES):
        again = collect(subject.provider, found.cases[:1], found.reply, found.error)
        for method, part, _ in _differences(found.here[BASE], again[BASE]):
            raise CheckFailed(
                f"{method} returns another {part} for a connection after it was called for others.",
                _MINE.format(method),
            )


def _judge_raised(here: Mapping[str, Outcome]) -> None:
    """Check that no method fails for settings that are valid."""
    for case, outcome in here.items():
        for method, parts in outcome.items():
            kind = parts.get("", "").removeprefix("raises ")
            if parts.get("", "").startswith("raises ") and not hasattr(errors, kind):
                raise CheckFailed(
                    f"{method} raises {kind} for {case}, although the settings are valid.",
                    f"let {method} take all settings that the settings class accepts, or reject "
                    "them in its rules or problems().",
                )


def _judge_choices(subject: Subject, here: Mapping[str, Outcome]) -> None:
    """Check that each choice of a user has an effect."""
    provider = subject.provider
    reads = ("read_error", "token_rejected", "for_settings")
    if any(getattr(type(provider), each) is not getattr(Provider, each) for each in reads):
        return  # the difference may be in responses that are not tried
    known = {name for rule in provider.settings.rules for name in (*rule.when, rule.setting)}
    for name, field in fields_of(provider.settings).items():
        outcomes = [
            each
            for case, each in here.items()
            if case.startswith((f"another {name}", f"{name} as "))
        ]
        is_free = name not in known
        if (
            field.metadata.get("choices")
            and is_free
            and outcomes
            and all(each == here[BASE] for each in outcomes)
        ):
            raise CheckFailed(
                f"whatever the setting {name} is, no method returns anything else.",
                f"let a method use settings.{name}, or remove the setting {name}.",
            )


def _judge_zeros(here: Mapping[str, Outcome]) -> None:
    """Check that 0 is distinguished from a missing setting."""
    for case, outcome in here.items():
        name = case.removesuffix(" as 0")
        is_used = here.get(f"another {name}", here[BASE]) != here[BASE]
        if name != case and is_used and outcome == here[BASE]:
            raise CheckFailed(
                f"the setting {name} as 0 is ignored, although other values are not.",
                f"compare settings.{name} with None; let its check reject 0 if that means nothing.",
            )


def _judge_hosts(name: str, usual: Outcome, other: Outcome) -> None:
    """Check that the revocation endpoint at the token endpoint's host moves with it."""
    urls = [each.get("token_request", {}).get("url", "") for each in (usual, other)]
    here, there = map(host_of, urls)
    found = [requested_host(each.get("revocation_request", {})) for each in (usual, other)]
    if name != "token_url" and found == [here, here] and there not in {"", here}:
        raise CheckFailed(
            f"the setting {name} moves the token endpoint to another host, but revocation_request "
            "stays at the first one.",
            f"let revocation_request use settings.{name}.",
        )


def _judge_iterators(subject: Subject) -> None:
    """Check that no attribute is an iterator, which the first call exhausts."""
    for cls in own_classes(subject.provider):
        for name, value in vars(cls).items():
            if isinstance(value, (GeneratorType, map, filter, zip)):
                raise CheckFailed(
                    f"{name} is a {type(value).__name__}, which the first call exhausts.",
                    f"let {name} be a tuple.",
                )


def _judge_returned(subject: Subject) -> None:
    """Check that no method changes an object that it returned earlier."""
    settings, token = subject.settings(), subject.token()
    others = [read(subject.provider.settings, case.values)[0] for case in cases(subject)]
    provider = subject.effective_provider
    returned: Any = {}
    before: dict[str, str] = {}
    with contextlib.suppress(Exception):  # other checks report its exceptions
        returned = provider.api_request_headers(settings, token)
        before = dict(returned)
        for each in others:
            provider.api_request_headers(each, token)
    if dict(returned) != before:
        raise CheckFailed(
            "api_request_headers changes what it returned for another connection.",
            _MINE.format("api_request_headers"),
        )


def _judge_first(found: Elsewhere) -> None:
    """Check that the first token request of a process is as all others."""
    later = found.outcomes.get(LAST, {}).get("token_request", {})
    once = {"token_request": dict(found.first)}
    for method, part, _ in _differences({"token_request": later}, once) if found.first else ():
        raise CheckFailed(
            f"{method} returns another {part} when it is called for the first time.",
            _MINE.format(method),
        )


def _judge_together(subject: Subject, found: Elsewhere) -> None:
    """Check that two threads do not see what each other's calls keep for a moment."""
    places = own_places(subject.provider)
    for both in collect_together(subject.provider, found.cases, found.reply, found.error, places):
        for case, method, part, _ in _all_differences(found.here, both):
            raise CheckFailed(
                f"{method} returns another {part} for {case} while another thread calls it for "
                "another connection.",
                _MINE.format(method),
            )


def _judge_equality(subject: Subject) -> None:
    cls = subject.provider.settings
    usual, same = (read(cls, subject.values)[0] for _ in range(2))
    if usual != same:
        raise CheckFailed(
            f"two {cls.__name__} of equal values are not equal.",
            "leave __eq__ of the settings class as they are.",
        )
    for case in cases(subject)[2:]:
        if read(cls, case.values)[0] == usual:
            raise CheckFailed(
                f"{cls.__name__} with {case.name} is equal to the one without it.",
                "leave __eq__ of the settings class as they are.",
            )


def _all_differences(
    here: Mapping[str, Outcome], there: Mapping[str, Outcome]
) -> Iterator[tuple[str, str, str, str]]:
    for case in there:
        for method, part, value in _differences(here[case], there[case]):
            yield case, method, part, value


def _differences(one: Outcome, other: Outcome) -> Iterator[tuple[str, str, str]]:
    """Yield the method, the part and the other value of each difference."""
    for method, theirs in other.items():
        mine = one.get(method, {})
        for part in sorted({*mine, *theirs}):
            if mine.get(part) != theirs.get(part):
                yield method, part or "value", theirs.get(part, "")


def _is_anothers(
    here: Mapping[str, Outcome],
    found: Elsewhere,
    difference: tuple[str, str, str, str],
) -> bool:
    """Return whether a value is the result for the settings of another case."""
    case, method, part, value = difference
    key = "" if part == "value" else part
    mine = here[case][method].get(key)
    others = [each for each in here if each != case]
    if any(here[each][method].get(key) == value != mine for each in others):
        return True
    # All are equal in one process, but not in the other.
    there = {parts[method].get(key) for parts in found.outcomes.values()}
    if len(there) == 1 < len({parts[method].get(key) for parts in here.values()}):
        return True
    # That process began with the last case.
    own = next(each.values for each in found.cases if each.name == case)
    theirs = {*map(str, found.cases[-1].values.values())} - {*map(str, own.values())}
    return any(len(each) > 2 and each in value for each in theirs)
