"""Acme: the provider `acme`, plain RFC 6749."""

from __future__ import annotations

import keyturn


class AcmeSettings(keyturn.plugins.ConfidentialSettings):
    """The settings of `acme`."""

    tenant: str = keyturn.plugins.label("Tenant", "The tenant's name.")


class Acme(keyturn.plugins.Provider[AcmeSettings]):
    """Acme."""

    name = "acme"
    settings = AcmeSettings
    token_url = "https://{tenant}.acme.example/oauth/token"
    api_url = "https://{tenant}.acme.example/api"


@keyturn.plugins.hookimpl
def keyturn_provider() -> Acme:
    """Return the provider `acme`."""
    return Acme()
