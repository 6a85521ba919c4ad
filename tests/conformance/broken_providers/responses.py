"""Responses that are misread."""

from __future__ import annotations

import attrs

import keyturn
from keyturn.plugins import OAuthError

from .base import Acme, broken


def _erring(read):
    """Return a provider that finds an error of its own in responses."""

    def read_error(self, settings, response):
        return read(response) or Acme.read_error(self, settings, response)

    return type("Erring", (Acme,), {"read_error": read_error, "__module__": __name__})


def _raise(error):
    raise error


for _what, _check, _message, _read in (
    (
        "a page of a gateway as a wrong client",
        "http_errors",
        "HTTP 502 with a page",
        lambda response: (
            _raise(keyturn.errors.InvalidClient("no")) if response.status == 502 else None
        ),
    ),
    (
        "every failure as a wrong client",
        "oauth_errors",
        "raises InvalidClient instead of",
        lambda response: OAuthError("invalid_client") if response.status == 400 else None,
    ),
    (
        "a word in a page as a wrong client",
        "http_errors",
        "with a page",
        lambda response: (
            OAuthError("invalid_client")
            if b"<h1>" in response.body and b"client" in response.body
            else None
        ),
    ),
    (
        "a denied page as a wrong client",
        "http_errors",
        "HTTP 403 with a page",
        lambda response: OAuthError("invalid_client") if response.status == 403 else None,
    ),
    (
        "a missing endpoint as a failure",
        "http_errors",
        "HTTP 404 with a page",
        lambda response: OAuthError("", server_fault=True) if response.status == 404 else None,
    ),
    (
        "every error as a failure of the server",
        "oauth_errors",
        "invalid_client",
        lambda response: OAuthError("server_error") if response.status in {400, 401} else None,
    ),
    (
        "a limit as nothing",
        "http_errors",
        "HTTP 429",
        lambda response: (
            OAuthError("", server_fault=True)
            if response.status == 500
            else _raise(keyturn.errors.TokenRequestRefused("slow"))
            if response.status == 429
            else None
        ),
    ),
    (
        "a body as the code",
        "read_error_method",
        "a wrong code or description",
        lambda response: (
            OAuthError(response.body.decode("latin-1")) if response.status == 502 else None
        ),
    ),
    (
        "a description that is a list",
        "read_error_method",
        "a wrong code or description",
        lambda response: (
            OAuthError("", response.json().get("error_description"))
            if isinstance(response.json(), dict) and response.json().get("error_description")
            else None
        ),
    ),
):
    broken(_what, _check, _message)(_erring(_read))


def _reading(change):
    """Return a provider that changes the token that it reads."""

    def read_token(self, settings, response, request):
        token = Acme.read_token(self, settings, response, request)
        return change(token, request, response)

    return type("Reading", (Acme,), {"read_token": read_token, "__module__": __name__})


for _what, _check, _message, _change in (
    (
        "a token in lower case",
        "token_as_sent",
        "read_token changes the token",
        lambda token, *_: attrs.evolve(token, access_token=token.access_token.lower()),
    ),
    (
        "a token without its padding",
        "token_as_sent",
        "read_token changes the token",
        lambda token, *_: attrs.evolve(token, access_token=token.access_token.rstrip("=")),
    ),
    (
        "a token cut after 255 characters",
        "token_as_sent",
        "read_token changes the token",
        lambda token, *_: attrs.evolve(token, access_token=token.access_token[:255]),
    ),
    (
        "the requested scope as the granted one",
        "token_as_sent",
        "the scope differs",
        lambda token, request, _: attrs.evolve(token, scope=" ".join(request.scope) or None),
    ),
    (
        "a lifetime in minutes",
        "short_lifetime",
        "s is read with",
        lambda token, *_: (
            attrs.evolve(token, expires_at=token.issued_at + token.lifetime * 60)
            if token.lifetime != 3600
            else token
        ),
    ),
    (
        "a lifetime of at most ten minutes",
        "short_lifetime",
        "1234 s is read with 600 s",
        lambda token, *_: (
            attrs.evolve(token, expires_at=min(token.expires_at, token.issued_at + 600))
            if token.lifetime != 3600
            else token
        ),
    ),
    (
        "the client's secret in the token's extra",
        "redaction",
        "is shown in the token's extra",
        lambda token, request, _: attrs.evolve(
            token, extra={"client": dict(request.parameters)["client_secret"].reveal()}
        ),
    ),
):
    broken(_what, _check, _message)(_reading(_change))


@broken("a token of an error", "error_inside_200", "gives a token")
class TokenOfError(Acme):
    def read_error(self, settings, response):
        return None if response.status < 300 else super().read_error(settings, response)


@broken("an assumed hour", "bad_lifetimes", "gives a token")
class AssumedHour(Acme):
    missing_lifetime = 3600.0

    def read_token(self, settings, response, request):
        try:
            return super().read_token(settings, response, request)
        except keyturn.errors.InvalidTokenResponse:
            content = response.json()
            if not isinstance(content, dict) or "access_token" not in content:
                raise
            sent = response.sent_at
            return keyturn.Token(content["access_token"], "Bearer", sent + 3600, issued_at=sent)


@broken("a 401 that never means the token", "token_rejected", "never returns True")
class NeverRejected(Acme):
    def token_rejected(self, settings, response):
        return False
