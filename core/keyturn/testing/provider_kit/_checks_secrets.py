"""Checks that no secret and no token is shown anywhere."""

from __future__ import annotations

import contextlib
import functools
import secrets
import traceback
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._clock import Clock
from keyturn._common.redaction import MASK, Redaction
from keyturn._http.request import TokenRequest
from keyturn._providers.settings import read
from keyturn._providers.token_response import field_of
from keyturn._secret import Secret
from keyturn._tokens.additions import additions_for
from keyturn._tokens.token_query import Credentials
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._canaries import (
    CANARY,
    LETTERS,
    canaries,
    canary,
    digests_of,
    encoded,
    forms_of,
    found_in,
    is_partly_in,
)
from keyturn.testing.provider_kit._checks_values import own_values
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._made_up import secret_settings
from keyturn.testing.provider_kit._pinned import with_steps
from keyturn.testing.provider_kit._source import is_data_alone
from keyturn.testing.provider_kit._variants import cases
from keyturn.testing.provider_kit._watch import captured_output, plugin_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from keyturn._token import Token
    from keyturn.testing._messages import ReceivedRequest, Response
    from keyturn.testing.provider_kit._subject import Subject

# The datum of which a method makes its result.
_DATA = {"api_request_headers": "api_headers", "authorization": "authorization_value"}
# A token of this many characters occurs nowhere by chance.
_LONG = 12


def no_secret_in_url(subject: Subject) -> None:
    """No secret is in the URL, or in the redacted token request."""
    changes = canaries(subject)
    request = subject.request(**changes)
    for each in with_steps(request):
        _judge_shown(subject, each, changes)


def _judge_shown(subject: Subject, request: TokenRequest, changes: Mapping[str, Any]) -> None:
    for name, forms in _hidden(subject, changes).items():
        if found_in(forms, request.url):
            raise CheckFailed(
                f"the setting {name} is in the token endpoint's URL, which servers log.",
                "send it as a parameter; platforms that want it in the query have "
                'body_format = "query".',
            )
        redacted = request.redacted()
        strings = (*redacted.headers.values(), redacted.query, redacted.body.decode())
        digests = digests_of(subject, name, changes)
        if any(each in text for text in (request.url, *strings) for each in digests):
            raise CheckFailed(
                f"a plain digest of the setting {name} is in the URL or shown in the redacted "
                "token request: anyone who sees it can test guessed secrets.",
                "where the platform requires it, let it be a keyturn.plugins.DynamicValue, or a "
                "Secret, in a parameter or header.",
            )
        if any(found_in(forms, text) for text in strings):
            raise CheckFailed(
                f"the setting {name} is shown in the redacted token request, as a plain string.",
                "give a parameter or header the Secret itself, never what reveal() returns; what "
                "is computed from it is a keyturn.plugins.DynamicValue, or another Secret.",
            )


def made_of_secrets(subject: Subject) -> None:
    """A value that is computed from a secret is hidden, like the secret."""
    for name in canaries(subject):
        one, other = (
            _plain(subject.request(**{name: value})) for value in (canary(), canary() + canary())
        )
        for part in one:
            if one[part] != other.get(part, one[part]):
                raise CheckFailed(
                    f"token_request has the {part} as a plain string, although it is computed from "
                    f"the secret {name}.",
                    "let it be a keyturn.Secret or a keyturn.plugins.DynamicValue; it is hidden "
                    "then, and covered by the fingerprint.",
                )
    if "headers" not in (subject.examples.api or {}) and "client_secret" in canaries(subject):
        _judge_api_requests(subject)


def _plain(request: TokenRequest) -> dict[str, str]:
    """Return the plain strings in a request, and in those of the steps before it."""
    found: dict[str, str] = {}
    for each in with_steps(request):
        found |= {"URL": each.url, "partition": each.partition, "scope": " ".join(each.scope)}
        pairs = (("parameter", each.parameters), ("header", each.extra_headers))
        found |= {
            f"{kind} {name}": value
            for kind, every in pairs
            for name, value in every
            if isinstance(value, str)
        }
    return found


