"""The signed JWT that authenticates a client (RFC 7523)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._http.composed import Composed
from keyturn._http.credentials import ClientAssertion
from keyturn._http.steps import step_value
from keyturn._providers import templates
from keyturn._providers.client_authentication import SIGNED
from keyturn._providers.named_values import Names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._http.values import Value
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._secret import Secret

_ALGORITHMS = {"private_key_jwt": "RS256", "client_secret_jwt": "HS256"}


def assertion(
    provider: Provider[Any], settings: Settings, url: str, names: Mapping[str, Value | None]
) -> ClientAssertion:
    """Return the signed JWT that authenticates the client; see `client_authentication`.

    Raises:
        keyturn.errors.ConfigurationError: The settings have no key for it.
    """
    way = provider.client_authentication
    key: Secret | None = getattr(settings, SIGNED[way], None)
    if key is None:
        raise errors.ConfigurationError(
            f"provider {provider.name}: {way} needs the setting {SIGNED[way]}."
        )
    client_id = getattr(settings, "client_id", None)
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": (
            templates.render(provider.assertion_audience, settings, names)
            if provider.assertion_audience
            else step_value(url) or url
        ),
        **dict(templates.render_all(provider.assertion_claims, settings, names)),
    }
    return ClientAssertion(
        private_key=key,
        key_id=getattr(settings, "key_id", None),
        key_header=provider.assertion_key_header,
        headers=dict(templates.render_all(provider.assertion_headers, settings, names)),
        algorithm=provider.assertion_algorithm or _ALGORITHMS[way],
        claims={name: value for name, value in claims.items() if value},
        lifetime=provider.assertion_lifetime,
    )


def with_assertion(
    provider: Provider[Any], settings: Settings, url: str, names: Mapping[str, Value | None]
) -> Mapping[str, Value | None]:
    """Return the names for templates with the JWT added; it is signed once for each request."""
    signed = Composed(parts=(assertion(provider, settings, url, names),), name="assertion")
    return Names({"assertion": signed}, names)
