"""Check of the request that revokes a token."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from keyturn._http.steps import known_address
from keyturn._http.urls import is_below, url_problem
from keyturn._http.values import reveal
from keyturn.testing.provider_kit._canaries import forms_of, found_in
from keyturn.testing.provider_kit._checks_foreign import own_domains
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._pinned import at_known_address

if TYPE_CHECKING:
    from keyturn._http.request import TokenRequest
    from keyturn._token import Token
    from keyturn.testing.provider_kit._subject import Subject

_MOVED = "https://moved.example/made-up/revoke"
# It occurs nowhere by chance, and shows truncation and changes.
_TOKEN = f"made-up.revoked.{'aB3' * 100}~+/_=="
_OTHER = "made-up.other"


def revocation(subject: Subject) -> None:
    """A revocation request goes to an https URL, and contains the token as a secret."""
    token = attrs.evolve(subject.token(), access_token=_TOKEN)
    extra = {**token.extra, "refresh_token": _OTHER, "id_token": _OTHER}
    # The second token has a scope, and came with others.
    for each in (token, attrs.evolve(token, scope="made-up", extra=extra)):
        if not _judge(subject, each):
            subject.note("the provider has no revocation endpoint.")
            return
    _judge_moved(subject, token)


def _judge(subject: Subject, token: Token) -> bool:
    """Check the request that revokes a token; return whether there is one."""
    provider, settings = subject.effective_provider, subject.settings()
    request = subject.call(
        "revocation_request", lambda: provider.revocation_request(settings, token)
    )
    if request is None:
        return False
    fix = "start from self.revocation_to(url, settings, token)."
    request = at_known_address(request, subject.request())
    problem = url_problem(request.url)
    if found_in(forms_of(token.access_token), request.url):
        raise CheckFailed("revocation_request has the token in the URL.", fix)
    if problem or not (request.url.startswith("https://") or _is_local(subject)):
        raise CheckFailed(f"revocation_request goes to {request.url}, which is not https.", fix)
    if not any(is_below(request.url, domain) for domain in own_domains(subject)):
        raise CheckFailed(
            f"revocation_request goes to {request.url}, which is not one of the platform's hosts.",
            "derive the URL from token_url, or name its domain in api_domains.",
        )
    redacted = request.redacted()
    for text in (*redacted.headers.values(), redacted.query, redacted.body.decode()):
        if found_in(forms_of(token.access_token), text):
            raise CheckFailed("revocation_request shows the token as a plain string.", fix)
    sent = (*request.headers.values(), request.query, request.body.decode())
    if not any(found_in(forms_of(token.access_token), text) for text in sent):
        raise CheckFailed("revocation_request does not contain the token.", fix)
    _judge_parameters(subject, request, token)
    _judge_client(subject, request)
    return True


def _judge_parameters(subject: Subject, request: TokenRequest, token: Token) -> None:
    """Check a revocation request against RFC 7009 section 2.1."""
    given = dict(request.parameters)
    fix = "start from self.revocation_to(url, settings, token)."
    if "grant_type" in given or (request.scope and request.scope_name):
        raise CheckFailed("revocation_request has the parameters of a token request.", fix)
    if given.get("token_type_hint", "access_token") != "access_token":
        raise CheckFailed("revocation_request has another token_type_hint than access_token.", fix)
    holders = {
        name
        for name, value in given.items()
        if found_in(forms_of(token.access_token), reveal(value))
    }
    if holders and "token" not in holders:
        raise CheckFailed(
            f"revocation_request has the token as {min(holders)}; RFC 7009 has it as token.", fix
        )
    if "token" in given and reveal(given["token"]) != token.access_token:
        raise CheckFailed("revocation_request changes the token.", fix)
    if request.body_format == "query" and subject.request().body_format != "query":
        raise CheckFailed("revocation_request has the token in the URL's query.", fix)


def _judge_client(subject: Subject, request: TokenRequest) -> None:
    """Check that the client authenticates (RFC 7009 section 2.1), at the revocation endpoint."""
    fix, last = "start from self.revocation_to(url, settings, token).", subject.request()
    if request.provider != subject.provider.name:
        raise CheckFailed(f"revocation_request is of the provider {request.provider!r}.", fix)
    given, client = dict(request.parameters), subject.values.get("client_id")
    if request.method == "GET" != last.method:
        raise CheckFailed("revocation_request is a GET request.", fix)
    is_same = not last.steps and request.url == last.url
    if request.method == last.method and is_same:
        raise CheckFailed("revocation_request goes to the token endpoint.", fix)
    if isinstance(client, str) and given.get("client_id", client) != client:
        raise CheckFailed("revocation_request has a client_id that differs from the settings.", fix)
    names = {name.lower() for name, _ in request.extra_headers}
    is_known = request.certificate or "authorization" in names or len(list(request.secrets())) > 1
    if list(last.secrets()) and not is_known:
        raise CheckFailed(
            "revocation_request does not authenticate the client, as the token request does.", fix
        )


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
