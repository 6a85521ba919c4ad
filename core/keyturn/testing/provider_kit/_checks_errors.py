"""Checks of how a provider reads a token endpoint's error responses."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._common.names import did_you_mean
from keyturn._http.error_codes import is_code
from keyturn._http.response import OAuthError
from keyturn._http.response import Response as ReadResponse
from keyturn._providers.provider import Provider
from keyturn.testing._messages import Response, html_response, json_response
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._examples import CheckFailed, check_keys

if TYPE_CHECKING:
    from keyturn.testing.provider_kit._endpoint import Reply
    from keyturn.testing.provider_kit._subject import Subject

_CODES: dict[str, type[errors.KeyturnError]] = {
    "invalid_client": errors.InvalidClient,
    "invalid_scope": errors.InvalidScope,
    "unauthorized_client": errors.TokenRequestRefused,
}
# Statuses that do not concern the credentials, transient or not.
_OTHER_CODES: dict[str, type[errors.KeyturnError]] = {
    "invalid_request": errors.TokenRequestRefused,
    "invalid_grant": errors.TokenRequestRefused,
    "unsupported_grant_type": errors.TokenRequestRefused,
    "temporarily_unavailable": errors.EndpointUnavailable,
}
# RFC 6749 section 4.1.2.1 and RFC 8628 section 3.5.
_TRANSIENT = {"server_error", "temporarily_unavailable", "slow_down"}
# Pages of servers in front of an application contain such words without their OAuth meaning.
_PAGE = (
    "Error: invalid_client, unauthorized_client, invalid client or secret, unauthorized, access "
    "denied, forbidden, bad request, token expired, credentials, client_id, invalid_scope, failed"
)
_UNKNOWN = "made_up_failure"
_NARROWER = (errors.InvalidClient, errors.InvalidScope)
# Fields of a response, beside its token, that report no failure.
_HARMLESS = ("warning", "warnings", "info", "deprecation", "made_up")
_UNUSUAL: tuple[Any, ...] = (
    None,
    True,
    7,
    "string",
    [],
    [None],
    [[]],
    {},
    {"error": None},
    {"error": 0},
    {"error": []},
    {"error": {}},
    {"error": {"code": []}},
    {"error": "invalid_client", "error_description": [7]},
    {"errors": None},
    {"errors": [7]},
    {"errors": ["string", None]},
    {"errors": {"code": 7}},
    {"message": {"string": 7}},
    {"code": "string"},
)


def oauth_errors(subject: Subject) -> None:
    """The errors of RFC 6749, in the provider's own format, raise the matching errors."""
    documented = {_name(each.get("raises", "")) for each in subject.examples.errors}
    provider = subject.effective_provider
    has_own_format = type(provider).read_error is not Provider.read_error
    for platforms, code in provider.error_codes.items():
        if (platforms in _TRANSIENT) is not (code in _TRANSIENT) and (
            platforms in _TRANSIENT or platforms in _CODES
        ):
            raise CheckFailed(
                f"error_codes has {platforms} as {code}: only an error that passes by itself is "
                "retried.",
                "let error_codes translate the platform's own codes only.",
            )
    for code in {*_CODES, *_OTHER_CODES, *_TRANSIENT}.intersection(provider.success_codes):
        raise CheckFailed(
            f"success_codes has {code}, which is an error.",
            "let success_codes name the platform's own codes only.",
        )
    for code, kind in _CODES.items():
        if has_own_format and kind.__name__ in documented:
            continue  # data may not express it; documented_errors checks the example
        for status in (400, 401):
            reply = samples.error_response(provider, code, status, "made up")
            _expect(subject, f"{code} (HTTP {status})", reply, kind, _FIX_CODES)
    others = [(code, 400, kind) for code, kind in _OTHER_CODES.items()]
    others.append((_UNKNOWN, 400, errors.TokenRequestRefused))
    others.append((_UNKNOWN, 503, errors.EndpointUnavailable))
    for code, status, kind in others:
        if code in provider.error_codes or (has_own_format and kind.__name__ in documented):
            continue
        reply = samples.error_response(provider, code, status, "made up")
        _expect(subject, f"{code} (HTTP {status})", reply, kind, _FIX_CODES)


def error_inside_200(subject: Subject) -> None:
    """A response with an error never gives a token, with any status and other fields."""
    provider, content = subject.effective_provider, subject.sample.content
    own = {oauth: platforms for platforms, oauth in provider.error_codes.items()}
    code = own.get("invalid_client", "invalid_client")
    if not isinstance(content, dict) or code in provider.success_codes:
        return
    with_token = subject.sample.changed(samples.placed(content, provider.error_field, code))
    status = samples.token_status(provider)
    alone = samples.error_response(provider, "invalid_client", status, "made up")
    for what, reply in (("an error", alone), ("an error beside a token", with_token)):
        if subject.failure(reply) is None:
            raise CheckFailed(
                f"{what} in a response of status {status} gives a token.",
                "correct error_field, or let read_error check every response, whatever its "
                "status; "
                "read_token must raise InvalidTokenResponse for a response without a token.",
            )


