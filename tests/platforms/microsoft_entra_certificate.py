"""Microsoft Entra ID with a certificate, after its page «certificate-credentials».

https://learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials: the assertion
names its key by the header `x5t#S256`, the certificate's thumbprint, and not by `kid`.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import attrs
from joserfc import jwk, jwt

import keyturn

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.frozen(kw_only=True)
class EntraSettings(keyturn.KeySettings):
    """The settings of `microsoft-entra-certificate`."""

    key_id: str = keyturn.setting("Thumbprint", "The certificate's SHA-256 in base64url.")
    tenant: str = keyturn.setting("Tenant", check=keyturn.domain_problem)
    scope: tuple[str, ...] = keyturn.setting(
        "Scope", default=("https://graph.microsoft.com/.default",)
    )


@attrs.frozen
class Assertion(keyturn.Computed):
    """The signed JWT, made anew for each request."""

    settings: EntraSettings
    audience: str

    def value(self) -> str:
        """Return it."""
        client_id, now = self.settings.client_id, int(time.time())
        header = {"alg": "PS256", "typ": "JWT", "x5t#S256": self.settings.key_id}
        times = {"iat": now, "nbf": now, "exp": now + 300}
        named = {"iss": client_id, "sub": client_id, "aud": self.audience}
        claims = {**named, **times, "jti": str(uuid.uuid4())}
        key = jwk.RSAKey.import_key(self.settings.private_key.reveal())
        return jwt.encode(header, claims, key, algorithms=["PS256"])

    def sources(self) -> Iterable[str | keyturn.Secret]:
        """Return what it is made of."""
        settings = self.settings
        return (settings.private_key, settings.client_id, settings.key_id, self.audience)


class EntraCertificate(keyturn.Provider[EntraSettings]):
    """Microsoft Entra ID, where a certificate proves who the client is."""

    name = "microsoft-entra-certificate"
    title = "Microsoft Entra ID (certificate)"
    settings = EntraSettings
    token_url = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    api_url = "https://graph.microsoft.com/v1.0"
    client_authentication = "private_key_jwt"

    def token_request(self, settings: EntraSettings) -> keyturn.TokenRequest:
        """Return the token request with Entra's own kind of assertion."""
        request = super().token_request(settings)
        own = {"client_assertion": Assertion(settings, request.url)}
        parameters = tuple((name, own.get(name, value)) for name, value in request.parameters)
        return attrs.evolve(request, parameters=parameters)


@keyturn.hookimpl
def keyturn_provider() -> keyturn.Provider[EntraSettings]:
    """Return the provider `microsoft-entra-certificate`."""
    return EntraCertificate()
