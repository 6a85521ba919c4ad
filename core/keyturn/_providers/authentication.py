"""How a client authenticates: the parameters and headers of each way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._http.request import ClientCertificate
from keyturn._http.values import BasicCredentials, ClientAssertion
from keyturn._providers import templates

if TYPE_CHECKING:
    from keyturn._http.request import Pairs
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._secret import Secret

_ASSERTION = "client_assertion"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def authentication(provider: Provider[Any], settings: Settings, url: str) -> tuple[Pairs, Pairs]:
    """Return the parameters and the headers that authenticate the client at an endpoint.

    What the settings don't have is not sent, such as the secret of a public client.

    Args:
        provider: Says in which way.
        settings: The credentials.
        url: The endpoint.
    """
    client_id: str | None = getattr(settings, "client_id", None)
    secret: Secret | None = getattr(settings, "client_secret", None)
    way = provider.client_authentication
    if secret is not None and way in {"client_secret_basic", "client_secret_basic_raw"}:
        form_encoded = way == "client_secret_basic"
        credentials = BasicCredentials(client_id or "", secret, form_encoded=form_encoded)
        return (), (("Authorization", credentials),)
    values: dict[str, str | Secret | None] = {provider.client_id_name: client_id}
    if way not in {"private_key_jwt", "tls_client_auth"}:
        values[provider.client_secret_name] = secret
    pairs = tuple((name, each) for name, each in values.items() if name and each is not None)
    if way == "private_key_jwt":
        return (*pairs, *_assertion(provider, settings, url)), ()
    return ((), pairs) if way == "client_secret_headers" else (pairs, ())


def certificate(settings: Settings) -> ClientCertificate | None:
    """Return the client's certificate, if the settings name one (RFC 8705)."""
    path = getattr(settings, "certificate", None)
    key = getattr(settings, "certificate_key", None)
    password = getattr(settings, "certificate_password", None)
    return None if path is None else ClientCertificate(path, key=key, password=password)


def _assertion(provider: Provider[Any], settings: Settings, url: str) -> Pairs:
    private_key: Secret | None = getattr(settings, "private_key", None)
    if private_key is None:
        raise errors.ConfigurationError(
            f"provider {provider.name}: private_key_jwt needs the setting private_key."
        )
    client_id = getattr(settings, "client_id", None)
    audience = provider.assertion_audience
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": templates.render(audience, settings) if audience else url,
        **dict(templates.render_all(provider.assertion_claims, settings)),
    }
    assertion = ClientAssertion(
        private_key=private_key,
        key_id=getattr(settings, "key_id", None),
        key_header=provider.assertion_key_header,
        algorithm=provider.assertion_algorithm,
        claims={name: value for name, value in claims.items() if value},
        lifetime=provider.assertion_lifetime,
    )
    name = provider.assertion_name
    # RFC 7521 section 4.2; where a JWT is the grant itself (section 4.1), no type goes with it.
    kind: Pairs = (("client_assertion_type", _ASSERTION_TYPE),) if name == _ASSERTION else ()
    return (*kind, (name, assertion))