def http_errors(subject: Subject) -> None:
    """Responses without an error code raise the error for their status."""
    empty = Response(401, b"", {"Content-Type": "application/json"})
    limited = json_response(429, {})
    waiting = attrs.evolve(limited, headers={**limited.headers, "Retry-After": "7"})
    location = {"Location": subject.endpoint.url}
    responses: list[tuple[str, Response, type[errors.KeyturnError]]] = [
        ("HTTP 401 without a body", empty, errors.InvalidClient),
        ("HTTP 429 with Retry-After", waiting, errors.RateLimited),
        ("HTTP 429 with a page", html_response(429, "Too Many Requests"), errors.RateLimited),
        ("HTTP 500 with a page", html_response(500, "Error"), errors.EndpointUnavailable),
        ("HTTP 502 with a page", html_response(502, _PAGE), errors.EndpointUnavailable),
        ("HTTP 504 with a page", html_response(504, _PAGE), errors.EndpointUnavailable),
        ("HTTP 400 with a page", html_response(400, _PAGE), errors.TokenRequestRefused),
        ("HTTP 403 with a page", html_response(403, _PAGE), errors.TokenRequestRefused),
        ("HTTP 404 with a page", html_response(404, _PAGE), errors.TokenRequestRefused),
        ("HTTP 503", json_response(503, {}), errors.EndpointUnavailable),
        ("HTTP 307", Response(307, b"", location), errors.InvalidTokenResponse),
        ("HTTP 200 with a page", html_response(200, "Welcome"), errors.InvalidTokenResponse),
    ]
    for what, response, kind in responses:
        error = _expect(subject, what, response, kind, _FIX_STATUS)
        if response is waiting and getattr(error, "retry_after", None) != 7.0:
            raise CheckFailed(f"the delay of {what} is ignored.", _FIX_STATUS)


def documented_errors(subject: Subject) -> None:
    """Each example of `errors` raises the error that it names."""
    for number, example in enumerate(subject.examples.errors, 1):
        what = f"example {number} of `errors`"
        check_keys(what, example, others="status headers body raises")
        name = _name(example.get("raises", ""))
        kind = getattr(errors, name, None)
        if not (isinstance(kind, type) and issubclass(kind, errors.KeyturnError)):
            known = [each for each in vars(errors) if each[0].isupper()]
            raise CheckFailed(
                f"{what}: {name} is not an error of keyturn.{did_you_mean(name, known)}"
                if name
                else f"{what} does not say which error it raises.",
                'give each example raises, such as "InvalidClient".',
            )
        _expect(subject, what, samples.from_example(example), kind, _FIX_CODES)


def read_error_method(subject: Subject) -> None:
    """`read_error` finds no error in a token response, and accepts any response."""
    provider, settings = subject.effective_provider, subject.settings()
    sample = subject.sample
    replies = [sample.response]
    if isinstance(sample.content, dict):
        replies.append(sample.changed({**dict.fromkeys(_HARMLESS, "made up"), **sample.content}))
    for what, reply in zip(("", " and a warning"), replies, strict=False):
        good = samples.to_response(reply)
        if subject.call("read_error", functools.partial(provider.read_error, settings, good)):
            raise CheckFailed(
                f"read_error finds an error in the response with a token{what}.",
                "let read_error return None where there is no error; correct error_field.",
            )
    unusual = [json_response(400, each) for each in _UNUSUAL]
    field = provider.error_field
    unusual += [json_response(400, samples.placed({}, field, each)) for each in _UNUSUAL]
    unusual += [html_response(502, "Bad Gateway"), Response(500), Response(400, b"\xff{")]
    unusual.append(Response(429, b"", {"Retry-After": "Wed, 21 Oct 2037 07:28:00 GMT"}))
    for each in unusual:
        response = samples.to_response(each)
        found: Any = _read_error(subject, response)
        if found is not None and not isinstance(found, OAuthError):
            raise CheckFailed(
                f"read_error returns {type(found).__name__} for {_shown(response)}.",
                "let read_error return a keyturn.plugins.OAuthError or None.",
            )
        if found is not None and not _is_error(found):
            raise CheckFailed(
                f"read_error returns a wrong code or description for {_shown(response)}.",
                "let read_error return strings, and a code of RFC 6749 section 5.2 or an empty "
                "one.",
            )


def _is_error(found: OAuthError) -> bool:
    code: Any = found.code
    return isinstance(found.description, str) and (code == "" or is_code(code))


def _read_error(subject: Subject, response: ReadResponse) -> object:
    provider, settings = subject.effective_provider, subject.settings()
    try:
        return subject.call("read_error", lambda: provider.read_error(settings, response))
    except CheckFailed as failed:
        what = failed.what
    raise CheckFailed(
        f"read_error raises for {_shown(response)}: {what}",
        "let read_error return None for what it doesn't understand: response.json() may be None, a "
        "list, a string or a number, and so may be every field in it.",
    )


def _shown(response: ReadResponse) -> str:
    return f"HTTP {response.status}, {response.body[:60].decode('utf-8', 'replace')!r}"


def _expect(
    subject: Subject, what: str, reply: Reply, kind: type[errors.KeyturnError], fix: str
) -> errors.KeyturnError:
    error = subject.failure(reply)
    if error is None:
        raise CheckFailed(f"{what} gives a token.", fix)
    # A 401 means the credentials, whatever the code (RFC 6749 section 5.2).
    is_another = isinstance(error, _NARROWER) and "(HTTP 401)" not in what
    is_another = is_another and kind is errors.TokenRequestRefused
    if is_another or not isinstance(error, kind):
        raise CheckFailed(
            f"{what} raises {type(error).__name__} instead of {kind.__name__}: {error.message}",
            fix,
        )
    return error


def _name(raises: object) -> str:
    return raises.__name__ if isinstance(raises, type) else str(raises)


_FIX_CODES = (
    "correct error_field and error_codes, or let read_error return a keyturn.plugins.OAuthError "
    "with the "
    "code of RFC 6749 section 5.2."
)
_FIX_STATUS = (
    "let read_error return an OAuthError or None, and raise nothing: keyturn maps a status to its "
    "error."
)
