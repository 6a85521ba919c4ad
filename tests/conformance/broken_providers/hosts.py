"""Tokens and secrets that are sent to other hosts, and values that add header lines."""

from __future__ import annotations

import base64
import json
from urllib.parse import unquote

import attrs

import keyturn

from .base import Acme, AcmeSettings, broken


def _data(**data):
    return type("Other", (Acme,), {"__module__": __name__, **data})


for _domain in ("co.uk", "com", "github.io", "herokuapp.com", "azurewebsites.net", "com.br"):
    broken(f"an API below {_domain}", "shared_domains", f"api_domains has '{_domain}'")(
        _data(api_url="", api_url_field="api", api_domains=("acme.example", _domain))
    )
broken("a tenant before .com", "shared_domains", "token_url puts the setting tenant before 'com'")(
    _data(token_url="https://login.{tenant}.com/oauth/token")
)
broken("a tenant before .co.jp", "shared_domains", "api_url puts the setting tenant before")(
    _data(api_url="https://{tenant}.co.jp/api")
)


def _claims(token):
    payload = token.access_token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(f"{payload}=="))


def _claiming(read):
    """Return a provider that reads the API's address from claims of the token."""

    def api_url_for(self, settings, token):
        if settings.api_url or token is None or token.access_token.count(".") != 2:
            return Acme.api_url_for(self, settings, token)
        return read(_claims(token)) or Acme.api_url_for(self, settings, token)

    return type("Claiming", (Acme,), {"api_url_for": api_url_for, "__module__": __name__})


_HOME = "acme_home"

broken("the claim of a constant as the API's address", "foreign_api_address", "api_url_for")(
    _claiming(lambda claims: claims.get(_HOME))
)
for _name in ("iss", "aud"):
    broken(f"the claim {_name} as the API's address", "foreign_api_address", "api_url_for")(
        _claiming(lambda claims, name=_name: claims.get(name))
    )


@broken("a claim that is a URL as the API's address", "foreign_api_address", "api_url_for")
class ClaimsShop(Acme):
    def api_url_for(self, settings, token):
        if settings.api_url or token is None or token.access_token.count(".") != 2:
            return super().api_url_for(settings, token)
        return _claims(token)["https://acme.example/shop"]


broken("a claim as a part of the host", "foreign_api_address", "api_url_for")(
    _claiming(lambda claims: f"https://{claims.get('shop', 'blue')}.acme.example/api")
)


@broken("a revocation at another host", "revocation", "not one of the platform's hosts")
class RevokesElsewhere(Acme):
    def revocation_request(self, settings, token):
        url = settings.revocation_url or "https://tokens.other.example/revoke"
        return self.revocation_to(url, settings, token)


@broken("a revocation that can't be moved", "revocation", "ignores the setting revocation_url")
class RevokesHere(Acme):
    def revocation_request(self, settings, token):
        url = f"https://{settings.tenant}.acme.example/revoke"
        return self.revocation_to(url, settings, token)


def _revoking(change):
    """Return a provider with another revocation request."""

    def revocation_request(self, settings, token):
        url = settings.revocation_url or f"https://{settings.tenant}.acme.example/revoke"
        return change(self, self.revocation_to(url, settings, token), token)

    return type(
        "Revoking", (Acme,), {"revocation_request": revocation_request, "__module__": __name__}
    )


def _with(request, *pairs):
    return attrs.evolve(request, parameters=(*request.parameters[:-1], *pairs))


def _secret(token):
    return keyturn.Secret(token.access_token)


def _beside(token):
    return token.extra.get("refresh_token", token.access_token)


for _what, _message, _change in (
    ("without the token", "does not contain the token", lambda _, request, __: _with(request)),
    (
        "of another name",
        "as access_token",
        lambda _, request, token: _with(request, ("access_token", _secret(token))),
    ),
    (
        "of a refresh token",
        "token_type_hint",
        lambda _, request, token: _with(
            request, ("token", _secret(token)), ("token_type_hint", "refresh_token")
        ),
    ),
    (
        "with a grant",
        "of a token request",
        lambda _, request, token: _with(
            request, ("grant_type", "client_credentials"), ("token", _secret(token))
        ),
    ),
    (
        "in the query",
        "in the URL's query",
        lambda _, request, __: attrs.evolve(request, body_format="query"),
    ),
    (
        "with a scheme",
        "changes the token",
        lambda _, request, token: _with(
            request, ("token", keyturn.Secret(f"Bearer {token.access_token}"))
        ),
    ),
    (
        "of the token beside it",
        "changes the token",
        lambda _, request, token: attrs.evolve(
            _with(request, ("token", keyturn.Secret(_beside(token)))),
            extra_headers=(*request.extra_headers, ("X-Token", _secret(token))),
        ),
    ),
    (
        "of a scoped token without the client",
        "does not authenticate the client",
        lambda _, request, token: (
            attrs.evolve(request, parameters=request.parameters[-1:]) if token.scope else request
        ),
    ),
    (
        "in plain",
        "as a plain string",
        lambda _, request, token: _with(request, ("token", token.access_token)),
    ),
):
    broken(f"a revocation {_what}", "revocation", _message)(_revoking(_change))


