"""Check of a provider's own `read_token`: it reads what data express as keyturn reads it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._providers.provider import Provider
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._variants import SEVERAL, cases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn.testing.provider_kit._subject import Subject

_TOLERANCE = 1.5
_GRANTED = "made-up-granted"
# Credentials of their own, which keyturn leaves out of a token.
_SECRETS = ("refresh_token", "id_token")


def judge_read_token(subject: Subject) -> None:
    """Compare a provider's own `read_token` with that of its base class."""
    provider, content = subject.effective_provider, subject.sample.content
    is_own = type(provider).read_token is not Provider.read_token
    if not (is_own and isinstance(content, dict)):
        return
    for settings in _settings(subject):
        with contextlib.suppress(errors.ConfigurationError):
            _judge(subject, settings, content)


def _judge(subject: Subject, settings: Settings, content: dict[str, Any]) -> None:
    given = subject.prepared(settings)
    is_known = False
    for what, changed in _contents(given[0], content):
        response = samples.to_response(subject.sample.changed(changed))
        own, usual = (
            _read(method, *given, settings, response)
            for method in (type(given[0]).read_token, Provider.read_token)
        )
        wrong = _difference(own, usual) if own and usual else ""
        if own and usual is None and is_known:
            wrong = "the token"
        if wrong:
            raise CheckFailed(
                f"read_token reads a response {what} otherwise than its base class: {wrong} "
                "differs.",
                f"let read_token start from super().read_token(…), and leave {wrong} as it is.",
            )
        is_known = is_known or usual is not None


def _settings(subject: Subject) -> Iterator[Settings]:
    """Yield the settings given, and others with several values of scope if there are some."""
    yield subject.settings()
    for case in cases(subject):
        if case.name == SEVERAL:
            yield subject.settings(scope=case.values["scope"])


def _contents(provider: Provider[Any], content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    lifetime = samples.lifetime_path(provider)
    scopes = {
        "a scope": _GRANTED,
        "several values of scope": provider.scope_separator.join((_GRANTED, "made-up-other")),
        "a scope of several lines": f"{_GRANTED}\r\nX-Made-Up: 1",
    }
    others = dict.fromkeys(_SECRETS, "made-up-further-token")
    yield "with other tokens", {**content, **others, "refresh_expires_in": 7}
    for what, scope in scopes.items():
        scoped = {**content, "scope": scope}
        yield f"with {what}", scoped
        yield f"with {what} and without a lifetime", samples.without(scoped, lifetime)


def _difference(own: Token, usual: Token) -> str:
    """Return what of a token differs from that of the base class."""
    found = (
        ("the token", own.access_token != usual.access_token),
        ("the lifetime", abs(own.lifetime - usual.lifetime) > _TOLERANCE),
        ("the scope", own.scope != usual.scope),
        ("the token_type", own.token_type.lower() != usual.token_type.lower()),
        *((f"the {name} in `extra`", name in own.extra) for name in _SECRETS),
    )
    return next((name for name, is_wrong in found if is_wrong), "")


def _read(
    method: Any,
    provider: Provider[Any],
    request: TokenRequest,
    settings: Settings,
    response: Response,
) -> Token | None:
    with contextlib.suppress(Exception):  # other checks report its exceptions
        found: Token = method(provider, settings, response, request)
        return found
    return None
