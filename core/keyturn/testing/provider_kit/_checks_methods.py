"""Checks of the side effects of the provider's methods."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from keyturn._providers.settings import read
from keyturn._providers.steps import steps_of
from keyturn.testing._messages import html_response
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._audit import Watch, watched
from keyturn.testing.provider_kit._checks_values import own_values
from keyturn.testing.provider_kit._elsewhere import elsewhere
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._global_state import changed, global_state
from keyturn.testing.provider_kit._source import is_data_alone, own_classes, own_places
from keyturn.testing.provider_kit._variants import SEVERAL, cases
from keyturn.testing.provider_kit._watch import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn.testing._messages import Response
    from keyturn.testing.provider_kit._subject import Subject

_NOW = 1_900_000_000.0
_ELSEWHERE = "https://moved.example/made-up"
NO_IO = (
    "let a method use settings, response and token alone; what it reads must be a setting, and "
    "what is new for each request a keyturn.plugins.DynamicValue."
)


def no_input_or_output(subject: Subject) -> None:
    """The provider's methods use only their arguments: no file, process, network or variable."""
    cls, every = subject.provider.settings, [case.values for case in cases(subject)]
    reading = ("problems, or the check of a setting,", _reading(cls, every))
    token = subject.token()
    for method, work in (reading, *_methods(subject, token)):
        watch, printed = Watch(own_places(subject.provider), is_strict=True), io.StringIO()
        # Other checks report other defects of the method.
        with (
            contextlib.redirect_stdout(printed),
            watched(watch) as attempts,
            counted(type(subject.provider), watch.loops),
            contextlib.suppress(Exception),
        ):
            work()
        if printed.getvalue():
            attempts.append(("prints", ""))
        if attempts:
            what, where = attempts[0]
            raise CheckFailed(f"{method} {what}.", NO_IO.replace("a method", method), at=where)

    _judge_values(subject, token)


def _judge_values(subject: Subject, token: Token) -> None:
    """Check that dynamic values read nothing but files that settings name."""
    settings = subject.settings()
    requests = [subject.request()]
    with contextlib.suppress(Exception):  # other checks report its exceptions
        revocation = subject.effective_provider.revocation_request(settings, token)
        requests += [revocation] if revocation else []
    given = (each for each in vars(settings).values() if isinstance(each, str))
    files = frozenset(Path(each).name for each in given)
    for key, value in (pair for request in requests for pair in own_values(request)):
        works: dict[str, Callable[[], object]] = {
            "value": functools.partial(value.value, _NOW),
            "inputs": functools.partial(_all, value.inputs),
            "secrets": functools.partial(_all, value.secrets),
        }
        for method, work in works.items():
            watch = Watch(own_places(subject.provider), is_strict=True, files=files)
            with watched(watch) as attempts, contextlib.suppress(Exception):
                work()
            for what, where in attempts:
                kind = f"{type(value).__name__}.{method} of the {key}"
                raise CheckFailed(
                    f"{kind} {what}.",
                    "let it use `now` and what the value was made with alone; what it reads must "
                    "be a setting, or a file that a setting names.",
                    at=where,
                )


def _all(make: Callable[[], Iterable[object]]) -> list[object]:
    return list(make())


def nothing_changed(subject: Subject) -> None:
    """The provider's methods change neither their arguments nor any shared state."""
    token = subject.token()
    # For other settings, to detect a change that was made for the usual ones.
    others = [each.values for each in cases(subject)[-1:]]
    others += [each.values for each in cases(subject) if each.name == SEVERAL]
    before = global_state()
    for settings in (subject.settings(), *(subject.settings(**each) for each in others)):
        for method, work in _methods(subject, token, settings):
            _judge_changes(subject, method, work, (settings, token))
    touched = changed(before, global_state())
    if not is_data_alone(subject.provider):
        touched += elsewhere(subject).touched
    for name in touched:
        raise CheckFailed(
            f"a method of the provider changes {name}, which the whole process shares.",
            "let each method change nothing but what it returns.",
        )


