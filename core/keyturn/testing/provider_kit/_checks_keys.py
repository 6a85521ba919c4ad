"""Checks of the fingerprint: which settings it covers, and which it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.values import DynamicValue
from keyturn._providers.kinds import fields_of, kind_of
from keyturn._providers.settings import read
from keyturn._secret import Secret
from keyturn._token import Token
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._made_up import candidates, scope_values
from keyturn.testing.provider_kit._pinned import with_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._http.request import TokenRequest
    from keyturn._providers.settings import Settings
    from keyturn.testing.provider_kit._subject import Subject

# Settings that are never a part of the token request.
_ALWAYS_CONTEXT = {"api_url", "revocation_url"}
_TOKEN = Token("made-up-token", "Bearer", 4e9)
_CREDENTIALS = {"client_id", "token_url"}


def fingerprint(subject: Subject) -> None:
    """Each setting that the token depends on changes the fingerprint, and no other does."""
    usual, context = subject.request().fingerprint, subject.examples.context
    known = {field.name for field in attrs.fields(attrs.resolve_types(subject.provider.settings))}
    if not (context or set()) <= known:
        raise CheckFailed(
            f"`context` names unknown settings: {', '.join(sorted((context or set()) - known))}.",
            "correct `context`.",
        )
    same, unvaried = [], []
    for name in sorted(known - _ALWAYS_CONTEXT):
        other = _changed(subject, name)
        if other is None:
            unvaried.append(name)
        elif other.fingerprint == usual:
            same.append(name)
        elif context is not None and name in context:
            raise CheckFailed(
                f"the setting {name} is in `context`, but changes the token request: each of its "
                "values needs a token of its own.",
                f"leave {name} out of token_request, or out of `context`.",
            )
    _judge(subject, same)
    if unvaried:
        subject.note(
            "the kit can't generate a second value for these settings, so it does not vary them: "
            f"{', '.join(unvaried)}."
        )


def scope_order(subject: Subject) -> None:
    """The same scope values in another order share one token."""
    field = attrs.fields_dict(subject.provider.settings).get("scope")
    if field is None:
        return
    separator = " " if kind_of(field.type)[0] is str else None
    for values in _scopes(subject):
        pair = [separator.join(each) if separator else each for each in (values, values[::-1])]
        try:
            one, other = (subject.request(scope=each).fingerprint for each in pair)
        except (errors.ConfigurationError, CheckFailed):
            continue
        if one != other:
            raise CheckFailed(
                "the order of the values of scope changes the fingerprint: the same scope causes "
                "two "
                "token requests.",
                "return the values from scope(settings), and leave scope out of `parameters`.",
            )
        return
    subject.note("scope: the kit can't generate two values, so it does not check their order.")


def scope_values_sent(subject: Subject) -> None:
    """Exactly the given values of scope are sent, unchanged."""
    given: Any = subject.call("scope", lambda: subject.effective_provider.scope(subject.settings()))
    if not (isinstance(given, tuple) and all(isinstance(each, str) for each in given)):
        raise CheckFailed(
            f"scope returns {type(given).__name__}.", "let scope return a tuple of strings."
        )
    field = fields_of(subject.provider.settings).get("scope")
    every = next(scope_values(subject.provider), [])
    values = [each for each in every if len(each) > 2][-4:]
    if field is None or len(values) < 2:
        return
    try:
        both, *ones = (subject.request(scope=each) for each in (values, values[:1], values[1:]))
    except (errors.ConfigurationError, CheckFailed):
        return
    sent: list[str] = []
    for request in with_steps(both):
        pairs = (*request.parameters, *request.extra_headers)
        sent += [each for name, each in request.parameters if isinstance(each, str) and name]
        sent += [*request.scope, request.partition, request.url]
        sent += [str(each) for _, value in pairs for each in _inputs(value)]
    for value in values:
        if not any(value in each for each in sent):
            raise CheckFailed(
                f"the value {value!r} of scope is not sent.",
                "let scope return every value of settings.scope, as it is.",
            )
    constant = set(ones[0].scope) & set(ones[1].scope)
    for value in set(both.scope) - constant:
        if not any(each in value for each in values):
            raise CheckFailed(
                f"scope adds {value!r} to the values that the settings have.",
                "let scope return the values of settings.scope, and no others.",
            )


def _inputs(value: Any) -> list[Any]:
    return list(value.inputs()) if isinstance(value, DynamicValue) else []


def _changed(subject: Subject, name: str) -> TokenRequest | None:
    """Return the token request for another value of a setting, if one can be found."""
    given = subject.examples.others
    values = [given[name]] if name in given else _candidates(subject, name)
    for value in values:
        if value == subject.values.get(name):
            continue
        settings, _ = read(subject.provider.settings, {**subject.values, name: value})
        if settings is None or getattr(settings, name) == getattr(subject.settings(), name):
            continue
        try:
            return subject.request(**{name: value})
        except errors.ConfigurationError:
            continue
    return None


def _candidates(subject: Subject, name: str) -> Iterator[Any]:
    if name == "private_key":
        # It may not suit the algorithm: only the change matters here.
        yield "-----BEGIN PRIVATE KEY-----\nmade up\n-----END PRIVATE KEY-----"
    yield from candidates(subject.provider, name)


def _judge(subject: Subject, same: list[str]) -> None:
    """Fail for settings that should change the token request, and do not."""
    context = subject.examples.context
    fields = attrs.fields_dict(subject.provider.settings)
    # Without `context`, only credentials are known to matter.
    needed = [
        name
        for name in same
        if context is None
        and name in subject.values
        and (name in _CREDENTIALS or kind_of(fields[name].type)[0] is Secret)
        and not _is_for_api(subject, name)
    ]
    wrong = needed if context is None else [name for name in same if name not in context]
    for name in wrong:
        raise CheckFailed(
            f"the setting {name} does not change the token request, so two connections that "
            "differ in it share a token.",
            f"let token_request use {name}, or set partition: attrs.evolve(request, "
            f"partition=settings.{name}); if tokens don't depend on it, add it to `context`.",
        )
    if same and context is None:
        subject.note(
            f"these settings do not change the token request: {', '.join(same)}. If the token "
            "depends on "
            "one, set the request's partition to it."
        )


def _is_for_api(subject: Subject, name: str) -> bool:
    """Return whether a setting changes the headers of API requests."""
    given = subject.examples.others
    others = (
        read(subject.provider.settings, {**subject.values, name: value})[0]
        for value in ([given[name]] if name in given else candidates(subject.provider, name))
        if value != subject.values[name]
    )
    other = next(filter(None, others), None)
    return other is not None and _headers(subject, other) != _headers(subject, subject.settings())


def _headers(subject: Subject, settings: Settings) -> dict[str, str]:
    return dict(
        subject.call(
            "api_request_headers",
            lambda: subject.effective_provider.api_request_headers(settings, _TOKEN),
        )
    )


def _scopes(subject: Subject) -> Iterator[list[str]]:
    """Yield lists of two scope values to try."""
    given = subject.values.get("scope")
    values: list[str] = given.split() if isinstance(given, str) else list(given or ())
    made = [value for each in candidates(subject.provider, "scope") for value in _listed(each)]
    yield from (each for each in (values, made[:2]) if len(each) > 1)


def _listed(value: str | list[str]) -> list[str]:
    return value.split() if isinstance(value, str) else value
