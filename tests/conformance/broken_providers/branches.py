"""Defects in branches that only a few settings, tokens or responses reach."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import os
import unicodedata
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import attrs

import keyturn

from .base import Acme, AcmeSettings, broken

_logger = logging.getLogger("acme")
_ORGANISATION = "organisation"


def _usual(settings):
    return settings.api_url or f"https://{settings.tenant}.acme.example/api"


def _claims(token):
    try:
        return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    except (ValueError, IndexError, AttributeError):
        return {}


@broken("an API address of a response, for one side", "foreign_api_address", "api_url_for trusts")
class AddressOfOneSide(Acme):
    def api_url_for(self, settings, token):
        found = token.extra.get("api") if token and settings.side == "back" else None
        return found if isinstance(found, str) and not settings.api_url else _usual(settings)


@broken("an API address of an ID token", "foreign_api_address", "api_url_for trusts")
class AddressOfIdToken(Acme):
    def api_url_for(self, settings, token):
        found = _claims(token.extra.get("id_token")) if token else {}
        address = found.get("instance") if isinstance(found, dict) else None
        return address if isinstance(address, str) and not settings.api_url else _usual(settings)


@broken("an API address of Base64 in a response", "foreign_api_address", "api_url_for trusts")
class AddressOfBase64(Acme):
    def api_url_for(self, settings, token):
        try:
            found = json.loads(base64.b64decode(token.extra["context"]))["api"]
        except (ValueError, LookupError, TypeError, AttributeError):
            found = None
        return found if isinstance(found, str) and not settings.api_url else _usual(settings)


@broken("an API address below a shared domain", "foreign_api_address", "evil.herokuapp.com")
class AddressOnShared(Acme):
    def api_url_for(self, settings, token):
        found = token.extra.get("api") if token else None
        host = urlsplit(found).hostname or "" if isinstance(found, str) else ""
        is_own = host.endswith(".herokuapp.com") and not settings.api_url
        return found if is_own else _usual(settings)


@broken("a header of a response, for one side", "token_headers_of_any", "api_request_headers puts")
class HeaderOfOneSide(Acme):
    def api_request_headers(self, settings, token):
        found = token.extra.get(_ORGANISATION) if settings.side == "back" else None
        return {"X-Side": settings.side, "X-Organisation": str(found)}


@broken("a header named by a response", "token_headers_of_any", "api_request_headers puts")
class NamedByResponse(Acme):
    def api_request_headers(self, settings, token):
        found = token.extra.get(_ORGANISATION, "acme")
        return {"X-Side": settings.side, f"X-{found}": "1"}


@broken("the scheme that a response says", "token_headers_of_any", "authorization puts a field")
class SchemeOfResponse(Acme):
    token_type = ""

    def authorization(self, settings, token):
        return "Authorization", f"{token.token_type} {token.access_token}"


@broken("a long token that is cut", "token_headers_of_any", "authorization changes the token")
class Cut(Acme):
    def authorization(self, settings, token):
        return "Authorization", f"Bearer {token.access_token[:255]}"


@broken("a token that is encoded", "token_headers_of_any", "authorization changes the token")
class Quoted(Acme):
    def authorization(self, settings, token):
        return "Authorization", f"Bearer {quote(token.access_token)}"


@broken(
    "a lifetime without its days", "short_lifetime", "a token with a lifetime of 100800 s is read"
)
class WithoutDays(Acme):
    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        left = dt.timedelta(seconds=token.expires_at - token.issued_at).seconds
        return attrs.evolve(token, expires_at=token.issued_at + left)


@broken("a response with a charset refused", "token_as_sent", "no JSON")
class ExactType(Acme):
    def read_token(self, settings, response, request):
        if response.headers.get("content-type") != "application/json":
            raise keyturn.errors.InvalidTokenResponse("no JSON")
        return super().read_token(settings, response, request)


@broken("a form that is called JSON", "well_formed_request", "the token request's body is not JSON")
class CalledJson(Acme):
    token_headers: ClassVar = {"Content-Type": "application/json"}


@broken("JSON that is called a form", "well_formed_request", "the token request's body is JSON")
class CalledForm(Acme):
    body_format = "json"
    token_headers: ClassVar = {"Content-Type": "application/x-www-form-urlencoded"}


@broken("credentials without what ASCII lacks", "exact_credentials", "sends the same for two")
class Ascii(Acme):
    def token_request(self, settings):
        pair = f"{settings.client_id}:{settings.client_secret.reveal()}".encode("ascii", "ignore")
        value = keyturn.Secret(f"Basic {base64.b64encode(pair).decode()}")
        request = super().token_request(settings)
        names = {"client_id", "client_secret"}
        kept = tuple(each for each in request.parameters if each[0] not in names)
        headers = (("Authorization", value),)
        return attrs.evolve(request, parameters=kept, extra_headers=headers)


@broken("a secret that is normalised", "exact_credentials", "sends the same for two values")
class Normalised(Acme):
    def token_request(self, settings):
        secret = unicodedata.normalize("NFKC", settings.client_secret.reveal())
        changed = attrs.evolve(settings, client_secret=keyturn.Secret(secret))
        return super().token_request(changed)


@broken("an environment variable in a value", "no_input_or_output", "value of the header X-Trace")
class ReadsVariable(Acme):
    class Trace(keyturn.plugins.DynamicValue):
        def value(self, now):
            return os.environ.get("ACME_TRACE", "none")

        def inputs(self):
            return ()

    def token_request(self, settings):
        request = super().token_request(settings)
        return attrs.evolve(request, extra_headers=(("X-Trace", self.Trace()),))


@broken("a secret logged when a token is revoked", "redaction", "is shown in the log acme")
class LogsRevocation(Acme):
    def revocation_request(self, settings, token):
        _logger.debug("revoking as %s", settings.client_secret.reveal())
        url = settings.revocation_url or f"https://{settings.tenant}.acme.example/revoke"
        return self.revocation_to(url, settings, token)


@broken("a secret logged for one side", "redaction", "is shown in the log acme")
class LogsOneSide(Acme):
    def token_request(self, settings):
        if settings.side == "back":
            _logger.debug("the back as %s", settings.client_secret.reveal())
        return super().token_request(settings)


@broken("a secret in an error for one side", "redaction", "shown in an error that the provider")
class RaisesOneSide(Acme):
    def token_request(self, settings):
        if settings.side == "back":
            reason = f"acme: {settings.client_secret.reveal()} is none of the back's."
            raise keyturn.errors.ConfigurationError(reason)
        return super().token_request(settings)


@broken(
    "an attribute for a moment",
    "nothing_changed",
    "changes an attribute of the provider temporarily",
)
class ForAMoment(Acme):
    def api_request_headers(self, settings, token):
        self._side = settings.side
        try:
            return {"X-Side": self._side}
        finally:
            del self._side


@broken("values that a generator gives once", "isolation", "_more is a generator")
class UsedUp(Acme):
    _more = (each for each in ("read", "write"))

    def scope(self, settings):
        return (*super().scope(settings), *self._more)


class _Limited(AcmeSettings):
    limit: int = keyturn.plugins.setting("Limit", "Of calls in a minute.", default=5)
    account: str | None = keyturn.plugins.setting("Account", "At Acme.", default=None)


@broken("a limit of 0 taken for none", "forgotten_settings", "the setting limit as 0 is ignored")
class IgnoresZero(Acme):
    settings = _Limited

    def api_request_headers(self, settings, token):
        return {"X-Limit": str(settings.limit or 5), "X-Account": str(settings.account)}


@broken("a number that is no port", "hostile_strings", "the setting limit as -1")
class Port(Acme):
    settings = _Limited

    def api_url_for(self, settings, token):
        return settings.api_url or f"https://acme.example:{settings.limit}/api"


@broken("two settings that fail together", "isolation", "for other settings, with values of")
class FailsForTwo(Acme):
    settings = _Limited
    api_headers: ClassVar[Any] = {"X-Limit": "{limit}", "X-Account": "{account}"}

    def token_request(self, settings):
        if settings.side == "back" and settings.account:
            raise ValueError("both")
        return super().token_request(settings)
