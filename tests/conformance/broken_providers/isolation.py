"""Providers that show one tenant's values to another."""

from __future__ import annotations

import functools

import attrs

from .base import Acme, broken

_URLS = {}
_BY_ID = {}
_WARNED = set()


@broken("a default argument that remembers a tenant", "isolation", "token_request")
class DefaultRemembers(Acme):
    def token_request(self, settings, seen={}):
        seen.setdefault("tenant", settings.tenant)
        url = settings.token_url or f"https://{seen['tenant']}.acme.example/oauth/token"
        return attrs.evolve(super().token_request(settings), url=url)


@broken("an API's address kept by the client's id", "isolation", "api_url_for")
class AddressByClient(Acme):
    def api_url_for(self, settings, token):
        if settings.api_url:
            return settings.api_url
        url = f"https://{settings.tenant}.acme.example/api"
        return _URLS.setdefault(settings.client_id, url)


@broken("headers kept by the identity of the settings", "isolation", "api_request_headers")
class HeadersById(Acme):
    def api_request_headers(self, settings, token):
        key = id(settings)
        if key not in _BY_ID:
            _BY_ID[key] = dict(super().api_request_headers(settings, token))
        return _BY_ID[key]


@functools.lru_cache(maxsize=4)
def _side(client_id):
    return _LAST.side


_LAST = None


@broken("a side kept by the client's id", "isolation", "api_request_headers")
class SideByClient(Acme):
    def api_request_headers(self, settings, token):
        global _LAST
        _LAST = settings
        return {"X-Side": _side(settings.client_id)}


@broken("the settings of the last token request", "isolation", "api_url_for")
class LastRequest(Acme):
    _last = []

    def token_request(self, settings):
        self._last[:] = [settings.tenant]
        return super().token_request(settings)

    def api_url_for(self, settings, token):
        tenant = self._last[0] if self._last else settings.tenant
        return settings.api_url or f"https://{tenant}.acme.example/api"


@broken("headers that add up", "isolation", "api_request_headers")
class HeadersAddUp(Acme):
    def api_request_headers(self, settings, token, found={}):
        found[f"X-Side-{settings.side}"] = "1"
        return {**super().api_request_headers(settings, token), **found}


@broken("scope values that add up", "isolation", "scope")
class ScopeAddsUp(Acme):
    def scope(self, settings, seen=[]):
        seen += [each for each in super().scope(settings) if each not in seen]
        return tuple(seen)


@broken("a warning for the first connection only", "isolation", "warnings")
class WarnsOnce(Acme):
    def warnings(self, settings):
        if "side" not in _WARNED and settings.side != "front":
            _WARNED.add("side")
            yield "side: only front is tried often."


class RememberingSettings(Acme.settings):
    """Settings with a property that keeps its first value."""

    _first = []

    @property
    def shop(self):
        self._first.append(self.tenant)
        return self._first[0]


@broken("the first tenant, in the settings", "isolation", "token_request")
class Remembering(Acme):
    settings = RememberingSettings
    token_headers = {"X-Shop": "{shop}"}


@broken("an earlier token in API requests", "token_headers_of_any", "an earlier token")
class EarlierToken(Acme):
    def authorization(self, settings, token, kept={}):
        return "Authorization", kept.setdefault(settings.tenant, f"Bearer {token.access_token}")


@broken("a revocation of the first tenant's client", "isolation", "revocation_request")
class RevokesForFirst(Acme):
    def revocation_request(self, settings, token, first=[]):
        first.append(settings)
        url = settings.revocation_url or f"https://{first[0].tenant}.acme.example/revoke"
        return self.revocation_to(url, settings, token)


class EqualSettings(Acme.settings):
    """Settings that compare too few fields."""

    def __eq__(self, other):
        return isinstance(other, EqualSettings) and self.client_id == other.client_id

    __hash__ = Acme.settings.__hash__


@broken("settings that are equal whatever the tenant", "isolation", "__eq__")
class Equal(Acme):
    settings = EqualSettings


@broken("a provider that for_settings changes", "nothing_changed", "for_settings changes")
class ChangedForSettings(Acme):
    def for_settings(self, settings):
        self.api_url = f"https://{settings.tenant}.acme.example/api"
        return self


@broken("a class that for_settings changes", "nothing_changed", "for_settings changes")
class ClassChanged(Acme):
    _tenant = ""

    def for_settings(self, settings):
        type(self)._tenant = settings.tenant
        return self

    def api_url_for(self, settings, token):
        return settings.api_url or f"https://{self._tenant}.acme.example/api"


@broken("the tenant forgotten in the API's address", "forgotten_settings", "api_url_for")
class ForgetsTenant(Acme):
    def api_url_for(self, settings, token):
        return settings.api_url or "https://blue.acme.example/api"


@broken("the side forgotten in API requests", "forgotten_settings", "api_request_headers")
class ForgetsSide(Acme):
    def api_request_headers(self, settings, token):
        return {"X-Side": "front"}


@broken("the tenant forgotten in the token request", "forgotten_settings", "token_request")
class ForgetsTenantEarly(Acme):
    def token_request(self, settings):
        url = settings.token_url or "https://blue.acme.example/oauth/token"
        return attrs.evolve(super().token_request(settings), url=url)


@broken("tokens with what the last connection got", "isolation", "read_token")
class ScopeOfLast(Acme):
    def read_token(self, settings, response, request, last=[]):
        last.append(settings.tenant)
        token = super().read_token(settings, response, request)
        return attrs.evolve(token, extra={**token.extra, "shop": last[0]})


_TENANTS = set()


@broken("a header that changes once there are two", "isolation", "after it was called for others")
class Counts(Acme):
    def api_request_headers(self, settings, token):
        _TENANTS.add(settings.tenant)
        return {"X-Side": settings.side, "X-Tenants": str(len(_TENANTS) > 1)}
