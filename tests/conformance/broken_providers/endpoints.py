"""Mistakes in revocation requests, API addresses and errors."""

from __future__ import annotations

import re

import attrs

import keyturn

from .base import Acme, at_top, broken


def _revoking(change):
    """Return a provider with another revocation request."""

    def revocation_request(self, settings, token):
        url = settings.revocation_url or f"https://{settings.tenant}.acme.example/revoke"
        return change(self, settings, self.revocation_to(url, settings, token))

    return type("Revoking", (Acme,), {"revocation_request": revocation_request})


def _replaced(request, name, value):
    pairs = tuple((each, value if each == name else old) for each, old in request.parameters)
    return attrs.evolve(request, parameters=pairs)


for _what, _message, _change in (
    (
        "without the client",
        "does not authenticate the client",
        lambda _, __, request: attrs.evolve(request, parameters=request.parameters[-1:]),
    ),
    (
        "by GET",
        "is a GET request",
        lambda _, __, request: attrs.evolve(request, method="GET"),
    ),
    (
        "at the token endpoint",
        "goes to the token endpoint",
        lambda self, own, request: attrs.evolve(
            request, url=own.revocation_url or self.token_request(own).url
        ),
    ),
    (
        "of another client",
        "has a client_id that differs",
        lambda _, __, request: _replaced(request, "client_id", "acme-cli"),
    ),
    (
        "of a cut token",
        "changes the token",
        lambda _, __, request: _replaced(
            request,
            "token",
            keyturn.Secret(dict(request.parameters)["token"].reveal()[:64]),
        ),
    ),
):
    broken(f"a revocation {_what}", "revocation", _message)(_revoking(_change))


def _addressed(find):
    """Return a provider that reads the API's address from a token."""

    def api_url_for(self, settings, token):
        found = None if settings.api_url or token is None else find(token)
        return found if isinstance(found, str) else Acme.api_url_for(self, settings, token)

    return type("Addressed", (Acme,), {"api_url_for": api_url_for, "__module__": __name__})


def _matching(token):
    found = token.extra.get("instance_url")
    is_own = isinstance(found, str) and re.match(r"https://[a-z]+\.blue\.acme\.example", found)
    return found if is_own else None


def _of_sites(token):
    sites = token.extra.get("sites")
    first = sites[0] if isinstance(sites, list) and sites else None
    return first.get("url") if isinstance(first, dict) else None


def _of_scope(token):
    return next((each for each in (token.scope or "").split() if "://" in each), None)


for _what, _find in {
    "that a pattern begins to match": _matching,
    "in a list of the response": _of_sites,
    "in the scope": _of_scope,
}.items():
    broken(f"an API's address {_what}", "foreign_api_address", "api_url_for trusts a field")(
        _addressed(_find)
    )


@broken("a shop of the response before the user's address", "api_address", "ignores the setting")
class ShopFirst(Acme):
    def api_url_for(self, settings, token):
        shop = token.extra.get("shop") if token else None
        is_label = isinstance(shop, str) and shop.isalnum()
        found = f"https://{shop}.acme.example/api" if is_label else None
        return found or super().api_url_for(settings, token)


def _hosted(method, make):
    return at_top(__name__, type("Hosted", (Acme,), {method: make}))


broken("a method's tenant before netlify.app", "shared_domains", "api_url_for puts the setting")(
    _hosted(
        "api_url_for",
        lambda _, own, __: own.api_url or f"https://{own.tenant}.netlify.app/api",
    )
)
broken("a method's tenant before com.au", "shared_domains", "token_request puts the setting")(
    _hosted(
        "token_request",
        lambda self, own: attrs.evolve(
            Acme.token_request(self, own),
            url=own.token_url or f"https://{own.tenant}.com.au/token",
        ),
    )
)
for _status in (429, 500, 503):
    broken(f"the status {_status} as a rejection", "token_rejected", f"names {_status}, which")(
        type("Rejecting", (Acme,), {"rejected_status": frozenset({401, _status})})
    )
for _platforms, _code in {
    "server_error": "invalid_client",
    "temporarily_unavailable": "invalid_request",
    "invalid_client": "temporarily_unavailable",
}.items():
    broken(f"the code {_platforms} as {_code}", "oauth_errors", f"has {_platforms} as {_code}")(
        type("Coded", (Acme,), {"error_codes": {_platforms: _code}})
    )
