"""Query parameters and per-request headers of some providers' API requests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus, urlencode, urlsplit, urlunsplit

import attrs

from keyturn._common.redaction import Redaction
from keyturn._providers import api_authorization, calls
from keyturn._providers.named_values import varying
from keyturn._providers.templates import names_in
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._clock import Clock
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn._tokens.token_query import Credentials

Pairs = tuple[tuple[str, str], ...]


@attrs.frozen(eq=False, repr=False)
class Additions:
    """A query, and headers that depend on the request.

    Args:
        query: Names and values of query parameters.
        token_parameter: The name of the parameter with the token; empty if a header has it.
        signed: Returns the headers that depend on the method, the URL and the body.
        secrets: The values of the query that contain the token or another secret.
    """

    query: Pairs
    token_parameter: str
    signed: Any
    secrets: tuple[Secret, ...] = ()

    def url(self, url: str) -> str:
        """Return a URL with the query; parameters that it has already are replaced."""
        if not self.query:
            return url
        parts, names = urlsplit(url), {name for name, _ in self.query}
        kept = [each for each in parts.query.split("&") if each and _name(each) not in names]
        query = "&".join([*kept, urlencode(self.query, quote_via=quote)])
        return urlunsplit(parts._replace(query=query))

    def headers(self, method: str, url: str, body: bytes | None) -> Pairs:
        """Return the headers that depend on the request.

        Raises:
            keyturn.errors.ConfigurationError: The body is not in memory.
        """
        return self.signed(method, url, body) if self.signed else ()


def _name(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[0])


def additions_for(credentials: Credentials, token: Token, clock: Clock) -> Additions:
    """Return the query parameters and per-request headers of a provider's API requests.

    Args:
        credentials: The connection's.
        token: The token.
        clock: The connection's.
    """
    provider, settings, _ = credentials
    query: Pairs = ()
    if provider.authorization_query:
        query = (calls.authorization(provider, settings, token),)
    values = partial(_values, provider, settings, token, clock)
    query += tuple(values(provider.api_query).items())
    varied = varying(provider.values) if provider.values else frozenset[str]()
    signing = {
        name: each
        for name, each in provider.api_headers.items()
        if "{request." in each or (varied and varied & names_in(each))
    }
    signed = partial(_signed, values, signing) if signing else None
    secrets = _secrets(query, provider, settings, token) if query else ()
    return Additions(query, provider.authorization_query, signed, secrets)


def _secrets(
    query: Pairs, provider: Provider[Any], settings: Settings, token: Token
) -> tuple[Secret, ...]:
    redaction = Redaction(calls.secrets_in(provider, settings, token))
    return tuple(Secret(value) for _, value in query if redaction.text(value) != value)


def _values(
    provider: Provider[Any],
    settings: Settings,
    token: Token,
    clock: Clock,
    used: Mapping[str, str],
    *request: Any,
) -> dict[str, str]:
    def work() -> dict[str, str]:
        names = api_authorization.request_names(*request) if request else None
        now = clock.time()
        return api_authorization.api_values(provider, used, settings, token, names, now=now)

    return calls.translate_errors(provider.name, work, calls.secrets_in(provider, settings, token))


def _signed(values: Any, signing: Mapping[str, str], *request: Any) -> Pairs:
    return tuple(values(signing, *request).items())
