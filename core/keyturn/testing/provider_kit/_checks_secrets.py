"""Checks that no secret and no token is shown anywhere."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from keyturn import errors
from keyturn._common.redaction import MASK, Redaction
from keyturn._http.steps import known_address
from keyturn._http.urls import is_below, url_problem
from keyturn._http.values import reveal
from keyturn._providers.settings import read
from keyturn._providers.token_response import field_of
from keyturn._secret import Secret
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._checks_foreign import own_domains
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._made_up import secret_settings
from keyturn.testing.provider_kit._pinned import at_known_address, with_steps
from keyturn.testing.provider_kit._watch import captured_output, plugin_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn._http.request import TokenRequest
    from keyturn._token import Token
    from keyturn.testing._messages import ReceivedRequest, Response
    from keyturn.testing.provider_kit._subject import Subject

# A token of this many characters occurs nowhere by chance.
_LONG = 12
_ALGORITHMS = (
    *("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s"),
)
_MOVED = "https://moved.example/made-up/revoke"
_CANARY = f"canary-{secrets.token_hex(8)}"


def no_secret_in_url(subject: Subject) -> None:
    """No secret is in the URL, nor in what is shown of the token request."""
    changes = canaries(subject)
    request = subject.request(**changes)
    for each in with_steps(request):
        _judge_shown(subject, each, changes)


def _judge_shown(subject: Subject, request: TokenRequest, changes: Mapping[str, Any]) -> None:
    for name, forms in _hidden(subject, changes).items():
        if _found(forms, request.url):
            raise CheckFailed(
                f"the setting {name} is in the token endpoint's URL, which servers log.",
                "send it as a parameter; platforms that want it in the query have "
                'body_format = "query".',
            )
        redacted = request.redacted()
        strings = (*redacted.headers.values(), redacted.query, redacted.body.decode())
        if any(_found(_digests(subject, name, changes), text) for text in (request.url, *strings)):
            raise CheckFailed(
                f"a plain digest of the setting {name} is in the URL or shown in the redacted "
                "token request: anyone who sees it can try secrets until one fits.",
                "where the platform requires it, let it be a keyturn.plugins.DynamicValue, or a "
                "Secret, in a parameter or header.",
            )
        if any(_found(forms, text) for text in strings):
            raise CheckFailed(
                f"the setting {name} is shown in the redacted token request, as a plain string.",
                "give a parameter or header the Secret itself, never what reveal() returns; what "
                "is computed from it is a keyturn.plugins.DynamicValue, or a Secret in its turn.",
            )


def redaction(subject: Subject) -> None:
    """No secret and no token is shown in a log, an error, a repr or a transcript."""
    changes = canaries(subject)
    hidden = _hidden(subject, changes)
    with captured_output() as output, plugin_errors() as raised:
        for status in (200, 400, 500):
            output += list(_failure_output(subject, status, changes))
        output += list(_success_output(subject, changes))
        output += list(_mistake_output(subject, hidden))
        output += [("an error that the provider raises", each) for each in raised]
    token = subject.token(_reply(subject), **changes)
    hidden["the token"] = _forms(token.access_token)
    # keyturn has hidden it there.
    extra = repr(dict(token.extra)).replace(MASK, token.access_token)
    output.append(("the token's extra", extra))
    _check_api_headers(subject, changes, hidden)
    for where, text in output:
        for name, forms in hidden.items():
            if _found(forms, text):
                raise CheckFailed(
                    f"{name if name == 'the token' else f'the setting {name}'} is shown in "
                    f"{where}.",
                    "log and raise names, never values; keep secrets as Secret, and a server's "
                    "message in OAuthError.description, which is redacted before it is shown.",
                )


def revocation(subject: Subject) -> None:
    """A revocation request goes to an https URL, and holds the token as a secret."""
    provider, settings = subject.effective_provider, subject.settings()
    token = subject.token(_reply(subject))
    request = subject.call(
        "revocation_request", lambda: provider.revocation_request(settings, token)
    )
    if request is None:
        subject.note("the provider has no revocation endpoint.")
        return
    fix = "start from self.revocation_to(url, settings, token)."
    request = at_known_address(request, subject.request())
    problem = url_problem(request.url)
    if _found(_forms(token.access_token), request.url):
        raise CheckFailed("revocation_request has the token in the URL.", fix)
    if problem or not (request.url.startswith("https://") or _is_local(subject)):
        raise CheckFailed(f"revocation_request goes to {request.url}, which is not https.", fix)
    if not any(is_below(request.url, domain) for domain in own_domains(subject)):
        raise CheckFailed(
            f"revocation_request goes to {request.url}, on none of the platform's hosts.",
            "derive the URL from token_url, or name its domain in api_domains.",
        )
    redacted = request.redacted()
    for text in (*redacted.headers.values(), redacted.query, redacted.body.decode()):
        if _found(_forms(token.access_token), text):
            raise CheckFailed("revocation_request shows the token as a plain string.", fix)
    sent = (*request.headers.values(), request.query, request.body.decode())
    if not any(_found(_forms(token.access_token), text) for text in sent):
        raise CheckFailed("revocation_request does not hold the token.", fix)
    _judge_parameters(subject, request, token)
    _judge_moved(subject, token)


def _judge_parameters(subject: Subject, request: TokenRequest, token: Token) -> None:
    """Check what RFC 7009 section 2.1 has of a revocation request."""
    given = dict(request.parameters)
    fix = "start from self.revocation_to(url, settings, token)."
    if "grant_type" in given or (request.scope and request.scope_name):
        raise CheckFailed("revocation_request has the parameters of a token request.", fix)
    if given.get("token_type_hint", "access_token") != "access_token":
        raise CheckFailed("revocation_request has another token_type_hint than access_token.", fix)
    holders = {
        name for name, value in given.items() if _found(_forms(token.access_token), reveal(value))
    }
    if holders and "token" not in holders:
        raise CheckFailed(
            f"revocation_request has the token as {min(holders)}; RFC 7009 has it as token.", fix
        )
    if "token" in given and reveal(given["token"]) != token.access_token:
        raise CheckFailed("revocation_request changes the token.", fix)
    if request.body_format == "query" and subject.request().body_format != "query":
        raise CheckFailed("revocation_request has the token in the URL's query.", fix)


def _judge_moved(subject: Subject, token: Token) -> None:
    """Check that a user can move the revocation endpoint."""
    settings = subject.settings(revocation_url=_MOVED)
    provider = subject.provider_for(settings)
    moved = subject.call("revocation_request", lambda: provider.revocation_request(settings, token))
    if moved is None or moved.url != _MOVED:
        raise CheckFailed(
            "revocation_request ignores the setting revocation_url.",
            "set the datum revocation_url instead, or begin revocation_request with "
            "super().revocation_request(settings, token) if settings.revocation_url is set.",
        )


def _is_local(subject: Subject) -> bool:
    return urlsplit(known_address(subject.request())).scheme == "http"


def canaries(subject: Subject) -> dict[str, Any]:
    """Return secrets that occur nowhere by chance, where a made-up one is valid."""
    changes: dict[str, Any] = {}
    for name in secret_settings(subject.provider.settings):
        canary = f"canary+{secrets.token_hex(4)}"
        values = {**subject.values, **changes, name: canary}
        if name in subject.values and read(subject.provider.settings, values)[0] is not None:
            changes[name] = canary
    return changes


def _hidden(subject: Subject, changes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the encodings of each secret by its setting's name."""
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
    """Return a string in the encodings in which it may be shown."""
    plain = [text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1]]
    return [*plain, *_encoded(text), text.encode().hex(), text.encode().hex().upper()]


