"""Checks that secrets and tokens show nowhere."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from keyturn import errors
from keyturn._http.urls import url_problem
from keyturn._providers.settings import read
from keyturn._providers.token_response import field_of
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._made_up import secret_settings
from keyturn.testing.provider_kit._subject import CheckFailed
from keyturn.testing.provider_kit._watch import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn.testing._messages import ReceivedRequest, Response
    from keyturn.testing.provider_kit._subject import Subject

# Characters of a token that no other text holds by chance.
_LONG = 12
_CANARY = f"canary-{secrets.token_hex(8)}"


def no_secret_in_url(subject: Subject) -> None:
    """No secret is in the address, nor in what is shown of the token request."""
    changes = _canaries(subject)
    request = subject.request(**changes)
    for name, forms in _hidden(subject, changes).items():
        if _found(forms, request.url):
            raise CheckFailed(
                f"the setting {name} is in the token endpoint's address, which servers log.",
                "send it as a parameter; platforms that want it in the query have "
                'body_format = "query".',
            )
        redacted = request.redacted()
        texts = (*redacted.headers.values(), redacted.query, redacted.body.decode())
        if any(_found(forms, text) for text in texts):
            raise CheckFailed(
                f"the setting {name} shows in the redacted token request, as a plain text.",
                "give a parameter or header the Secret itself, never what reveal() returns; what "
                "is computed from it is a keyturn.plugins.DynamicValue, or a Secret in its turn.",
            )


def redaction(subject: Subject) -> None:
    """No secret and no token shows in a log, an error, a repr or a transcript."""
    changes = _canaries(subject)
    hidden = _hidden(subject, changes)
    with shown() as texts:
        for status in (200, 400, 500):
            texts += list(_failure_texts(subject, status, changes))
        texts += list(_success_texts(subject, changes))
        texts += list(_mistake_texts(subject, hidden))
    token = subject.token(_reply(subject))
    hidden["the token"] = _forms(token.access_token)
    texts.append(("the token's extra", repr(dict(token.extra))))
    _check_api_headers(subject, changes, hidden)
    for where, text in texts:
        for name, forms in hidden.items():
            if _found(forms, text):
                raise CheckFailed(
                    f"{name if name == 'the token' else f'the setting {name}'} shows in {where}.",
                    "log and raise names, never values; keep secrets as Secret, and a server's "
                    "words in OAuthError.description, which is cleaned before it is shown.",
                )


def revocation(subject: Subject) -> None:
    """A revocation request goes to an https address, and holds the token as a secret."""
    provider, settings = subject.bound_provider, subject.settings()
    token = subject.token(_reply(subject))
    request = subject.ask(
        "revocation_request", lambda: provider.revocation_request(settings, token)
    )
    if request is None:
        subject.note("there is no revocation endpoint.")
        return
    mend = "start from self.revocation_to(url, settings, token)."
    problem = url_problem(request.url)
    if _found(_forms(token.access_token), request.url):
        raise CheckFailed("revocation_request has the token in the address.", mend)
    if problem or not (request.url.startswith("https://") or _is_local(subject)):
        raise CheckFailed(f"revocation_request goes to {request.url}, which is not https.", mend)
    redacted = request.redacted()
    for text in (*redacted.headers.values(), redacted.query, redacted.body.decode()):
        if _found(_forms(token.access_token), text):
            raise CheckFailed("revocation_request shows the token as a plain text.", mend)
    sent = (*request.headers.values(), request.query, request.body.decode())
    if not any(_found(_forms(token.access_token), text) for text in sent):
        raise CheckFailed("revocation_request does not hold the token.", mend)


def _is_local(subject: Subject) -> bool:
    return urlsplit(subject.request().url).scheme == "http"


def _canaries(subject: Subject) -> dict[str, Any]:
    """Return secrets that can't be met anywhere by chance, where a made-up one will do."""
    changes: dict[str, Any] = {}
    for name in secret_settings(subject.provider.settings):
        canary = f"canary+{secrets.token_hex(4)}"
        values = {**subject.values, **changes, name: canary}
        if name in subject.values and read(subject.provider.settings, values)[0] is not None:
            changes[name] = canary
    return changes


