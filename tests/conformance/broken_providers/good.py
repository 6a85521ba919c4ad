"""Providers that do something unusual, and are correct."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import logging
import threading
import time
from pathlib import Path
from urllib.parse import quote

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

import keyturn
from keyturn import Secret
from keyturn.plugins import OAuthError, Rule, choice, setting

from .base import Acme

_logger = logging.getLogger("acme")
GOOD = []


def good(cls):
    """Add a class to the list."""
    GOOD.append(cls())
    return cls


class _Signature(keyturn.plugins.DynamicValue):
    def __init__(self, tenant, secret) -> None:
        self._tenant, self._secret = tenant, secret

    def value(self, now):
        text = f"{self._tenant}:{int(now)}".encode()
        return hmac.new(self._secret.reveal().encode(), text, "sha256").hexdigest()

    def inputs(self):
        return (self._tenant, self._secret)


@good
class Signs(Acme):
    """Signs its token requests, and lists the inputs of the signature."""

    client_secret_name = ""

    def token_request(self, settings):
        request = super().token_request(settings)
        header = ("X-Signature", _Signature(settings.tenant, settings.client_secret))
        return attrs.evolve(request, extra_headers=(*request.extra_headers, header))

    def api_request_headers(self, settings, token):
        return {**_side(settings.side), "X-Scope": token.scope or "none"}


@functools.lru_cache
def _side(side):
    return {"X-Side": side}


class _Basic(keyturn.plugins.DynamicValue):
    def __init__(self, settings) -> None:
        self._client, self._secret = settings.client_id, settings.client_secret

    def value(self, now):
        pair = f"{self._client}:{self._secret.reveal()}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def inputs(self):
        return (self._client, self._secret)


@good
class Revokes(Acme):
    """Revokes with its own request, and always requests a scope value of its own."""

    def scope(self, settings):
        return ("openid", *super().scope(settings))

    def revocation_request(self, settings, token):
        url = settings.revocation_url or self.expand("https://{tenant}.acme.example/out", settings)
        return keyturn.plugins.TokenRequest(
            provider=self.name,
            url=url,
            extra_headers=(("Authorization", _Basic(settings)),),
            parameters=(
                ("token", Secret(token.access_token)),
                ("token_type_hint", "access_token"),
            ),
        )


class RegionSettings(Acme.settings):
    region: str = choice("Region", choices={"eu": "eu1", "us": "us3"}, default="eu")
    account: str | None = setting("Account", "For the region us.", default=None)
    rules = (Rule("account", "is required in the region us", when={"region": "us"}),)

    @property
    def host(self):
        return f"{self.tenant}.{'login' if self.account is None else self.account.lower()}"

    def problems(self):
        if self.account and not self.account.isascii():
            yield "account: must be ASCII"


@good
class Regional(Acme):
    """Has a rule, a property and a problem."""

    settings = RegionSettings
    parameters = {"account": "{account}", "region": "{region}"}
    api_url = "https://{tenant}.{region}.acme.example/api"

    def warnings(self, settings):
        if settings.region == "us":
            yield "region: us is not yet complete; use eu where you can."


@good
class ReadsErrors(Acme):
    """Reads the errors of a platform with its own codes, and logs."""

    def read_error(self, settings, response):
        content = response.json()
        found = content.get("fault") if isinstance(content, dict) else None
        if isinstance(found, dict) and found.get("number") == 7:
            _logger.info("fault 7 of status %d", response.status)
            return OAuthError("invalid_client", str(found.get("text", "")))
        return super().read_error(settings, response)

    def token_rejected(self, settings, response):
        content = response.json()
        return not (isinstance(content, dict) and content.get("fault") == "LOCKED")


@good
class Tolerant(Acme):
    """Reads the lifetime from a field of the platform's own, where the response has one."""

    missing_lifetime = 900.0

    def read_token(self, settings, response, request):
        token = super().read_token(settings, response, request)
        return attrs.evolve(token, extra={**token.extra, "shop": settings.tenant})

    def assumed_lifetime(self, settings):
        return 600.0 if settings.side == "back" else self.missing_lifetime


@good
class OfResponse(Acme):
    """Reads the API's address from the response, and accepts only its own domain."""

    api_url = ""
    api_url_field = "instance_url"
    api_domains = ("acme.example", "acme-cloud.co.uk")
    api_headers = {"X-Tenant": "{tenant}", "X-Side": "{side}"}


@good
class PerSettings(Acme):
    """Is another provider for some settings."""

    def for_settings(self, settings):
        return _BACK if settings.side == "back" else self


class _Back(Acme):
    token_headers = {"X-Back": "1"}


_BACK = _Back()


