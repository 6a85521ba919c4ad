"""Defects that show in one rare case only."""

from __future__ import annotations

import base64
import contextvars
import json
import locale
import os
import random
import sys
import threading
import time

import attrs

from .base import Acme, broken

_TENANT = contextvars.ContextVar("tenant", default=None)
_LOCAL = threading.local()


def _claims(token):
    try:
        return json.loads(base64.urlsafe_b64decode(token.access_token.split(".")[1] + "=="))
    except (ValueError, IndexError):
        return {}


def _with_header(request, value):
    return attrs.evolve(request, extra_headers=(*request.extra_headers, ("X-Made-Up", value)))


@broken("a tenant in a context variable", "isolation", "api_url_for")
class InContext(Acme):
    def token_request(self, settings):
        _TENANT.set(settings.tenant)
        return super().token_request(settings)

    def api_url_for(self, settings, token):
        tenant = _TENANT.get() or settings.tenant
        return settings.api_url or f"https://{tenant}.acme.example/api"


@broken("headers kept by the thread", "isolation", "api_request_headers")
class InThread(Acme):
    def api_request_headers(self, settings, token):
        if not hasattr(_LOCAL, "headers"):
            _LOCAL.headers = {"X-Side": settings.side}
        return _LOCAL.headers


@broken("headers that change after they were returned", "isolation", "changes what it returned")
class SharedHeaders(Acme):
    def api_request_headers(self, settings, token, found={}):
        found["X-Side"] = settings.side
        return found


@broken(
    "a look whether a file exists", "no_input_or_output", "token_request reads the status of a file"
)
class LooksAtFile(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        return _with_header(request, "1") if os.path.exists("/etc/acme") else request


@broken("seeded random numbers", "no_input_or_output", "seeds the random numbers")
class Seeds(Acme):
    def token_request(self, settings):
        random.seed(settings.client_id)
        return super().token_request(settings)


@broken("the locale in a header", "other_process", "header X-Made-Up")
class OfLocale(Acme):
    def token_request(self, settings):
        return _with_header(super().token_request(settings), locale.setlocale(locale.LC_CTYPE))


@broken("the program's name in a header", "other_process", "header X-Made-Up")
class OfProgram(Acme):
    def token_request(self, settings):
        return _with_header(super().token_request(settings), sys.argv[0] or "none")


@broken("the time zone in a header", "other_process", "header X-Made-Up")
class OfTimeZone(Acme):
    def token_request(self, settings):
        return _with_header(super().token_request(settings), time.tzname[0])


@broken("a claim in a claim as the API's address", "foreign_api_address", "api_url_for")
class NestedClaim(Acme):
    def api_url_for(self, settings, token):
        found = _claims(token).get("shop") if token and not settings.api_url else None
        address = found.get("api") if isinstance(found, dict) else None
        return address if isinstance(address, str) else super().api_url_for(settings, token)


@broken("a claim in a header", "token_headers_of_any", "a claim of the token, into a header")
class ClaimInHeader(Acme):
    def api_request_headers(self, settings, token):
        usual = super().api_request_headers(settings, token)
        return {**usual, "X-Shop": str(_claims(token).get("shop", "none"))}


@broken("a path of the response behind the host", "foreign_api_address", "api_url_for")
class PathOfResponse(Acme):
    def api_url_for(self, settings, token):
        path = token.extra.get("path") if token else None
        usual = f"https://{settings.tenant}.acme.example"
        return settings.api_url or (f"{usual}{path}" if isinstance(path, str) else usual)


@broken("a revocation at the first tenant's host", "forgotten_settings", "revocation_request stays")
class RevokesAtFirst(Acme):
    def revocation_request(self, settings, token):
        url = settings.revocation_url or "https://blue.acme.example/revoke"
        return self.revocation_to(url, settings, token)


@broken("a part of the secret in a warning", "plugin_messages", "warnings: one of them quotes")
class PartOfSecret(Acme):
    def warnings(self, settings):
        yield f"client_secret: {settings.client_secret.reveal()[:12]}… is short."


@broken("the end of the secret in a warning", "plugin_messages", "warnings: one of them quotes")
class EndOfSecret(Acme):
    def warnings(self, settings):
        yield f"client_secret: that with the end {settings.client_secret.reveal()[-4:]} is short."


for _domain in ("s3.amazonaws.com", "vercel.app", "azurewebsites.net"):
    broken(f"a tenant before {_domain}", "shared_domains", "api_url puts the setting tenant")(
        type(
            "Hosted",
            (Acme,),
            {"api_url": f"https://{{tenant}}.{_domain}/api", "__module__": __name__},
        )
    )
