"""Providers with one typical mistake each.

Each entry names the check that must catch the mistake, and the text that the message must contain.
"""

# ruff: noqa: ANN001, ANN201, ANN202, ARG001, D101, D102, D103, RUF012, SIM105 - the mistakes are the point

from __future__ import annotations

import base64
import hashlib
import json
import logging
import random
import socket
import time
import types
from pathlib import Path
from typing import Any

import attrs

import keyturn
from keyturn._providers.data import TokenResponseMapping
from keyturn._providers.token_response import read_token as read_mapped_token

SETTINGS = {
    "tenant": "blue",
    "client_id": "made-up-client",
    "client_secret": "s3cret-for-tests",
}
GOLDEN = {
    "method": "POST",
    "url": "https://blue.acme.example/oauth/token",
    "body": "grant_type=client_credentials&client_id=made-up-client&client_secret=s3cret-for-tests",
}


class AcmeSettings(keyturn.plugins.ConfidentialSettings):
    tenant: str = keyturn.plugins.label("Tenant", "Your name at Acme.")
    side: str = keyturn.plugins.setting("Side", "A side of the shop.", default="front")
    scope: tuple[str, ...] | None = keyturn.plugins.setting(
        "Scope", "What it is for.", default=None
    )


class Acme(keyturn.plugins.Provider[Any]):
    """A correct provider."""

    name = "acme"
    title = "Acme"
    settings = AcmeSettings
    token_url = "https://{tenant}.acme.example/oauth/token"
    api_url = "https://{tenant}.acme.example/api"
    api_headers = {"X-Side": "{side}"}


@attrs.frozen(kw_only=True)
class Broken:
    """A broken provider.

    Args:
        what: What is wrong with it.
        check: The check that must catch it.
        message: What the failure's message must contain.
        provider: The provider.
        examples: Attributes that its conformance class sets besides the usual ones.
    """

    what: str
    check: str
    message: str
    provider: keyturn.plugins.Provider[Any]
    examples: dict[str, Any]


BROKEN: list[Broken] = []


def broken(what: str, check: str, message: str, **examples: Any):
    """Add a class, or the class that a function returns, to the list."""

    def add(made: Any) -> Any:
        BROKEN.append(
            Broken(what=what, check=check, message=message, provider=made(), examples=examples)
        )
        return made

    return add


def with_settings(**fields: tuple[Any, Any]) -> keyturn.plugins.Provider[Any]:
    """Return Acme with other fields in its settings: annotation and declaration."""
    namespace = {
        "__annotations__": {name: kind for name, (kind, _) in fields.items()},
        "__module__": __name__,
        **{name: declared for name, (_, declared) in fields.items()},
    }
    cls = type("OtherSettings", (AcmeSettings,), namespace)
    return type("Other", (Acme,), {"settings": cls})()


# Data


@broken("two words as its name", "data", "name: 'Acme Shop'")
class WrongName(Acme):
    name = "Acme Shop"


@broken("a placeholder that is no setting", "data", "token_url: ")
class UnknownPlaceholder(Acme):
    token_url = "https://{tennant}.acme.example/oauth/token"


@broken("a header with a newline", "data", "api_headers: ")
class HeaderWithNewline(Acme):
    api_headers = {"X-Side": "front\r\nHost: evil.example"}


@broken("an API at an http address", "data", "api_url: ")
class ApiOverHttp(Acme):
    api_url = "http://{tenant}.acme.example/api"


@broken("a rate_limit of nothing", "data", "rate_limit: ")
class NoRateLimit(Acme):
    rate_limit = keyturn.plugins.RateLimit(per_minute=0, burst=0)


@broken(
    "half a request as its burst", "rate_limit", "keyturn.plugins.RateLimit(per_minute=…, burst=…)"
)
class HalfRateLimit(Acme):
    rate_limit = keyturn.plugins.RateLimit(per_minute=60, burst=2.5)  # type: ignore[arg-type]


# Settings