def _encoded(text: str) -> list[str]:
    """Return a string in Base64 and in Base64 for URLs (RFC 4648 sections 4 and 5)."""
    encode = (base64.b64encode, base64.urlsafe_b64encode)
    return [each(text.encode()).decode().rstrip("=") for each in encode]


def _digests(subject: Subject, name: str, changes: Mapping[str, Any]) -> list[str]:
    """Return the digests of a secret, and of it beside the client's id, in all encodings."""
    values = {**subject.values, **changes}
    secret, client_id = str(values[name]), str(values.get("client_id", ""))
    hashed = {secret, f"{secret}\n"}
    for separator in ("", ":", "&", "|", "\n"):
        hashed |= {f"{client_id}{separator}{secret}", f"{secret}{separator}{client_id}"}
    found: list[str] = []
    for algorithm in _ALGORITHMS:
        for text in hashed:
            digest = hashlib.new(algorithm, text.encode(), usedforsecurity=False).digest()
            encoded = base64.b64encode(digest).decode().rstrip("=")
            url_safe = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            found += [
                digest.hex(),
                digest.hex().upper(),
                encoded,
                quote(encoded, safe=""),
                url_safe,
            ]
    return found


def _found(forms: list[str], text: str) -> bool:
    if any(form in text for form in forms):
        return True
    # The first is the secret itself: whatever else it may be encoded as.
    return Redaction([Secret(forms[0])]).text(text) != text


def _reply(subject: Subject) -> Response:
    """Return the sample, with a token that occurs nowhere by chance."""
    sample, field = subject.sample, subject.effective_provider.token_field
    token = field_of(sample.content, field) if field else None
    if not isinstance(token, str) or len(token) >= _LONG:
        return sample.response
    return sample.changed(samples.placed(sample.content, field, _CANARY))


def _mistake_output(subject: Subject, hidden: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield the messages about invalid secrets."""
    for name in secret_settings(subject.provider.settings):
        canary = f"canary{secrets.token_hex(8)}"
        hidden[name] = [*hidden.get(name, ()), canary]
        for bad in (canary, f" {canary}\n", f"{canary}\0"):
            _, mistakes = read(subject.provider.settings, {**subject.values, name: bad})
            shown = "; ".join(map(str, mistakes))
            # keyturn has hidden it there.
            yield "a message about invalid settings", shown.replace(MASK, canary)


def _check_api_headers(
    subject: Subject, changes: dict[str, Any], hidden: Mapping[str, list[str]]
) -> None:
    """Check that API requests don't hold the client secret, unless that is documented."""
    if "headers" in (subject.examples.api or {}) or "client_secret" not in changes:
        return
    connection = subject.connect(**changes)
    with contextlib.suppress(errors.KeyturnError):  # another check covers it
        for header, value in connection.headers().items():
            if _found(hidden["client_secret"], value):
                raise CheckFailed(
                    f"the setting client_secret is in the header {header} of API requests.",
                    "leave it out of api_request_headers and api_headers; where the platform "
                    "requires it, give `api` with the documented headers.",
                )


def _failure_output(
    subject: Subject, status: int, changes: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield what is shown when the endpoint returns the whole request in an error."""

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


def _reprs(*values: object) -> Iterator[tuple[str, str]]:
    for value in values:
        yield f"the repr of {type(value).__name__}", f"{value!r} {value}"
