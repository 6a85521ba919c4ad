"""Sabre's credentials, from its guide «REST APIs: token credentials».

https://developer.sabre.com/resources/getting_started_with_sabre_apis/sabre_apis_101/how_to_guides/rest_apis_token_credentials
has both parts encoded in Base64 one by one, before HTTP Basic encodes them together.
"""

from __future__ import annotations

import base64

import attrs

import keyturn


class Sabre(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
    """Sabre, whose client ID is of the form `V1:userid:group:domain`."""

    name = "sabre"
    title = "Sabre"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://api.platform.sabre.com/v2/auth/token"
    api_url = "https://api.platform.sabre.com"
    client_authentication = "client_secret_basic_raw"

    def token_request(
        self, settings: keyturn.plugins.ConfidentialSettings
    ) -> keyturn.plugins.TokenRequest:
        """Return the token request with the credentials encoded twice."""
        twice = attrs.evolve(
            settings,
            client_id=_base64(settings.client_id),
            client_secret=keyturn.Secret(_base64(settings.client_secret.reveal())),
        )
        return super().token_request(twice)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]:
    """Return the provider `sabre`."""
    return Sabre()
