"""Defects that show with a certain response, or only after another one."""

from __future__ import annotations

import datetime
import locale
import logging
import threading
import time
import urllib.parse
import urllib.request

import attrs

import keyturn
from keyturn import Token
from keyturn.plugins import OAuthError

from .base import Acme, broken

_LAST = []
_STALE = {}
_LOCAL = threading.local()


def _changed(what, message, change, check="token_as_sent"):
    """Add a provider that changes the token that it has read."""

    @broken(what, check, message)
    class Changed(Acme):
        def read_token(self, settings, response, request):
            token = super().read_token(settings, response, request)
            return attrs.evolve(token, **change(settings, response, token))


_changed(
    "the requested scope beside the granted one",
    "the scope differs",
    lambda own, _, token: {"scope": " ".join((token.scope or "", *(own.scope or ()))) or None},
)
_changed("another type of the token", "the token_type", lambda *_: {"token_type": "MAC"})
_changed(
    "the refresh token in the token's extra",
    "the refresh_token in `extra`",
    lambda _, response, token: {
        "extra": {**token.extra, "refresh_token": response.json().get("refresh_token")}
    },
)
_changed(
    "an expired token for several values of scope",
    "with several values of scope",
    lambda _, __, token: {
        "expires_at": token.issued_at if " " in (token.scope or "") else token.expires_at
    },
)


_changed(
    "the ID token as the token",
    "the token differs",
    lambda _, response, token: {
        "access_token": response.json().get("id_token", token.access_token)
    },
)
_changed(
    "the lifetime of the refresh token",
    "the lifetime differs",
    lambda _, response, token: {
        "expires_at": token.issued_at + response.json().get("refresh_expires_in", token.lifetime)
    },
)


@broken("a delay that is a date", "read_error_method", "read_error raises for HTTP 429")
class IntegerDelay(Acme):
    def read_error(self, settings, response):
        if "retry-after" in response.headers:
            int(response.headers["retry-after"])
        return super().read_error(settings, response)


@broken("a time since the start in API requests", "other_process", "another header X-Up")
class SinceStart(Acme):
    def api_request_headers(self, settings, token):
        return {
            **super().api_request_headers(settings, token),
            "X-Up": f"{time.monotonic() // 3600}",
        }


@broken("a logger that passes nothing on", "nothing_changed", "the logger httpcore")
class Isolates(Acme):
    def authorization(self, settings, token):
        logging.getLogger("httpcore").propagate ^= True
        return super().authorization(settings, token)


@broken("an error that means success", "oauth_errors", "success_codes has slow_down")
class Succeeds(Acme):
    success_codes = frozenset({"slow_down"})


@broken("a lifetime made up where there is a scope", "token_as_sent", "without a lifetime")
class OfScope(Acme):
    def read_token(self, settings, response, request):
        try:
            return super().read_token(settings, response, request)
        except keyturn.errors.InvalidTokenResponse:
            found, sent = response.json(), response.sent_at
            if "expires_in" in found or found.get("scope") != "made-up-granted":
                raise
            token = found["access_token"]
            return Token(token, "Bearer", sent + 9, found["scope"], issued_at=sent)


@broken("a date without a time zone", "other_process", "read_token returns another lifetime")
class LocalDate(Acme):
    missing_lifetime = 3600.0
    lifetime_field = ""

    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        if not (date := response.json().get("valid_until")):
            return token
        return attrs.evolve(token, expires_at=datetime.datetime.fromisoformat(date).timestamp())


@broken("a field of another connection's response", "isolation", "another header X-Region")
class LastRegion(Acme):
    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        if region := token.extra.get("region"):
            _LAST[:] = [region]
        return token

    def api_request_headers(self, settings, token):
        more = {"X-Region": _LAST[0]} if _LAST else {}
        return {**super().api_request_headers(settings, token), **more}


@broken("another connection's tenant in an error", "isolation", "read_error returns another desc")
class TenantOfThread(Acme):
    def token_request(self, settings):
        _LOCAL.tenant = settings.tenant
        return super().token_request(settings)

    def read_error(self, settings, response):
        error = super().read_error(settings, response)
        return error and attrs.evolve(error, description=f"at {_LOCAL.tenant}")


@broken("the locale in an error", "other_process", "read_error returns another description")
class InLocale(Acme):
    def read_error(self, settings, response):
        error = super().read_error(settings, response)
        language = f"{locale.getlocale()} {locale.getpreferredencoding()}"
        return error and attrs.evolve(error, description=language)


@broken("a redirect that is followed", "no_input_or_output", "read_error ")
class Follows(Acme):
    def read_error(self, settings, response):
        if response.status == 302:
            urllib.request.urlopen(response.headers["location"])
        return super().read_error(settings, response)


@broken("a warning as an error", "read_error_method", "with a token and a warning")
class Warned(Acme):
    def read_error(self, settings, response):
        found = response.json()
        is_warned = isinstance(found, dict) and found.get("warning")
        return OAuthError("", "warned") if is_warned else super().read_error(settings, response)


class _Stale(keyturn.plugins.DynamicValue):
    def __init__(self, secret, shown="") -> None:
        self._secret, self._shown = secret, shown

    def value(self, now):
        return _STALE.setdefault(self._secret.reveal(), str(int(now)))

    def inputs(self):
        return (self._secret,)

    def __repr__(self) -> str:
        return f"_Stale({self._shown})"