def _judge_api_requests(subject: Subject) -> None:
    """Check that API requests show no part and no plain digest of the client's secret."""
    secret, token = canary(), subject.token()
    settings = subject.settings(client_secret=secret)
    provider, request = subject.prepared(settings)
    shown: list[tuple[str, Any]] = []
    with contextlib.suppress(Exception):  # other checks report what is raised
        known = Credentials(provider, settings, request)
        shown.append(("api_query", additions_for(known, token, Clock()).query))
        shown.append(("api_url_for", provider.api_url_for(settings, token)))
        shown.append(("authorization", provider.authorization(settings, token)))
        headers = dict(provider.api_request_headers(settings, token))
        shown.append(("api_request_headers", headers))
    changes = {"client_secret": secret}
    digests = digests_of(subject, "client_secret", changes)
    forms = [*_hidden(subject, changes)["client_secret"], *digests]
    for method, value in shown:
        text = str(value)
        if is_partly_in(secret, text) or any(each in text for each in forms):
            what = f"{method} ({_DATA[method]})" if method in _DATA else method
            raise CheckFailed(
                f"{what} shows a part or a plain digest of the client's secret to the API.",
                f"let {what} use the token alone; where the platform requires it, give `api` "
                "with the documented headers.",
            )
    address = next((value for method, value in shown if method == "api_url_for"), None)
    if address and token.access_token in str(address):
        raise CheckFailed(
            "api_url_for has the token in the API's URL, which servers log.",
            "leave the token to authorization and authorization_query.",
        )


def redaction(subject: Subject) -> None:
    """No secret and no token is shown in a log, an error, a repr or a transcript."""
    changes = canaries(subject)
    hidden = _hidden(subject, changes)
    with captured_output() as output, plugin_errors() as raised:
        for status in (200, 400, 500):
            output += list(_failure_output(subject, status, changes))
        output += list(_success_output(subject, changes))
        output += list(_unreadable_output(subject, changes))
        output += list(_mistake_output(subject, hidden))
        output += [("an error that the provider raises", each) for each in raised]
    token = subject.token(_reply(subject), **changes)
    hidden["the token"] = forms_of(token.access_token)
    # keyturn has hidden it there.
    extra = repr(dict(token.extra)).replace(MASK, token.access_token)
    output.append(("the token's extra", extra))
    if not is_data_alone(subject.provider):
        with captured_output() as further:
            further += list(_method_output(subject, changes, token))
        output += further
    made = {**changes, "the token": token.access_token}
    parts = {name: each.partition("+")[0] for name, each in made.items()}
    parts = {name: each for name, each in parts.items() if set(each) <= set(LETTERS)}
    any_form = Redaction([Secret(forms[0]) for forms in hidden.values()])
    every = [form for forms in hidden.values() for form in forms]
    suspected = (
        (where, text)
        for where, text in dict.fromkeys(output)  # many are the same
        # A search for all at once takes a third of the time.
        if any_form.text(text) != text
        or any(form in text for form in every)
        or any(is_partly_in(part, text) for part in parts.values())
    )
    shown = (
        (name if name == "the token" else f"the setting {name}", where)
        for where, text in suspected
        for name, forms in hidden.items()
        if found_in(forms, text) or is_partly_in(parts.get(name, ""), text)
    )
    for what, where in shown:
        raise CheckFailed(
            f"{what} is shown in {where}.",
            "log and raise names, never values; keep secrets as Secret, and a server's "
            "message in OAuthError.description, which is redacted before it is shown.",
        )


