"""Checks of tokens: their lifetimes, and responses without a token."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.response import MAX_BODY
from keyturn._providers.token_response import field_of
from keyturn._token import MAX_LIFETIME
from keyturn.testing._messages import Response, html_response, json_response
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._checks_foreign import other_settings
from keyturn.testing.provider_kit._checks_read_token import judge_read_token
from keyturn.testing.provider_kit._endpoint import RESET, to_bytes
from keyturn.testing.provider_kit._examples import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._token import Token
    from keyturn.testing.provider_kit._endpoint import Reply
    from keyturn.testing.provider_kit._subject import Subject

_TOLERANCE = 1.5
# Characters of RFC 6750 section 2.1, upper and lower case, and more than most tokens have.
_EXACT = f"Made-Up.{'aB3' * 100}~+/_=="
_SHORT = 2.0
_OTHER = 1234.0
# More than a day.
_DAYS = 100_800.0
# The age of the request, in seconds, when its response is read.
_AGO = 100.0
_INVALID_NUMBERS = (0, -1, -3600)
_INVALID_STRINGS = ("soon", "", "1e3", "2001-01-01T00:00:00Z")
_BAD_LIFETIMES: tuple[Any, ...] = (*_INVALID_NUMBERS, *_INVALID_STRINGS, True, [], {})
_INVALID_TOKENS = ("", "made-up\ntoken", " made-up", "m\u00e4de-up", "a" * 70_000)
_BAD_TOKENS: tuple[Any, ...] = (*_INVALID_TOKENS, None, 7, True, [], {})
_NO_OBJECTS: tuple[Any, ...] = ([], None, "made-up", 7)


def lifetime(subject: Subject) -> None:
    """A token has the lifetime of its response, counted from its request."""
    sample, token = subject.sample, subject.token()
    wanted = sample.lifetime
    if wanted is None and sample.is_made_up:
        wanted = subject.effective_provider.assumed_lifetime(subject.settings())
        wanted = wanted and min(wanted, MAX_LIFETIME)  # what is more is reported below
    if wanted is None:
        raise CheckFailed(
            f"`lifetime` is not given; the token of `response` is read with a "
            f"lifetime of {token.lifetime:g} s.",
            "give `lifetime`, the documented lifetime in seconds.",
        )
    if abs(token.lifetime - wanted) > _TOLERANCE:
        raise CheckFailed(
            f"the response's token is read with a lifetime of {token.lifetime:g} s; its lifetime "
            "is "
            f"{wanted:g} s.",
            "correct lifetime_field and lifetime_format, or read_token.",
        )


_AS_RECEIVED = "let read_token return the token as it is received."


def token_as_sent(subject: Subject) -> None:
    """The token, its scope, type and lifetime are those of the response."""
    judge_read_token(subject)
    sample, provider = subject.sample, subject.effective_provider
    if name := provider.token_header:
        reply = samples.with_header(sample.response, name, _EXACT)
        if subject.token(reply).access_token != _EXACT:
            raise CheckFailed("read_token changes the token.", _AS_RECEIVED)
        return
    field = provider.token_field
    if field and field_of(sample.content, field) is None:
        return
    if samples.lifetime_path(provider) == field:
        return  # the token is a JWT, which no other string is
    content = samples.placed(sample.content, field, _EXACT) if field else _EXACT
    reply = (
        sample.changed(content) if field else attrs.evolve(sample.response, body=_EXACT.encode())
    )
    if subject.token(reply).access_token != _EXACT:
        raise CheckFailed("read_token changes the token.", _AS_RECEIVED)
    content_type = {"Content-Type": "application/json;charset=UTF-8"}
    if sample.response.headers.get("Content-Type") == "application/json":
        with_charset = {**sample.response.headers, **content_type}
        subject.token(attrs.evolve(sample.response, headers=with_charset))


def missing_lifetime(subject: Subject) -> None:
    """A token without a lifetime is rejected, or gets the documented lifetime."""
    assumed: Any = subject.call(
        "assumed_lifetime", lambda: subject.effective_provider.assumed_lifetime(subject.settings())
    )
    _judge_assumed(assumed)
    for own in other_settings(subject):
        found: Any = assumed
        with contextlib.suppress(Exception):  # the check of isolation reports it
            found = subject.provider_for(own).assumed_lifetime(own)
        _judge_assumed(found)
    sample = subject.sample
    if not isinstance(sample.content, dict):
        return
    field = samples.lifetime_path(subject.effective_provider)
    reply = sample.changed(samples.without(sample.content, field))
    if name := subject.effective_provider.lifetime_header:
        reply, field = samples.without_header(reply, name), name
    token = _token_or_none(subject, reply)
    if token is None:
        return
    if assumed is None or not math.isclose(token.lifetime, assumed, abs_tol=_TOLERANCE):
        raise CheckFailed(
            f"missing_lifetime is {assumed}, but a token whose response has no "
            f"{field} is valid for {token.lifetime:g} s.",
            "let read_token call self.assumed_lifetime(settings); correct lifetime_field if the "
            "lifetime is elsewhere.",
        )


def _judge_assumed(assumed: Any) -> None:
    is_number = isinstance(assumed, (int, float)) and not isinstance(assumed, bool)
    if assumed is not None and not (is_number and 0 < assumed <= MAX_LIFETIME):
        raise CheckFailed(
            f"missing_lifetime: {assumed!r} is not a valid lifetime in seconds.",
            "let missing_lifetime (or assumed_lifetime) be None, which rejects such a response, or "
            "the documented seconds.",
        )


def bad_lifetimes(subject: Subject) -> None:
    """A response with an invalid lifetime is rejected."""
    sample, field = subject.sample, subject.effective_provider.lifetime_field
    if field_of(sample.content, field) is None:
        return
    for value in _BAD_LIFETIMES:
        reply = sample.changed(samples.placed(sample.content, field, value))
        if subject.failure(reply) is None:
            raise CheckFailed(
                f"a response whose {field} is {value!r} gives a token.",
                "let read_token start from super().read_token(…), which checks the lifetime, or "
                "raise keyturn.errors.InvalidTokenResponse.",
            )


def short_lifetime(subject: Subject) -> None:
    """A token of two seconds is usable, and each token has the lifetime of its response."""
    sample, field = subject.sample, samples.lifetime_path(subject.effective_provider)
    if field_of(sample.content, field) is None:
        return
    step = samples.step(subject.effective_provider.lifetime_format)
    short, other = (-(-seconds // step) * step for seconds in (_SHORT, _OTHER))
    if _token_or_none(subject, sample.living(subject.effective_provider, short)) is None:
        raise CheckFailed(
            f"a token with a lifetime of {short:g} s is rejected.",
            "let read_token take every lifetime above 0.",
        )
    long = -(-_DAYS // step) * step
    for seconds in dict.fromkeys((short, other, long)):
        token = _token_or_none(subject, sample.living(subject.effective_provider, seconds))
        if token is None or abs(token.lifetime - seconds) > _TOLERANCE:
            raise CheckFailed(
                f"a token with a lifetime of {seconds:g} s is "
                f"{'rejected' if token is None else f'read with {token.lifetime:g} s'}.",
                "let read_token use the lifetime that the response has; correct lifetime_field and "
                "lifetime_format.",
            )
    _count_from_request(subject, other)


def _count_from_request(subject: Subject, seconds: float) -> None:
    """Read a response to a request that was sent some time ago."""
    provider, settings, request = subject.effective_provider, subject.settings(), subject.request()
    sent_at = float(int(time.time() - _AGO))
    reply = subject.sample.living(provider, seconds, sent_at)
    response = attrs.evolve(samples.to_response(reply), sent_at=sent_at)
    token = subject.call("read_token", lambda: provider.read_token(settings, response, request))
    if abs(token.expires_at - sent_at - seconds) > _TOLERANCE:
        raise CheckFailed(
            f"a token of {seconds:g} s expires {token.expires_at - sent_at:g} s after its request "
            "was "
            "sent.",
            "let read_token count from response.sent_at, never from the time of reading.",
        )


def margin(subject: Subject) -> None:
    """`max_margin` is shorter than a token's lifetime."""
    cap, token = subject.effective_provider.max_margin, subject.token()
    if math.isfinite(cap) and cap >= token.lifetime:
        raise CheckFailed(
            f"max_margin is {cap:g} s, but a token is valid for {token.lifetime:g} s.",
            "set max_margin to the seconds before a token's expiry in which the server issues a "
            "new one, or remove it.",
        )