def _with(request, value):
    return attrs.evolve(request, parameters=(*request.parameters, ("at", value)))


@broken("a time that is kept for all requests", "other_process", "another parameter at")
class Stale(Acme):
    def token_request(self, settings):
        return _with(super().token_request(settings), _Stale(settings.client_secret))


@broken("a computed value that shows the secret", "redaction", "in the repr of _Stale")
class ShowsSecret(Acme):
    def token_request(self, settings):
        secret = settings.client_secret
        return _with(super().token_request(settings), _Stale(secret, secret.reveal()))


@broken("a handler for each error", "nothing_changed", "the handlers of loggers")
class AddsHandler(Acme):
    def read_error(self, settings, response):
        logging.getLogger("acme.answers").addHandler(logging.StreamHandler())
        return super().read_error(settings, response)


@broken("errors of logging that are hidden", "nothing_changed", "logging.raiseExceptions")
class HidesErrors(Acme):
    def api_url_for(self, settings, token):
        logging.raiseExceptions = False
        return super().api_url_for(settings, token)


@broken("a new member of keyturn's Token", "nothing_changed", "keyturn.Token.region")
class PatchesToken(Acme):
    def authorization(self, settings, token):
        Token.region = "eu"
        return super().authorization(settings, token)


def _field(token, name):
    found = token.extra.get(name) if token else None
    return found if isinstance(found, str) else ""


@broken("a host that ends like the platform's", "foreign_api_address", "'https://evilacme.example")
class EndsLike(Acme):
    def api_url_for(self, settings, token):
        if (host := _field(token, "host")).endswith("acme.example") and not settings.api_url:
            return f"https://{host}"
        return super().api_url_for(settings, token)


@broken("an address that begins like the platform's", "foreign_api_address", ".evil.example'")
class BeginsLike(Acme):
    def api_url_for(self, settings, token):
        url = _field(token, "url")
        if url.startswith("https://api.acme.example") and not settings.api_url:
            return url
        return super().api_url_for(settings, token)


@broken("a host in a part of the token", "foreign_api_address", "'https://evil.example'")
class OfPart(Acme):
    def api_url_for(self, settings, token):
        if token and "$" in token.access_token and not settings.api_url:
            return f"https://{token.access_token.split('$')[1]}"
        return super().api_url_for(settings, token)


@broken("the header Host from a response", "token_headers_of_any", "returns Host")
class HostOfResponse(Acme):
    def api_request_headers(self, settings, token):
        more = {"Host": host} if (host := _field(token, "host")).isprintable() and host else {}
        return {**super().api_request_headers(settings, token), **more}


@broken("a scope that is sorted in the settings", "nothing_changed", "changes the settings")
class SortsSetting(Acme):
    def token_request(self, settings):
        object.__setattr__(settings, "scope", tuple(sorted(settings.scope or ())))
        return super().token_request(settings)


@broken("an address that alternates", "isolation", "for a connection after it was called")
class Alternates(Acme):
    def api_url_for(self, settings, token, seen=[]):
        seen.append(settings)
        host = "one" if len(seen) % 2 else "two"
        return settings.api_url or f"https://{settings.tenant}.{host}.acme.example/api"


@broken("the secret in the query of API requests", "made_of_secrets", "api_query shows")
class SecretInQuery(Acme):
    api_query = {"key": "{client_secret}"}


@broken("an unknown code as a wrong client", "oauth_errors", "made_up_failure (HTTP 400) raises")
class UnknownAsClient(Acme):
    def read_error(self, settings, response):
        error = super().read_error(settings, response)
        known = {"invalid_scope", "unauthorized_client", "invalid_request", "invalid_grant"}
        known |= {"unsupported_grant_type", "temporarily_unavailable"}
        is_known = error is None or error.code in known
        return error if is_known else attrs.evolve(error, code="invalid_client")


@broken("a pause of the server as the client's fault", "oauth_errors", "(HTTP 503) raises")
class PauseAsFault(Acme):
    def read_error(self, settings, response):
        error = super().read_error(settings, response)
        return error and attrs.evolve(error, client_fault=True)


@broken("ten years for one side", "missing_lifetime", "300000000.0 is not a valid lifetime")
class YearsOfSide(Acme):
    def assumed_lifetime(self, settings):
        return None if settings.side == "front" else 3e8


broken("a scope as a rejection", "token_rejected", "rejected_codes names insufficient_scope")(
    type("ScopeRejected", (Acme,), {"rejected_codes": ("insufficient_scope",)})
)
broken("the type of the token as an error", "data", "error_field: is a field")(
    type("TypeAsError", (Acme,), {"error_field": "token_type"})
)


@broken("a header beyond ASCII", "token_headers_of_any", "which few HTTP clients can send")
class BeyondAscii(Acme):
    def api_request_headers(self, settings, token):
        mark = "" if settings.side == "front" else " \u2603"
        return {"X-Side": f"{settings.side}{mark}"}


@broken("a decoded setting in a header", "hostile_strings", "holds control characters")
class DecodedSide(Acme):
    def api_request_headers(self, settings, token):
        return {"X-Side": urllib.parse.unquote(settings.side)}


@broken("a header for each number", "token_headers_of_any", "which servers refuse")
class ManyHeaders(Acme):
    def api_request_headers(self, settings, token):
        return {**super().api_request_headers(settings, token)} | {
            f"X-{number}": "made-up" for number in range(200)
        }
