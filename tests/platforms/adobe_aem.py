"""Adobe Experience Manager as a Cloud Service, with the service credentials of an environment.

https://experienceleague.adobe.com/en/docs/experience-manager-cloud-service/content/implementing/developing/generating-access-tokens-for-server-side-apis
has a JWT exchanged for a token. One of its claims is `true`, which the data of a provider, being
texts, can't say.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

import attrs
from joserfc import jwk, jwt

import keyturn

if TYPE_CHECKING:
    from collections.abc import Iterable

IMS = "https://ims-na1.adobelogin.com"


class AemSettings(keyturn.plugins.KeySettings):
    """The settings of `adobe-aem`."""

    client_secret: keyturn.Secret = keyturn.plugins.setting("Client secret")
    url: str = keyturn.plugins.url("Author or publish instance")
    organization: str = keyturn.plugins.setting("Organization", "Such as 0123456789@AdobeOrg.")
    technical_account: str = keyturn.plugins.setting(
        "Technical account", "Its id, not its address."
    )


@attrs.frozen
class ServiceToken(keyturn.plugins.DynamicValue):
    """The JWT that is exchanged, made anew for each request."""

    settings: AemSettings

    def value(self, now: float) -> str:
        """Return it."""
        claims = {
            "iss": self.settings.organization,
            "sub": self.settings.technical_account,
            "aud": f"{IMS}/c/{self.settings.client_id}",
            f"{IMS}/s/ent_aem_cloud_api": True,
            "jti": str(uuid.uuid4()),
            "iat": int(now),
            "exp": int(now) + 300,
        }
        key = jwk.RSAKey.import_key(self.settings.private_key.reveal())
        return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, key, algorithms=["RS256"])

    def inputs(self) -> Iterable[str | keyturn.Secret]:
        """Return what it is made of."""
        settings = self.settings
        named = (settings.client_id, settings.organization, settings.technical_account)
        return (settings.private_key, *named)


class Aem(keyturn.plugins.Provider[AemSettings]):
    """Adobe Experience Manager as a Cloud Service."""

    name = "adobe-aem"
    title = "Adobe Experience Manager (service credentials)"
    settings = AemSettings
    token_url = f"{IMS}/ims/exchange/jwt"
    api_url = "{url}"
    client_authentication = "private_key_jwt"
    grant_type = ""
    assertion_name = "jwt_token"
    parameters: ClassVar = {"client_secret": "{client_secret}"}
    lifetime_format = "milliseconds"

    def token_request(self, settings: AemSettings) -> keyturn.plugins.TokenRequest:
        """Return the token request with Adobe's own kind of assertion."""
        request = super().token_request(settings)
        own = {"jwt_token": ServiceToken(settings)}
        parameters = tuple((name, own.get(name, value)) for name, value in request.parameters)
        return attrs.evolve(request, parameters=parameters)


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[AemSettings]:
    """Return the provider `adobe-aem`."""
    return Aem()