def _with_headers(*headers):
    def token_request(self, settings):
        request = Acme.token_request(self, settings)
        return attrs.evolve(request, extra_headers=(*request.extra_headers, *headers))

    return type("Heading", (Acme,), {"token_request": token_request, "__module__": __name__})


broken("a header twice", "unambiguous_request", "the header x-made-up twice")(
    _with_headers(("X-Made-Up", "1"), ("x-made-up", "2"))
)
broken("a Host of its own", "unambiguous_request", "the header host twice, or one")(
    _with_headers(("Host", "acme.example"))
)
broken("a length of its own", "unambiguous_request", "the header content-length")(
    _with_headers(("Content-Length", "7"))
)


@broken("a parameter twice", "unambiguous_request", "the parameter grant_type twice")
class GrantTwice(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        grant = ("grant_type", "client_credentials")
        return attrs.evolve(request, parameters=(*request.parameters, grant))


@broken("another provider's name", "unambiguous_request", "of the provider 'other'")
class OtherName(Acme):
    def token_request(self, settings):
        return attrs.evolve(super().token_request(settings), provider="other")


def _with_api_headers(make):
    def api_request_headers(self, settings, token):
        usual = Acme.api_request_headers(self, settings, token)
        return {**usual, **make(settings, token)}

    return type(
        "Heading", (Acme,), {"api_request_headers": api_request_headers, "__module__": __name__}
    )


broken("a second authorization", "api_headers", "AUTHORIZATION, the header that carries")(
    _with_api_headers(lambda _, token: {"AUTHORIZATION": f"Basic {token.access_token}"})
)
broken("an API header twice", "api_headers", "returns a header twice")(
    _with_api_headers(lambda *_: {"X-Made-Up": "1", "x-made-up": "2"})
)
broken("a scope twice in an API header", "api_headers", "returns the token's scope twice in X-Sc")(
    _with_api_headers(lambda _, token: {"X-Scope": f"{token.scope} {token.scope}"})
)
broken("a Host for the API", "api_headers", "returns Host, which")(
    _with_api_headers(lambda settings, _: {"Host": f"{settings.tenant}.acme.example"})
)
broken("a chunked API request", "api_headers", "returns Transfer-Encoding, which")(
    _with_api_headers(lambda *_: {"Transfer-Encoding": "chunked"})
)
broken("a field of the response in a header", "token_headers_of_any", "with its line breaks")(
    _with_api_headers(lambda _, token: {"X-Shop": str(token.extra.get("shop", "none"))})
)


@broken("a scheme twice", "api_headers", "the token or its scheme twice")
class SchemeTwice(Acme):
    def authorization(self, settings, token):
        return "Authorization", f"Bearer Bearer {token.access_token}"


@broken("two lines of a setting in an API header", "hostile_strings", "of API requests holds")
def note_in_header():
    class NoteSettings(Acme.settings):
        note: str = keyturn.plugins.setting("Note", default="none", check=lambda _: None)

    return type(
        "Noting", (Acme,), {"settings": NoteSettings, "api_headers": {"X-Note": "{note}"}}
    )()


@broken("two lines of a secret in a header", "hostile_secrets", "holds control characters")
def secret_in_header():
    class KeySettings(Acme.settings):
        api_key: keyturn.Secret = keyturn.plugins.setting("Key", check=lambda _: None)

    return type(
        "Keyed", (Acme,), {"settings": KeySettings, "token_headers": {"X-Key": "{api_key}"}}
    )()


@broken("an endpoint for all", "token_url_setting", "ignores the setting token_url")
class FixedEndpoint(Acme):
    def token_request(self, settings):
        url = f"https://{settings.tenant}.acme.example/oauth/token"
        return attrs.evolve(super().token_request(settings), url=url)


@broken("no address without a token", "foreign_api_address", "api_url_for fails")
class NeedsToken(Acme):
    def api_url_for(self, settings, token):
        return settings.api_url or (token.extra.get("api") and super().api_url_for(settings, token))


class _NoteSettings(AcmeSettings):
    note: str = keyturn.plugins.setting("Note", "What it is for.", default="a")


def _noting(decode, where):
    """Return a provider that decodes a setting before it sends it in a header."""

    def token_request(self, settings):
        request = Acme.token_request(self, settings)
        return attrs.evolve(request, extra_headers=(("X-Note", decode(settings.note)),))

    def api_request_headers(self, settings, token):
        usual = Acme.api_request_headers(self, settings, token)
        return {**usual, "X-Note": decode(settings.note)}

    methods = {"token_request": token_request, "api_request_headers": api_request_headers}
    return _data(settings=_NoteSettings, **{where: methods[where]})


for _what, _decode in {
    "percent-decoded": unquote,
    "unescaped": lambda text: text.replace("\\r", "\r").replace("\\n", "\n"),
}.items():
    for _where in ("token_request", "api_request_headers"):
        broken(f"a note {_what} in a header of {_where}", "hostile_strings", "'X-Note'")(
            _noting(_decode, _where)
        )