def faults(subject: Subject) -> None:
    """Malformed responses raise keyturn's errors, and never give a token."""
    for what, reply in _faults(subject):
        if subject.failure(reply) is None:
            raise CheckFailed(
                f"{what} gives a token.",
                "let read_token start from super().read_token(…), which checks everything, or "
                "raise keyturn.errors.InvalidTokenResponse.",
            )


def _token_or_none(subject: Subject, reply: Response) -> Token | None:
    """Return the token of a response, or None when InvalidTokenResponse is raised."""
    connection = subject.connect(reply)
    try:
        return connection.token()
    except errors.InvalidTokenResponse:
        return None
    except errors.KeyturnError as error:
        failure = str(error)
    raise CheckFailed(
        f"a response with another lifetime, or none, raises another error: {failure}",
        "let read_token raise keyturn.errors.InvalidTokenResponse for such a response.",
    )


def _faults(subject: Subject) -> Iterator[tuple[str, Reply]]:
    good, provider = subject.sample.response, subject.effective_provider
    status = samples.token_status(provider)
    whole = to_bytes(good)
    padding = b" " * MAX_BODY
    if name := provider.token_header:
        yield f"a response without the header {name}", samples.without_header(good, name)
        yield "a connection that is reset", RESET
        return
    yield "an empty response", attrs.evolve(good, body=b"")
    yield "a truncated response", whole[: -len(good.body) // 2]
    yield "a connection that is reset", RESET
    yield "a response that is too large", attrs.evolve(good, body=good.body + padding)
    yield "a page", html_response(status, "Welcome")
    if not provider.token_field:
        return
    yield "garbage", attrs.evolve(good, body=b"\x00\xff{")
    for value in _NO_OBJECTS:
        yield f"the JSON value {value!r}", json_response(status, value)
    yield (
        "JSON with the content type text/plain",
        attrs.evolve(good, headers={"Content-Type": "text/plain"}),
    )
    content = subject.sample.content
    if field_of(content, provider.token_field) is None:
        return
    for value in _BAD_TOKENS:
        changed = subject.sample.changed(samples.placed(content, provider.token_field, value))
        yield f"a response whose {provider.token_field} is {str(value)[:20]!r}", changed
    if provider.token_type:
        other = samples.placed(content, "token_type", "made-up-type")
        yield "a response of another token_type", subject.sample.changed(other)
        bare = samples.without(content, "token_type")
        yield "a response without a token_type", subject.sample.changed(bare)