def _hidden(subject: Subject, changes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the encodings of each secret by its setting's name."""
    values = {**subject.values, **changes}
    client_id = str(values.get("client_id", ""))
    found = {}
    for name in secret_settings(subject.provider.settings):
        if values.get(name):
            found[name] = [
                *forms_of(values[name]),
                *encoded(f"{client_id}:{values[name]}"),
            ]
    return found


def _reply(subject: Subject) -> Response:
    """Return the sample, with a token that occurs nowhere by chance."""
    sample, field = subject.sample, subject.effective_provider.token_field
    token = field_of(sample.content, field) if field else None
    is_free = samples.lifetime_path(subject.effective_provider) != field  # it is no JWT
    is_made_up = sample.is_made_up and is_free and isinstance(sample.content, dict)
    if not isinstance(token, str) or (len(token) >= _LONG and not is_made_up):
        return sample.response
    return sample.changed(samples.placed(sample.content, field, CANARY))


def _mistake_output(subject: Subject, hidden: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield the messages about invalid secrets."""
    for name in secret_settings(subject.provider.settings):
        made = f"canary{secrets.token_hex(8)}"
        hidden[name] = [*hidden.get(name, ()), made]
        for bad in (made, f" {made}\n", f"{made}\0"):
            _, mistakes = read(subject.provider.settings, {**subject.values, name: bad})
            shown = "; ".join(map(str, mistakes))
            # keyturn has hidden it there.
            yield "a message about invalid settings", shown.replace(MASK, made)


def _failure_output(
    subject: Subject, status: int, changes: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the output for an endpoint that returns the whole request in an error."""

    def echo(request: ReceivedRequest) -> Response:
        message = f"{request.target} {request.headers} {request.body.decode()}"
        return samples.error_response(
            subject.effective_provider, "invalid_request", status, message
        )

    connection = subject.connect(echo, is_lean=False, **changes)
    yield from _reprs(connection, subject.settings(**changes), connection.token_request())
    try:
        connection.token()
    except errors.KeyturnError as error:
        yield f"{type(error).__name__}, the error at status {status}", f"{error} {error!r}"
        yield "a traceback", "".join(traceback.format_exception(error))
    yield f"the transcript at status {status}", connection.explain()


def _success_output(subject: Subject, changes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    connection = subject.connect(_reply(subject), is_lean=False, **changes)
    yield "the transcript", connection.explain()
    with contextlib.suppress(errors.KeyturnError):  # another check covers it
        token = connection.token()
        connection.headers()
        yield from _reprs(token, connection)
        _ = connection.api_url


def _unreadable_output(subject: Subject, changes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the error about a response that ends early, with its token."""
    whole = _reply(subject)
    early = attrs.evolve(whole, body=whole.body.rstrip()[:-1])
    try:
        subject.connect(early, is_lean=False, **changes).token()
    except errors.KeyturnError as error:
        yield "the error about a truncated response", f"{error} {error!r}"


def _method_output(
    subject: Subject, changes: Mapping[str, Any], token: Token
) -> Iterator[tuple[str, str]]:
    """Call the methods for other settings too; yield their errors."""
    cls = subject.provider.settings
    every: list[Any] = [read(cls, {**case.values, **changes})[0] for case in cases(subject)]
    for settings in (each for each in every if each is not None):
        provider = subject.provider_for(settings)
        works: list[Callable[[], object]] = [
            functools.partial(provider.token_request, settings),
            *(
                functools.partial(method, settings, token)
                for method in (
                    provider.revocation_request,
                    provider.api_url_for,
                    provider.authorization,
                    provider.api_request_headers,
                )
            ),
        ]
        for work in works:
            try:
                made: Any = work()
                if isinstance(made, TokenRequest):
                    yield from _reprs(*(value for _, value in own_values(made)))
            except Exception as error:  # noqa: BLE001 - of any kind
                yield "an error that the provider raises", f"{error} {error.args}"


def _reprs(*values: object) -> Iterator[tuple[str, str]]:
    for value in values:
        yield f"the repr of {type(value).__name__}", f"{value!r} {value}"