@good
class Digests(Acme):
    """Has a digest of a public setting in the partition, and lists values in a fixed order."""

    def token_request(self, settings):
        request = super().token_request(settings)
        digest = hashlib.sha256(settings.side.encode()).hexdigest()
        return attrs.evolve(request, partition=digest)

    def scope(self, settings):
        return tuple(sorted(set(super().scope(settings))))


@good
class InCookie(Acme):
    """Sends the token in its own header, and settings in another one."""

    authorization_header = "X-Acme-Session"
    authorization_scheme = ""

    def authorization(self, settings, token):
        return self.authorization_header, f"{settings.tenant}:{token.access_token}"


@good
class Random(Acme):
    """Has a new UUID in each request."""

    token_headers = {"X-Request": "{uuid}"}
    body_format = "json"


class _Login(Acme):
    token_url = "https://login.acme.example/token"
    token_headers = {"X-Step": "1"}


@good
class Exchanges(Acme):
    """Exchanges the token of its own first step at another host."""

    token_url = "https://{tenant}.acme.example/exchange"
    parameters = {"assertion": "{previous.access_token}", "session": "{previous.session.id}"}
    previous = _Login()


@good
class OfSteps(Acme):
    """Calls an API at an address, and for an account, that only the first step names."""

    parameters = {"assertion": "{previous.access_token}"}
    api_url = "{previous.server}/{tenant}"
    api_headers = {"X-Account": "{previous.account.id}", "X-Sign": "{sign}"}
    values = {
        "sign": {"template": "{previous.access_token}", "digest": "sha256", "hmac_key": "a{tenant}"}
    }
    previous = _Login()


@good
class Discovers(Acme):
    """Reads its endpoints from a discovery document."""

    discovery = keyturn.plugins.Discovery(
        "https://{tenant}.acme.example/.well-known/openid-configuration"
    )
    token_url = "{discovery.token_endpoint}"
    revocation_url = "{discovery.revocation_endpoint}"


class _Signed(keyturn.plugins.DynamicValue):
    """A signature that differs each time, as ECDSA's does."""

    def __init__(self, settings) -> None:
        self._tenant, self._secret = settings.tenant, settings.client_secret

    def value(self, now):
        key = ec.derive_private_key(len(self._secret.reveal()), ec.SECP256R1())
        text = f"{self._tenant}:{int(now)}".encode()
        return key.sign(text, ec.ECDSA(hashes.SHA256())).hex()

    def inputs(self):
        return (self._tenant, self._secret)


@good
class SignsDifferently(Acme):
    """Signs its requests with a signature that is never the same."""

    def token_request(self, settings):
        request = super().token_request(settings)
        header = ("X-Signature", _Signed(settings))
        return attrs.evolve(request, extra_headers=(*request.extra_headers, header))


@good
class InQuery(Acme):
    """Sends the token in the query, and knows a rejected one by its own codes."""

    authorization_query = "access_token"
    api_query = {"version": "7"}
    rejected_status = frozenset({401, 498})
    rejected_field = "fault.code"
    rejected_codes = ("E7", "E8")


@good
class OfValues(Acme):
    """Computes values from settings, with a time, a digest and an encoding."""

    values = {
        "pair": {"template": "{client_id}:{side}", "encoding": "base64"},
        "today": {"time": "%Y-%m-%d"},
        "signature": {
            "template": "{pair}{today}",
            "digest": "sha256",
            "hmac_key": "{client_secret}",
        },
    }
    token_headers = {"X-Day": "{today}", "X-Signature": "{signature}"}
    authorization_value = "Acme {pair}:{token}"


@good
class OfBody(Acme):
    """Sends its own body format and a query, and reads XML."""

    client_authentication = "client_secret_basic"
    grant_type = ""
    body = "<login><side>{side}</side></login>"
    content_type = "application/xml"
    query = {"version": "7"}
    response_format = "xml"
    token_field = "login.token"
    lifetime_field = "login.seconds"
    token_type = ""


@good
class OfSession(Acme):
    """Sends another field of the token response with each API request."""

    authorization_value = "Session {token.session.id}"
    api_headers = {"X-Side": "{side}", "X-Shop": "{token.shop}"}


@good
class OfTokenDigest(Acme):
    """Sends the token with Basic authentication, and a digest of it in a header."""

    values = {
        "pair": {"template": "{tenant}:{token}", "encoding": "base64"},
        "digest": {"template": "{token}", "digest": "sha256"},
    }
    authorization_value = "Basic {pair}"
    api_headers = {"X-Side": "{side}", "X-Digest": "{digest}"}