def _hidden(subject: Subject, changes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the forms of each secret by its setting's name."""
    values = {**subject.values, **changes}
    client_id = str(values.get("client_id", ""))
    found = {}
    for name in secret_settings(subject.provider.settings):
        if values.get(name):
            found[name] = [
                *_forms(values[name]),
                *_encoded(f"{client_id}:{values[name]}"),
            ]
    return found


def _forms(text: str) -> list[str]:
    """Return a text as it may stand somewhere."""
    plain = [text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1]]
    return [*plain, *_encoded(text), text.encode().hex(), text.encode().hex().upper()]


def _encoded(text: str) -> list[str]:
    """Return a text in Base64, and in its form for URLs (RFC 4648 sections 4 and 5)."""
    encode = (base64.b64encode, base64.urlsafe_b64encode)
    return [each(text.encode()).decode().rstrip("=") for each in encode]


def _found(forms: list[str], text: str) -> bool:
    return any(form in text for form in forms)


def _reply(subject: Subject) -> Response:
    """Return the sample with a token that can't be met anywhere by chance, if its own can."""
    sample, field = subject.sample, subject.bound_provider.token_field
    token = field_of(sample.content, field) if field else None
    if not isinstance(token, str) or len(token) >= _LONG:
        return sample.response
    return sample.changed(samples.placed(sample.content, field, _CANARY))


def _mistake_texts(subject: Subject, hidden: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield what is told of secrets that are wrong."""
    for name in secret_settings(subject.provider.settings):
        canary = f"canary{secrets.token_hex(8)}"
        hidden[name] = [*hidden.get(name, ()), canary]
        for bad in (canary, f" {canary}\n", f"{canary}\0"):
            _, mistakes = read(subject.provider.settings, {**subject.values, name: bad})
            yield "a mistake that is told of the settings", "; ".join(mistakes)


def _check_api_headers(
    subject: Subject, changes: dict[str, Any], hidden: Mapping[str, list[str]]
) -> None:
    """See that API requests don't have the client's secret, unless that is documented."""
    if "headers" in (subject.examples.api or {}) or "client_secret" not in changes:
        return
    connection = subject.connect(**changes)
    with contextlib.suppress(errors.KeyturnError):  # which has a check of its own
        for header, value in connection.headers().items():
            if _found(hidden["client_secret"], value):
                raise CheckFailed(
                    f"the setting client_secret is in the header {header} of API requests.",
                    "leave it out of decorate and api_headers; where the platform does want it, "
                    "give `api` with the documented headers.",
                )


def _failure_texts(
    subject: Subject, status: int, changes: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield what is seen when the endpoint sends everything back in an error."""

    def echo(request: ReceivedRequest) -> Response:
        said = f"{request.target} {request.headers} {request.body.decode()}"
        return samples.refusal(subject.bound_provider, "invalid_request", status, said)

    connection = subject.connect(echo, is_lean=False, **changes)
    yield from _reprs(connection, connection.settings, connection.token_request())
    try:
        connection.token()
    except errors.KeyturnError as error:
        yield f"{type(error).__name__}, the error at status {status}", f"{error} {error!r}"
        yield "a traceback", "".join(traceback.format_exception(error))
    yield f"the transcript at status {status}", connection.explain()


def _success_texts(subject: Subject, changes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    connection = subject.connect(_reply(subject), is_lean=False, **changes)
    yield "the transcript", connection.explain()
    with contextlib.suppress(errors.KeyturnError):  # which has a check of its own
        token = connection.token()
        connection.headers()
        yield from _reprs(token, connection)
        _ = connection.api_url


def _reprs(*values: object) -> Iterator[tuple[str, str]]:
    for value in values:
        yield f"the repr of {type(value).__name__}", f"{value!r} {value}"