@broken("a password as a string", "settings_class", "annotate password as keyturn.Secret")
def secret_as_string():
    return with_settings(password=(str, keyturn.plugins.setting("Password", default="none")))


@broken("a setting without a title", "schema", "declare note with keyturn.plugins.setting")
def untitled_setting():
    return with_settings(note=(str, attrs.field(default="none")))


@broken("a schema that is no JSON", "schema", "schema=")
def schema_with_class():
    note = keyturn.plugins.setting("Note", default="none", schema={"examples": {1, 2}})
    return with_settings(note=(str, note))


@broken(
    "a check without a schema", "schema_of_checks", "accepts 'A', and its check does not: a form"
)
def check_without_schema():
    side = keyturn.plugins.setting(
        "Side", default="front", check=lambda value: None if value.islower() else "must be lower"
    )
    return with_settings(side=(str, side))


@broken(
    "a schema without a check", "schema_of_checks", "the check of the setting number accepts '0'"
)
def schema_without_check():
    number = keyturn.plugins.setting(
        "Number", default=7, check=lambda _: None, schema={"minimum": 2}
    )
    return with_settings(number=(int, number))


@broken(
    "a schema for numbers that says nothing of strings", "schema_of_checks", "setting number accept"
)
def schema_of_even_numbers():
    number = keyturn.plugins.setting(
        "Number", default=2, check=lambda value: "must be even" if value % 2 else None
    )
    return with_settings(number=(int, number))


@broken(
    "a required setting that is not required", "settings_read", "without an __init__, converter"
)
def reads_anything():
    made = with_settings(account=(str, keyturn.plugins.setting("Account", default="none")))
    made.settings_schema = lambda: {  # type: ignore[method-assign]
        **Acme().settings_schema(),
        "required": ["tenant", "client_id", "client_secret", "side"],
    }
    return made


# The token request


@broken("another body than documented", "golden_request", "correct the provider's data")
class OtherBody(Acme):
    body_format = "json"


@broken("no documented request", "golden_request", "give request = ", request=None)
class Undocumented(Acme):
    pass


@broken("an http token endpoint", "data", "token_url: ")
class TokenOverHttp(Acme):
    token_url = "http://{tenant}.acme.example/oauth/token"


@broken("no token request", "well_formed_request", "keyturn.plugins.TokenRequest")
class NoRequest(Acme):
    def token_request(self, settings):
        return None


@broken("an endpoint on this machine", "well_formed_request", "correct token_url")
class LocalEndpoint(Acme):
    token_url = "http://127.0.0.1/{tenant}/token"