@good
class Timed(Acme):
    """Logs how long it takes."""

    def read_error(self, settings, response):
        start = time.perf_counter()
        found = super().read_error(settings, response)
        _logger.debug("took %f s", time.perf_counter() - start)
        return found


@good
class OfScope(Acme):
    """Sends the granted scope with each API request."""

    def api_request_headers(self, settings, token):
        usual = super().api_request_headers(settings, token)
        return {**usual, "X-Scope": token.scope or "none"}


@good
class OfType(Acme):
    """Sends a field that every token response has with each API request."""

    api_headers = {"X-Side": "{side}", "X-Type": "{token.token_type}"}


@good
class OfCode(Acme):
    """Knows a 403 that means the token by its code."""

    rejected_status = frozenset({401, 403})

    def token_rejected(self, settings, response):
        content = response.json()
        is_expired = isinstance(content, dict) and content.get("code") == "token_expired"
        return response.status == 401 or is_expired


@good
class OfJwt(Acme):
    """Reads the lifetime in the token itself."""

    lifetime_format = "jwt"
    lifetime_field = ""


@good
class UnderLock(Acme):
    """Keeps the settings for a moment, in which no other thread gets in."""

    lock = threading.Lock()
    held = {}

    def api_url_for(self, settings, token):
        with self.lock:
            self.held["now"] = settings
            try:
                now = self.held["now"]
                return now.api_url or f"https://{now.tenant}.acme.example/api"
            finally:
                del self.held["now"]


class _File(keyturn.plugins.DynamicValue):
    def __init__(self, path) -> None:
        self._path = path

    def value(self, now):
        try:
            return hashlib.sha256(Path(self._path).read_bytes()).hexdigest()
        except OSError as error:
            raise keyturn.errors.ConfigurationError("key_file: no such file.") from error

    def inputs(self):
        return (self._path,)


class _FileSettings(Acme.settings):
    key_file: str = setting("Key file", "A file of the user's.", default=__file__)


@good
class OfFile(Acme):
    """Reads a file that a setting names when a request is sent."""

    settings = _FileSettings

    def token_request(self, settings):
        request = super().token_request(settings)
        header = ("X-Key", _File(settings.key_file))
        return attrs.evolve(request, extra_headers=(*request.extra_headers, header))


@good
class OfRegion(Acme):
    """Has its API at one address in all regions, which log in at others."""

    settings = RegionSettings
    token_url = "https://{tenant}.{region}.acme.example/oauth/token"
    parameters = {"account": "{account}"}
    api_url = "https://api.acme.example/{tenant}"


class _Discovered(Acme):
    discovery = keyturn.plugins.Discovery("https://{tenant}.acme.example/about")
    token_url = "{discovery.token_endpoint}"


@good
class AfterDiscovered(Acme):
    """Exchanges the token of a step whose address comes from a discovery document."""

    previous = _Discovered()
    parameters = {"assertion": "{previous.access_token}"}
    client_authentication = "client_secret_basic"


@good
class OfWholeToken(Acme):
    """Sends a value computed from the whole token, in a header that only the method names."""

    def authorization(self, settings, token):
        return "X-Session", f"{settings.client_id}/{token.access_token[::-1]}"


@good
class OfNamedField(Acme):
    """Sends a field of the response, and has the API at a host that the response names."""

    def api_url_for(self, settings, token):
        region = token.extra.get("region") if token else None
        if settings.api_url or not isinstance(region, str):
            return super().api_url_for(settings, token)
        known = keyturn.plugins.label_problem(region) is None
        return f"https://{region}.acme.example/api" if known else None


@good
class OfSeveralErrors(Acme):
    """Maps its codes, wherever they are, and knows an API's missing scope from a wrong token."""

    error_codes = {"made_up_client": "invalid_client", "made_up_scope": "invalid_scope"}
    rejected_codes = ("token_expired",)

    def read_error(self, settings, response):
        error = super().read_error(settings, response)
        is_fault = error and response.status == 500
        return attrs.evolve(error, client_fault=True) if is_fault else error

    def assumed_lifetime(self, settings):
        return 3600.0 if settings.side == "front" else 1800.0

    def api_request_headers(self, settings, token):
        return {"X-Side": quote(f"\u2603 {settings.side}", safe="")}

    def revocation_request(self, settings, token):
        address = settings.revocation_url or f"https://{settings.tenant}.acme.example/out"
        request = self.revocation_to(address, settings, token)
        more = (("scope_of_token", token.scope),) if token.scope else ()
        return attrs.evolve(request, parameters=(*request.parameters, *more))


@good
class OfPlainTokens(Acme):
    """Reads a response that is nothing but the token."""

    token_field = ""
    token_type = ""
    lifetime_field = ""
    missing_lifetime = 3600.0
