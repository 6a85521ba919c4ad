"""Chains of token requests, discovery, and additional data in requests for tokens and to APIs."""

from __future__ import annotations

import datetime
import itertools
import os
import random
import time
from pathlib import Path

import attrs
from cryptography.hazmat.primitives import hashes, hmac

import keyturn

from .base import Acme, at_top, broken

_NONCES = itertools.count()


class Login(Acme):
    """The first step: a login whose token is exchanged."""

    token_url = "https://login.acme.example/token"


def _chained(step, **data):
    """Return a provider that exchanges the token of a step."""
    usual = {
        "token_url": "https://{tenant}.acme.example/exchange",
        "parameters": {"assertion": "{previous.access_token}"},
        "client_authentication": "client_secret_basic",
        "previous": step(),
    }
    return at_top(__name__, type("Chained", (Acme,), usual | data))


def _login(change):
    """Return a first step with another token request."""

    def token_request(self, settings):
        return change(Login.token_request(self, settings), settings)

    return type("OtherLogin", (Login,), {"token_request": token_request, "__module__": __name__})


def _with_header(request, value):
    return attrs.evolve(request, extra_headers=(*request.extra_headers, ("X-Made-Up", value)))


def _reading_file(request, _):
    Path("/etc/hostname").read_bytes()
    return request


def _last_tenant(request, settings, seen=[]):
    seen.append(settings.tenant)
    return attrs.evolve(request, partition=seen[0])


for _what, _check, _message, _change in (
    (
        "random",
        "repeatable_request",
        "X-Made-Up",
        lambda request, _: _with_header(request, str(random.random())),
    ),
    (
        "timed",
        "repeatable_request",
        "X-Made-Up",
        lambda request, _: _with_header(request, str(int(time.time() / 60))),
    ),
    (
        "with the secret in its address",
        "no_secret_in_url",
        "client_secret is in the token endpoint's URL",
        lambda request, settings: attrs.evolve(
            request, url=f"{request.url}/{settings.client_secret.reveal()}"
        ),
    ),
    (
        "with the secret in the plain",
        "no_secret_in_url",
        "client_secret is shown in the redacted",
        lambda request, settings: _with_header(request, settings.client_secret.reveal()),
    ),
    (
        "with a tenant in its host",
        "hostile_strings",
        "side",
        lambda request, settings: attrs.evolve(
            request, url=f"https://{settings.side}.acme.example/token"
        ),
    ),
    (
        "with a file",
        "no_input_or_output",
        "token_request of previous opens a file",
        _reading_file,
    ),
    (
        "with a variable",
        "no_input_or_output",
        "token_request of previous reads the environment variable",
        lambda request, _: _with_header(request, os.environ.get("ACME", "eu")),
    ),
    ("of the last tenant", "isolation", "token_request of previous", _last_tenant),
    (
        "with the process's number",
        "other_process",
        "token_request of previous",
        lambda request, _: _with_header(request, str(os.getpid())),
    ),
):
    broken(f"a step before, {_what}", _check, _message)(_chained(_login(_change)))


@broken("a step before that gives no token", "lifetime", "the step previous")
class NoFirstToken(Acme):
    class _Silent(Login):
        def read_token(self, settings, response, request):
            raise keyturn.errors.InvalidTokenResponse("no token")

    previous = _Silent()
    parameters = {"assertion": "{previous.access_token}"}


@broken("a document below a shared domain", "shared_domains", "domains of discovery have")
class SharedDocument(Acme):
    discovery = keyturn.plugins.Discovery(
        "https://acme.example/.well-known/openid-configuration", domains=("acme.example", "co.uk")
    )
    token_url = "{discovery.token_endpoint}"


@broken("a tenant before .com in a document's address", "shared_domains", "discovery puts")
class TenantDocument(Acme):
    discovery = keyturn.plugins.Discovery("https://{tenant}.com/.well-known/openid-configuration")
    token_url = "{discovery.token_endpoint}"


def _varying(value, inputs=lambda settings: (settings.tenant, settings.client_secret)):
    """Return a provider with a value that differs each time."""

    class Varying(keyturn.plugins.DynamicValue):
        def __init__(self, settings) -> None:
            self.settings = settings

        def value(self, now):
            return f"{next(_NONCES)}.{value(self.settings, now)}"

        def inputs(self):
            return inputs(self.settings)

    def token_request(self, settings):
        request = Acme.token_request(self, settings)
        header = ("X-Signature", Varying(settings))
        return attrs.evolve(request, extra_headers=(*request.extra_headers, header))

    return type("Signing", (Acme,), {"token_request": token_request, "__module__": __name__})


def _digest(text):
    made = hmac.HMAC(b"made-up", hashes.SHA256())
    made.update(text.encode())
    return made.finalize().hex()


broken("a varying value that does not name a setting", "dynamic_values", "the setting side")(
    _varying(lambda settings, _: _digest(settings.side))
)
broken("a varying value that names nothing", "dynamic_values", "the setting tenant")(
    _varying(lambda settings, _: _digest(settings.tenant), lambda _: ())
)
broken("a varying value with the time of its own", "dynamic_values", "reads the clock")(
    type(
        "Timed",
        (Acme,),
        {
            "token_request": lambda self, settings: _with_header(
                Acme.token_request(self, settings), _Moment()
            ),
            "__module__": __name__,
        },
    )
)


class _Moment(keyturn.plugins.DynamicValue):
    def value(self, now):
        return datetime.datetime.now().isoformat()

    def inputs(self):
        return ()


class _HeldSecret(keyturn.plugins.DynamicValue):
    def __init__(self, secret) -> None:
        self.secret = secret

    def value(self, now):
        return f"{next(_NONCES)}.{_digest(self.secret)}"

    def inputs(self):
        return ()


@broken("a varying value that holds a secret", "dynamic_values", "the setting client_secret")
class HoldsSecret(Acme):
    def token_request(self, settings):
        held = _HeldSecret(settings.client_secret.reveal())
        return _with_header(super().token_request(settings), held)


@broken("an ignored rejected_codes", "token_rejected", "rejected_codes names 'E7'")
class IgnoredCode(Acme):
    rejected_field = "fault.code"
    rejected_codes = ("E7",)

    def token_rejected(self, settings, response):
        return response.status == 401


@broken("an ignored rejected_status", "token_rejected", "rejected_status names 498")
class IgnoredStatus(Acme):
    rejected_status = frozenset({401, 498})

    def token_rejected(self, settings, response):
        return response.status == 401


@broken("an ignored authorization_query", "api_headers", "authorization_query is 'access_token'")
class IgnoredQuery(Acme):
    authorization_query = "access_token"

    def authorization(self, settings, token):
        return "Authorization", f"Bearer {token.access_token}"


@broken("an ignored authorization_value", "api_headers", "authorization_value")
class IgnoredValue(Acme):
    authorization_value = "Acme {tenant}:{token}"

    def authorization(self, settings, token):
        return "Authorization", f"Acme {settings.tenant}"


@broken(
    "a value of the secret in API requests",
    "made_of_secrets",
    "api_request_headers (api_headers) shows",
)
class SecretValue(Acme):
    values = {"pair": {"template": "{client_id}:{client_secret}", "encoding": "base64"}}
    api_headers = {"X-Pair": "{pair}", "X-Side": "{side}"}
