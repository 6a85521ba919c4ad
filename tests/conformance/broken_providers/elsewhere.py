"""Addresses that stay, or move, and responses and headers that are taken for others."""

from __future__ import annotations

import base64
import contextlib
import json
from urllib.parse import urlsplit

import attrs

import keyturn

from .base import Acme, broken


class WithEnvironment(Acme.settings):
    """Settings with an environment."""

    environment: str = keyturn.plugins.choice(
        "Environment", choices={"live": "live", "sandbox": "test"}, default="live"
    )

    @property
    def login(self):
        return "auth.acme.example" if self.environment == "live" else "auth.acme-test.example"


class WithSandbox(Acme.settings):
    """Settings with a sandbox."""

    is_sandbox: bool = keyturn.plugins.setting("Sandbox", "Whether it is one.", default=False)


@broken("an API in production", "api_address", "the API stays at https://blue.live.acme.example")
class InProduction(Acme):
    settings = WithEnvironment
    token_url = "https://{tenant}.{environment}.acme.example/oauth/token"
    api_url = "https://{tenant}.live.acme.example/api"


@broken("an API at one address", "api_address", "At: api_url, elsewhere.py")
class AtOneAddress(Acme):
    settings = WithEnvironment
    token_url = "https://{login}/{tenant}/token"
    api_url = "https://api.acme.example"


@broken("an API out of the sandbox", "api_address", "the setting is_sandbox moves the token")
class OutOfSandbox(Acme):
    settings = WithSandbox

    def token_request(self, settings):
        request = super().token_request(settings)
        if settings.token_url or not settings.is_sandbox:
            return request
        return attrs.evolve(request, url=f"https://{settings.tenant}.sandbox.acme.example/token")


def _claims(token):
    with contextlib.suppress(ValueError, IndexError):
        found = json.loads(base64.urlsafe_b64decode(token.access_token.split(".")[1] + "=="))
        return found if isinstance(found, dict) else {}
    return {}


def _addressed(find):
    """Return a provider that may find the API's address in a token."""

    def api_url_for(self, settings, token):
        usual = Acme.api_url_for(self, settings, token)
        if settings.api_url or token is None:
            return usual
        with contextlib.suppress(ValueError):  # no address
            return find(token, f"{settings.tenant}.acme.example") or usual
        return usual

    return type("Addressed", (Acme,), {"api_url_for": api_url_for, "__module__": __name__})


def _issuer(token, host):
    found = str(_claims(token).get("iss"))
    return found if urlsplit(found).hostname == host else None


def _port(token, host):
    port = _claims(token).get("port")
    return f"https://{host}:{port}/api" if port else None


def _netloc(token, host):
    parts = urlsplit(str(token.extra.get("instance_url")))
    return f"https://{parts.netloc}/api" if (parts.hostname or "").endswith(host) else None


def _scheme(token, host):
    scheme = token.extra.get("scheme")
    return f"{scheme}://{host}/api" if scheme in ("http", "https") else None


for _what, _find in {
    "the scheme of a claim": _issuer,
    "the port of a claim": _port,
    "the port of a response": _netloc,
    "the scheme of a response": _scheme,
}.items():
    broken(_what, "foreign_api_address", "takes the scheme or the port")(_addressed(_find))


def _rejecting(is_rejected, **data):
    members = {"token_rejected": lambda self, settings, each: is_rejected(each), **data}
    return type("Rejecting", (Acme,), {**members, "__module__": __name__})


for _what, _provider, _message in (
    ("any failure", _rejecting(lambda each: each.status >= 400), "returns True for HTTP 404"),
    ("a limit", _rejecting(lambda each: each.status in {401, 429}), "returns True for HTTP 429"),
    (
        "success",
        _rejecting(lambda each: each.json() != {"fault": 1}, rejected_codes=("E7",)),
        "returns True for HTTP 200",
    ),
    ("a missing page", type("Missing", (Acme,), {"rejected_status": frozenset({401, 404})}), "404"),
):
    broken(f"{_what} that means the token", "token_rejected", _message)(_provider)

for _what, _header, _value, _message in (
    ("pages asked for", "Accept", "text/html", "the response is read as json"),
    ("XML asked for", "accept", "application/xml", "the response is read as json"),
    ("an unknown coding asked for", "Accept-Encoding", "br", "keyturn does not decode"),
):
    broken(_what, "well_formed_request", _message)(
        type("Asking", (Acme,), {"token_headers": {_header: _value}, "__module__": __name__})
    )


@broken("pages asked of the API", "api_headers", "is for browsers")
class BrowserOfApi(Acme):
    def api_request_headers(self, settings, token):
        return {"X-Side": settings.side, "Accept": "text/html,*/*"}


@broken("lines in the scope", "token_as_sent", "a scope of several lines")
class LinesInScope(Acme):
    def read_token(self, settings, response, request):
        content = response.json()
        if not isinstance(content, dict) or not isinstance(content.get("scope"), str):
            return super().read_token(settings, response, request)
        bare = {name: each for name, each in content.items() if name != "scope"}
        bare_response = attrs.evolve(response, body=json.dumps(bare).encode())
        token = super().read_token(settings, bare_response, request)
        return attrs.evolve(token, scope=content["scope"])


@broken("a header named by any field", "token_headers_of_any", "puts a field of the token's")
class NamedByFields(Acme):
    def api_request_headers(self, settings, token):
        return {"X-Side": settings.side, **{f"X-{name}": "1" for name in list(token.extra)[:5]}}


@broken("a top-level domain", "shared_domains", "api_domains has 'example'")
class TopLevel(Acme):
    api_url = ""
    api_url_field = "url"
    api_domains = ("example", "acme.example")


@broken("another provider's revocation", "revocation", "is of the provider 'other'")
class RevokedByOther(Acme):
    def revocation_request(self, settings, token):
        address = settings.revocation_url or f"https://{settings.tenant}.acme.example/out"
        return attrs.evolve(self.revocation_to(address, settings, token), provider="other")