@broken("a header made of two lines", "well_formed_request", "token_headers")
class TwoLines(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        return attrs.evolve(request, extra_headers=(("X-Tenant", "a\r\nb: c"),))


@broken("a random parameter", "repeatable_request", "keyturn.plugins.DynamicValue")
class RandomParameter(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        nonce = ("nonce", str(random.random()))  # noqa: S311
        return attrs.evolve(request, parameters=(*request.parameters, nonce))


@broken("the time in a header", "repeatable_request", "keyturn.plugins.DynamicValue")
class TimeInHeader(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        return attrs.evolve(request, extra_headers=(("X-Time", str(int(time.time()))),))


@broken("token_url is ignored", "token_url_setting", "super().token_request(settings)")
class IgnoresTokenUrl(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        return attrs.evolve(request, url=f"https://{settings.tenant}.acme.example/oauth/token")


@broken(
    "token_url is ignored, and a token requested", "lifetime", "goes to https://blue.acme.example"
)
class SendsElsewhere(IgnoresTokenUrl):
    pass


@broken("reads a file", "no_input_or_output", "token_request reads the status of a file")
class ReadsFile(Acme):
    def token_request(self, settings):
        Path("/etc/hostname").exists()
        Path(__file__).read_text(encoding="utf-8")
        return super().token_request(settings)


@broken("uses the network", "no_input_or_output", "api_request_headers resolves a host name")
class UsesNetwork(Acme):
    def api_request_headers(self, settings, token):
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1).close()
        except OSError:
            pass
        return super().api_request_headers(settings, token)


@broken("counts its calls", "nothing_changed", "keep no state between calls in token_request")
class CountsCalls(Acme):
    calls = 0

    def token_request(self, settings):
        self.calls += 1
        return super().token_request(settings)


@broken("changes the settings", "nothing_changed", "attrs.evolve")
class ChangesSettings(Acme):
    def api_request_headers(self, settings, token):
        object.__setattr__(settings, "side", "changed")
        return super().api_request_headers(settings, token)


# The key


@broken(
    "a side that changes no fingerprint", "fingerprint", "partition=settings.side", context=set()
)
class SideNotInPartition(Acme):
    pass


@broken("the same secret for all", "fingerprint", "client_secret")
class SecretLeftOut(Acme):
    client_secret_name = ""


@broken("a note in each request", "fingerprint", "leave side out", context={"side"})
class SideInRequest(Acme):
    parameters = {"side": "{side}"}


@broken("context that is no setting", "fingerprint", "correct `context`", context={"sides"})
class UnknownContext(Acme):
    pass


@broken("scopes joined by hand", "scope_order", "scope(settings)")
class JoinedScope(Acme):
    parameters = {"scopes": "{scope}"}
    scope_name = ""

    def scope(self, settings):
        return ()


# Hosts


def with_shop_in_host(made):
    """Return a provider that puts its setting `shop` unchecked into the token endpoint's host."""

    def token_request(self, settings):
        request = Acme.token_request(self, settings)
        url = f"https://{settings.shop}.acme.example/oauth/token"
        return attrs.evolve(request, url=settings.token_url or url)

    made.token_request = types.MethodType(token_request, made)
    return made


@broken("a tenant of any string, in the host", "hostile_strings", "keyturn.plugins.label")
def string_in_host():
    made = with_settings(shop=(str, keyturn.plugins.setting("Shop", default="blue")))
    return with_shop_in_host(made)


@broken("a project of any string, in the path", "hostile_strings", "which encodes it")
def string_in_path():
    made = with_settings(project=(str, keyturn.plugins.setting("Project", default="blue")))

    def api_url_for(self, settings, token):
        return settings.api_url or f"https://acme.example/{settings.project}/api"

    made.api_url_for = types.MethodType(api_url_for, made)
    return made


def no_slash(value: str) -> str | None:
    return "must have no slash" if "/" in value else None


@broken(
    "a shop with a half-hearted check, in the host", "hostile_strings", "rejected without being"
)
def half_checked_string_in_host():
    made = with_settings(
        shop=(str, keyturn.plugins.setting("Shop", default="blue", check=no_slash))
    )
    return with_shop_in_host(made)


@broken(
    "a project with a half-hearted check, in the path", "hostile_strings", "invalid: it must be"
)
def half_checked_string_in_path():
    project = keyturn.plugins.setting("Project", default=None, check=no_slash)
    made = with_settings(project=(str | None, project))

    def api_url_for(self, settings, token):
        return settings.api_url or f"https://acme.example/{settings.project}/api"

    made.api_url_for = types.MethodType(api_url_for, made)
    return made


@broken("a header of any string", "hostile_strings", "let the setting's check reject them")
def string_in_header():
    shop = keyturn.plugins.setting("Shop", default="blue", check=lambda _: None)
    made = with_settings(shop=(str, shop))
    type(made).token_headers = {"X-Shop": "{shop}"}
    return made


@broken("an address that is not checked", "hostile_urls", "keyturn.plugins.url")
def unchecked_url():
    shop = keyturn.plugins.setting("Shop", default="https://a.example", schema={"format": "uri"})
    return with_settings(shop=(str, shop))


# Secrets


@broken("an unchecked address of the endpoint", "hostile_urls", "keyturn.plugins.url")
def unchecked_endpoint():
    shop = keyturn.plugins.setting("Shop", default="https://a.example", schema={"format": "uri"})
    provider = with_settings(shop=(str, shop))
    provider.token_url = "{shop}/token"
    return provider


@broken("the secret in the address", "no_secret_in_url", "body_format")
class SecretInUrl(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        return attrs.evolve(request, url=f"{request.url}/{settings.client_secret.reveal()}")


@broken("the secret as a plain parameter", "no_secret_in_url", "the Secret itself")
class RevealedParameter(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        revealed = ("password", settings.client_secret.reveal())
        return attrs.evolve(request, parameters=(*request.parameters, revealed))


def digested(where, digest):
    """Return Acme with a digest of the secret in a parameter, a header or the URL."""

    class Digested(Acme):
        def token_request(self, settings):
            request = super().token_request(settings)
            value = digest(f"{settings.client_secret.reveal()}".encode())
            if where == "URL":
                return attrs.evolve(request, url=f"{request.url}/{value}")
            return attrs.evolve(request, **{where: (*getattr(request, where), ("X-Sign", value))})

    return Digested


for _where in ("parameters", "extra_headers", "URL"):
    for _digest in (
        lambda text: hashlib.md5(text, usedforsecurity=False).hexdigest(),
        lambda text: hashlib.sha1(text, usedforsecurity=False).hexdigest().upper(),
        lambda text: hashlib.sha256(b"made-up-client:" + text).hexdigest(),
        lambda text: base64.b64encode(hashlib.sha512(text).digest()).decode().rstrip("="),
        lambda text: base64.urlsafe_b64encode(hashlib.blake2b(text).digest()).decode(),
    ):
        broken(
            f"a digest of the secret in {_where} ({len(BROKEN)})",
            "no_secret_in_url",
            "a plain digest of the setting client_secret",
        )(digested(_where, _digest))


@broken("the secret in a log", "redaction", "the log acme")
class LoggedSecret(Acme):
    def api_request_headers(self, settings, token):
        logging.getLogger("acme").debug("headers for %s", settings.client_secret.reveal())
        return super().api_request_headers(settings, token)


@broken("the token in a log", "redaction", "the token is shown in")
class LoggedToken(Acme):
    def authorization(self, settings, token):
        logging.getLogger("acme").info("using %s", token.access_token)
        return super().authorization(settings, token)


@broken("the body in an error", "redaction", "OAuthError.description")
class BodyInError(Acme):
    def read_error(self, settings, response):
        if response.status != 200:
            raise keyturn.errors.TokenRequestRefused(response.body.decode("utf-8", "replace"))
        return super().read_error(settings, response)


@broken("the token in the revocation's address", "revocation", "self.revocation_to")
class TokenInUrl(Acme):
    def revocation_request(self, settings, token):
        return self.revocation_to(f"https://acme.example/{token.access_token}", settings, token)


@broken("a revocation over http", "revocation", "self.revocation_to")
class RevocationOverHttp(Acme):
    def revocation_request(self, settings, token):
        return self.revocation_to("http://acme.example/revoke", settings, token)


@broken("a revocation of nothing", "revocation", "self.revocation_to")
class EmptyRevocation(Acme):
    def revocation_request(self, settings, token):
        request = self.revocation_to("https://acme.example/revoke", settings, token)
        return attrs.evolve(request, parameters=request.parameters[:-1])


@broken("a revocation that shows the token", "revocation", "self.revocation_to")
class ShownRevocation(Acme):
    def revocation_request(self, settings, token):
        request = self.revocation_to("https://acme.example/revoke", settings, token)
        return attrs.evolve(request, parameters=(("token", token.access_token),))


@broken("a revocation elsewhere", "revocation", "not one of the platform's hosts")
class RevokesElsewhere(Acme):
    def revocation_request(self, settings, token):
        return self.revocation_to("https://auth.other.example/revoke", settings, token)


# Errors


@broken("an error field that isn't there", "oauth_errors", "read_error")
class NoErrors(Acme):
    def read_error(self, settings, response):
        return None


@broken("codes under other names", "oauth_errors", "error_codes")
class WrongCodes(Acme):
    def read_error(self, settings, response):
        error = super().read_error(settings, response)
        return error and attrs.evolve(error, code="invalid_grant")


@broken("429 as a wrong client", "http_errors", "HTTP 429")
class LimitIsRefusal(Acme):
    def read_error(self, settings, response):
        if response.status == 429:
            raise keyturn.errors.InvalidClient("slow down")
        return super().read_error(settings, response)


@broken("500 as a wrong client", "http_errors", "HTTP 500")
class FailureIsRefusal(Acme):
    def read_error(self, settings, response):
        if response.status >= 500:
            raise keyturn.errors.InvalidClient("something is wrong")
        return super().read_error(settings, response)


@broken("its own Retry-After", "http_errors", "the delay of HTTP 429 with Retry-After is ignored")
class OwnRetryAfter(Acme):
    def read_error(self, settings, response):
        if response.status == 429:
            raise keyturn.errors.RateLimited("slow down", retry_after=60.0)
        return super().read_error(settings, response)


@broken("a page taken for a token", "http_errors", "HTTP 200 with a page gives a token")
class PageIsToken(Acme):
    def read_token(self, settings, response, request):
        now = response.sent_at
        return keyturn.Token("a", "Bearer", expires_at=now + 600, issued_at=now)


@broken("an error body taken for a token", "error_inside_200", "error_field")
class ErrorIsToken(Acme):
    def read_error(self, settings, response):
        return None if response.status == 200 else super().read_error(settings, response)


@broken("read_error raises on lists", "read_error_method", "response.json() may be None")
class RaisesOnLists(Acme):
    def read_error(self, settings, response):
        return super().read_error(settings, response) if response.json().get("error") else None


@broken("an error in every response", "read_error_method", "correct error_field")
class AlwaysError(Acme):
    error_field = "token_type"


@broken("an error that is a string", "read_error_method", "keyturn.plugins.OAuthError or None")
class StringError(Acme):
    def read_error(self, settings, response):
        content = response.json()
        return content if isinstance(content, str) else super().read_error(settings, response)


@broken(
    "a documented error that isn't understood",
    "documented_errors",
    "error_codes",
    errors=[{"status": 400, "body": {"code": "40013"}, "raises": "InvalidClient"}],
)
class OtherShape(Acme):
    pass


@broken("an error of no kind", "documented_errors", "raises", errors=[{"status": 400}])
class NoKind(Acme):
    pass


# API requests


@broken("the token's header twice", "api_headers", "api_request_headers returns authorization")
class TokenHeaderTwice(Acme):
    def api_request_headers(self, settings, token):
        return {"authorization": f"Bearer {token.access_token}"}


JWT = (
    "e30." + base64.urlsafe_b64encode(b'{"shop_api": "https://blue.acme.example"}').decode() + ".x"
)


@broken(
    "the API's address in a documented JWT",
    "foreign_api_address",
    "or of the token itself",
    response={"body": {"access_token": JWT, "token_type": "Bearer", "expires_in": 3600}},
    lifetime=3600,
)
class AddressInOwnClaim(Acme):
    claim = "shop_api"

    def api_url_for(self, settings, token):
        if settings.api_url or token is None or token.access_token.count(".") != 2:
            return super().api_url_for(settings, token)
        claims = token.access_token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(f"{claims}=="))[self.claim]


@broken("the API's address in a JWT", "foreign_api_address", "or of the token itself")
class AddressInJwt(AddressInOwnClaim):
    claim = "iss"


@broken("domains that all share", "shared_domains", "api_domains has 'co.uk'")
class SharedDomain(Acme):
    api_url = ""
    api_url_field = "api"
    api_domains = ("acme.example", "co.uk")


@broken("a default that remembers", "fingerprint", "the setting tenant does not change")
class RemembersTenant(Acme):
    def token_request(self, settings, seen={}):  # noqa: B006 - the mistake
        seen.setdefault("tenant", settings.tenant)
        url = settings.token_url or f"https://{seen['tenant']}.acme.example/oauth/token"
        return attrs.evolve(super().token_request(settings), url=url)


# Tokens

MILLISECONDS = {"body": {"access_token": "a", "token_type": "Bearer", "expires_in": 3_600_000}}


@broken(
    "milliseconds taken for seconds",
    "lifetime",
    "lifetime_format",
    response=MILLISECONDS,
    lifetime=3600,
)
class Milliseconds(Acme):
    pass


@broken("an example without its lifetime", "lifetime", "give `lifetime`", response=MILLISECONDS)
class UnknownLifetime(Acme):
    pass


@broken("the token in another field", "lifetime", "token_field", response={"body": {"token": "a"}})
class OtherField(Acme):
    pass


@broken("a missing lifetime of 0", "missing_lifetime", "missing_lifetime")
class NoLifetime(Acme):
    def assumed_lifetime(self, settings):
        return 0


@broken("a token without end", "missing_lifetime", "missing_lifetime")
class EndlessLifetime(Acme):
    missing_lifetime = float("inf")


def read_loosely(response: keyturn.plugins.Response, **fields: Any) -> keyturn.Token:
    """Return whatever is in a response as a token."""
    content = response.json()
    if not isinstance(content, dict):
        raise keyturn.errors.InvalidTokenResponse("no object")
    now = response.sent_at
    usual = {
        "access_token": str(content.get("access_token")),
        "token_type": "Bearer",
        "expires_at": now + float(content.get("expires_in", 600)),
        "issued_at": now,
    }
    return keyturn.Token(**(usual | fields))


@broken("an invented lifetime", "missing_lifetime", "self.assumed_lifetime(settings)")
class ReadsLoosely(Acme):
    def read_token(self, settings, response, request):
        return read_loosely(response)


@broken("an absent lifetime is a KeyError", "missing_lifetime", "let read_token raise")
class NeedsLifetime(Acme):
    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        return attrs.evolve(token, expires_at=token.issued_at + response.json()["expires_in"])

    missing_lifetime = 600.0


@broken("a lifetime of any kind", "bad_lifetimes", "super().read_token")
class AnyLifetime(Acme):
    def read_token(self, settings, response, request):
        try:
            return super().read_token(settings, response, request)
        except keyturn.errors.InvalidTokenResponse:
            return read_loosely(response, expires_at=response.sent_at + 600)


@broken("no token of two seconds", "short_lifetime", "every lifetime above 0")
class NoShortTokens(Acme):
    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        if token.lifetime < 60:
            raise keyturn.errors.InvalidTokenResponse("too short")
        return token


@broken("a margin as long as the lifetime", "margin", "max_margin")
class LongMargin(Acme):
    max_margin = 3600.0


@broken("a token that is anything", "faults", "super().read_token")
class AnyToken(Acme):
    def read_token(self, settings, response, request):
        return read_loosely(response, expires_at=response.sent_at + 3600)


@broken("a token of any content type", "faults", "super().read_token")
class AnyContentType(Acme):
    def read_token(self, settings, response, request):
        as_json = attrs.evolve(response, headers={"content-type": "application/json"})
        return super().read_token(settings, as_json, request)


@broken("raises any exception", "faults", "raise InvalidTokenResponse")
class RaisesAnything(Acme):
    def read_token(self, settings, response, request):
        json.loads(response.body)["access_token"].strip()
        return read_mapped_token(response)


# Connections


@broken("a rate_limit for each client", "rate_limit", "set the same rate_limit")
class RateLimitForEach(Acme):
    rate_limit = keyturn.plugins.RateLimit(per_minute=30, burst=3)

    def for_settings(self, settings):
        other = type("Unlimited", (type(self),), {"rate_limit": None})()
        return self if settings.client_id == SETTINGS["client_id"] else other


broken("a request for each caller", "sync_and_async", "the same request")(RandomParameter)


@broken("another header for each caller", "sync_and_async", "authorization and api_request_headers")
class DependsOnCalls(Acme):
    count = 0

    def authorization(self, settings, token):
        self.count += 1
        return "Authorization", f"Bearer {token.access_token};{self.count}"


@broken("the token in no header", "api_headers", "authorization_header")
class NoToken(Acme):
    def authorization(self, settings, token):
        return "X-Token", "Bearer"


@broken("api_request_headers raises", "api_headers", "api_request_headers")
class HeadersRaise(Acme):
    def api_request_headers(self, settings, token):
        return {"X-Id": token.extra["id"]}


@broken("a header out of the response", "api_headers", "values of one line", context={"side"})
class NewlineInHeader(Acme):
    def api_request_headers(self, settings, token):
        return {"X-Side": f"{settings.side}\r\n"}


@broken(
    "another header than documented",
    "api_headers",
    "or `api`",
    api={"headers": {"Authorization": "Token made-up-token"}},
)
class OtherHeader(Acme):
    pass


@broken("an API address of http", "api_address", "api_url_for")
class HttpApiBase(Acme):
    def api_url_for(self, settings, token):
        return settings.api_url or "http://acme.example/api"


@broken("api_url is ignored", "api_address", "if settings.api_url")
class IgnoresApiUrl(Acme):
    def api_url_for(self, settings, token):
        return f"https://{settings.tenant}.acme.example/api"


@broken(
    "another API than documented",
    "api_address",
    "or `api`",
    api={"url": "https://acme.example/api"},
)
class OtherApi(Acme):
    pass


@broken("an API address from the token, unchecked", "foreign_api_address", "api_domains")
class BelievesToken(Acme):
    def api_url_for(self, settings, token):
        found = token.extra.get("instance_url") if token else None
        return settings.api_url or found


@broken("any address in the response", "foreign_api_address", "api_domains")
class BelievesResponse(Acme):
    def api_url_for(self, settings, token):
        if settings.api_url is None and token and "api" in token.extra:
            return token.extra["api"]
        return settings.api_url


@broken("an API address of odd fields", "foreign_api_address", "let api_url_for return None")
class OddFields(Acme):
    def api_url_for(self, settings, token):
        return settings.api_url or token.extra["links"]["api"]


def believing(believes):
    """Return Acme with an API address that is built from a field of the response."""

    def api_url_for(self, settings, token):
        found = token.extra.get("instance_url") if token else None
        return settings.api_url or (believes(found) if isinstance(found, str) else None)

    return type("Believing", (Acme,), {"api_url_for": api_url_for})


def when(condition):
    return believing(lambda found: found if condition(found) else None)


broken("an address that ends like its own", "foreign_api_address", "api_domains")(
    when(lambda found: found.endswith("acme.example"))
)
broken("an address that begins like its own", "foreign_api_address", "api_domains")(
    when(lambda found: found.startswith("https://blue.acme.example"))
)
broken("an address with its own inside", "foreign_api_address", "api_domains")(
    when(lambda found: "/acme.example" in found)
)
broken("a slug that ends the host", "foreign_api_address", "one label")(
    believing("https://{}.acme.example".format)
)


@broken("an address deep in the response", "foreign_api_address", "api_domains")
class BelievesDeep(Acme):
    def api_url_for(self, settings, token):
        links = token.extra.get("links") if token else None
        found = links.get("api") if isinstance(links, dict) else None
        return settings.api_url or (found if isinstance(found, str) else None)


@broken("an API address that is not a string", "foreign_api_address", "let api_url_for return None")
class BelievesObject(Acme):
    def api_url_for(self, settings, token):
        found = token.extra.get("api") if token else None
        return settings.api_url or (found if isinstance(found, dict) else None)


@broken("a revocation where the response says", "foreign_api_address", "revocation_request trusts")
class RevokesAnywhere(Acme):
    def revocation_request(self, settings, token):
        found = token.extra.get("revoke", "https://acme.example/revoke")
        return self.revocation_to(found, settings, token)


@broken("a shop of any string, in the revocation's host", "hostile_strings", "revocation endpoint")
def string_in_revocation():
    made = with_settings(shop=(str, keyturn.plugins.setting("Shop", default="blue")))

    def revocation_request(self, settings, token):
        return self.revocation_to(f"https://{settings.shop}.acme.example", settings, token)

    made.revocation_request = types.MethodType(revocation_request, made)
    return made


# Examples

broken("a request without a method", "golden_request", "has no method", request={"url": "a"})(Acme)
broken(
    "a misspelt key of a request",
    "golden_request",
    "Did you mean body?",
    request=GOLDEN | {"bodi": "a"},
)(Acme)
broken("a misspelt key of a response", "lifetime", "Did you mean status?", response={"statos": 2})(
    Acme
)
broken("a misspelt key of `api`", "api_headers", "Did you mean headers?", api={"header": {}})(Acme)
broken(
    "a misspelt key of an error",
    "documented_errors",
    "Did you mean raises?",
    errors=[{"status": 400, "raise": "InvalidClient"}],
)(Acme)
broken(
    "an error that keyturn has not",
    "documented_errors",
    "InvalidKlient is not an error of keyturn. Did you mean InvalidClient?",
    errors=[{"status": 400, "raises": "InvalidKlient"}],
)(Acme)


# More defects of tokens and secrets


@broken(
    "a token of an hour, whatever the response", "short_lifetime", "the lifetime that the response"
)
class AlwaysAnHour(Acme):
    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        return attrs.evolve(token, expires_at=token.issued_at + 3600)


@broken("a lifetime from the time of reading", "short_lifetime", "response.sent_at")
class CountsFromNow(Acme):
    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        now = time.time()
        return attrs.evolve(token, expires_at=now + token.lifetime, issued_at=now)


class AnyTokenType(TokenResponseMapping):
    token_type = ""


@broken("a token of any type", "faults", "another token_type")
class AnyType(Acme):
    def read_token(self, settings, response, request):
        return read_mapped_token(response, AnyTokenType())


@broken("for_settings raises", "lifetime", "for_settings failed")
class ForSettingsRaises(Acme):
    def for_settings(self, settings):
        raise ZeroDivisionError


@broken("for_settings rejects", "lifetime", "for_settings failed")
class ForSettingsRefuses(Acme):
    def for_settings(self, settings):
        raise keyturn.errors.ConfigurationError("not today")


@broken("for_settings returns nothing", "fingerprint", "it returns NoneType")
class ForSettingsForgets(Acme):
    def for_settings(self, settings):
        return None


@broken("a schema that can't be made", "schema", "settings_schema failed")
class SchemaRaises(Acme):
    def settings_schema(self):
        raise ZeroDivisionError


@broken("a name that exits", "data", "SystemExit was raised")
class Exits(Acme):
    @property
    def title(self):
        raise SystemExit


@broken("a message that shows the secret", "redaction", "a message about invalid settings")
def revealing_message():
    password = keyturn.plugins.setting(
        "Password", default=None, check=lambda value: f"{value.reveal()} is no password"
    )
    return with_settings(password=(keyturn.Secret | None, password))


@broken("the token in its own extra", "redaction", "the token's extra")
class TokenInExtra(Acme):
    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        return attrs.evolve(token, extra={"again": token.access_token})


@broken("the client secret in API requests", "made_of_secrets", "give `api`")
class SecretInApiRequests(Acme):
    def api_request_headers(self, settings, token):
        return {"X-Secret": settings.client_secret.reveal()}


@broken("the secret in a log, as hex", "redaction", "the log acme")
class LoggedHex(Acme):
    def api_request_headers(self, settings, token):
        logging.getLogger("acme").debug("%s", settings.client_secret.reveal().encode().hex())
        return super().api_request_headers(settings, token)


@broken("token_rejected says nothing", "token_rejected", "True when a new token may help")
class SaysNothing(Acme):
    def token_rejected(self, settings, response):
        return None


@broken("token_rejected raises", "token_rejected", "token_rejected")
class RejectedRaises(Acme):
    def token_rejected(self, settings, response):
        return bool(response.json()["error"] == "invalid_token")