def _judge_changes(
    subject: Subject, method: str, work: Callable[[], object], given: tuple[Settings, Token]
) -> None:
    settings, token = given

    def state() -> tuple[dict[str, Any], ...]:
        own = _state(subject.provider)
        return attrs.asdict(settings), dict(token.extra), own

    before = state()
    with _assigned(subject.provider) as assigned:
        subject.call(method, work)
    after = state()
    if before[2] == after[2] and any(
        repr(vars(subject.provider).get(name)) != value for name, value in assigned
    ):
        raise CheckFailed(
            f"{method} changes an attribute of the provider temporarily, while other threads "
            "use it.",
            f"let {method} use local variables.",
        )
    for what, one, two in zip(("settings", "token's extra"), before, after, strict=False):
        if one != two:
            raise CheckFailed(
                f"{method} changes the {what}.",
                f"let {method} use attrs.evolve for a changed copy.",
            )
    if before[2] != after[2]:
        raise CheckFailed(
            f"{method} changes the provider, which all threads and connections share.",
            f"keep no state between calls in {method}.",
        )


@contextlib.contextmanager
def _assigned(provider: Provider[Any]) -> Generator[list[tuple[str, str]]]:
    """Record which attributes of a provider are set in a `with` block."""
    cls, noted = type(provider), list[tuple[str, str]]()
    usual = cls.__setattr__

    def note(self: Any, name: str, value: object) -> None:
        noted.append((name, repr(value)))
        usual(self, name, value)

    own = vars(cls).get("__setattr__")
    restore = (
        functools.partial(setattr, cls, "__setattr__", own)
        if own
        else functools.partial(delattr, cls, "__setattr__")
    )
    cls.__setattr__ = note  # type: ignore[method-assign]
    try:
        yield noted
    finally:
        restore()


def _state(provider: Provider[Any]) -> dict[str, Any]:
    classes = [vars(each) for each in reversed(own_classes(provider))]
    own = {name: value for each in (*classes, vars(provider)) for name, value in each.items()}
    return {name: repr(value) for name, value in own.items() if not name.startswith("__")}


def _methods(
    subject: Subject, token: Token, settings: Settings | None = None
) -> list[tuple[str, Callable[[], object]]]:
    """Return each of the provider's methods by its name, ready to be called."""
    given = settings or subject.settings()
    provider, response = subject.effective_provider, samples.to_response(subject.sample.response)
    request = subject.request()
    error = samples.to_response(samples.error_response(provider, "invalid_client", 401))
    refusals = [error, *map(samples.to_response, _refusals())]
    steps = [
        (f"token_request of {name}", functools.partial(step.token_request, own))
        for name, step, own in steps_of(provider, given)
    ]
    return [
        *steps,
        ("for_settings", lambda: subject.provider.for_settings(given)),
        ("token_request", lambda: provider.token_request(given)),
        ("read_token", lambda: provider.read_token(given, response, request)),
        ("read_error", lambda: [provider.read_error(given, each) for each in refusals]),
        ("authorization", lambda: provider.authorization(given, token)),
        ("api_request_headers", lambda: dict(provider.api_request_headers(given, token))),
        ("api_url_for", lambda: provider.api_url_for(given, token)),
        ("token_rejected", lambda: [provider.token_rejected(given, each) for each in refusals]),
        ("revocation_request", lambda: provider.revocation_request(given, token)),
        ("warnings", lambda: list(itertools.islice(provider.warnings(given), 1000))),
        ("scope", lambda: provider.scope(given)),
        ("assumed_lifetime", lambda: provider.assumed_lifetime(given)),
    ]


def _refusals() -> Iterator[Response]:
    """Yield responses after which a careless provider waits, or sends a request."""
    yield attrs.evolve(html_response(302, "made up"), headers={"Location": _ELSEWHERE})
    for status in (403, 429, 500, 503):
        page = html_response(status, "made up")
        yield page
        yield attrs.evolve(page, headers={**page.headers, "Retry-After": "7"})


def _reading(cls: type[Settings], every: list[Any]) -> Callable[[], object]:
    return lambda: [read(cls, each) for each in every]
