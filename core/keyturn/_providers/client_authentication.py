"""How a client authenticates at an endpoint: what is sent for its credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn._providers import later, templates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._http.credentials import ClientCertificate
    from keyturn._http.request import Pairs
    from keyturn._http.values import Value
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._secret import Secret

# The methods with a signed JWT, each with the setting that has its key.
SIGNED = {"private_key_jwt": "private_key", "client_secret_jwt": "client_secret"}
# The setting that each method needs.
NEEDED_SETTINGS = {**SIGNED, "tls_client_auth": "certificate"}
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# The data whose templates may name the JWT.
PLACES = ("token_headers", "query", "body", "parameters")


def authentication(
    provider: Provider[Any], settings: Settings, url: str, names: Mapping[str, Value | None]
) -> tuple[Pairs, Pairs]:
    """Return the parameters and the headers that authenticate the client at an endpoint.

    What the settings don't have is not sent, such as the secret of a public client.

    Args:
        provider: The provider.
        settings: The settings.
        url: The endpoint.
        names: The names for templates of a JWT's claims. With `assertion`, it is not a parameter.
    """
    way = provider.client_authentication
    client_id: str | None = getattr(settings, "client_id", None)
    secret: Secret | None = getattr(settings, "client_secret", None)
    if secret is not None and way in {"client_secret_basic", "client_secret_basic_raw"}:
        credentials = later.credentials().BasicCredentials(
            client_id or "", secret, form_encoded=way == "client_secret_basic"
        )
        return (), (("Authorization", credentials),)
    values: dict[str, str | Secret | None] = {provider.client_id_name: client_id}
    if way not in NEEDED_SETTINGS:
        values[provider.client_secret_name] = secret
    pairs = tuple((name, each) for name, each in values.items() if name and each is not None)
    if way in SIGNED and "assertion" not in names:
        # RFC 7521 section 4.2; where a JWT is the grant itself (section 4.1), it has no type.
        is_authentication = provider.assertion_name == "client_assertion"
        kind = (("client_assertion_type", _ASSERTION_TYPE),) if is_authentication else ()
        signed = later.signed_jwts().assertion(provider, settings, url, names)
        return (*pairs, *kind, (provider.assertion_name, signed)), ()
    return ((), pairs) if way == "client_secret_headers" else (pairs, ())


def names_assertion(data: Any) -> bool:
    """Return whether the templates of a provider's token request name the JWT.

    Args:
        data: The provider, or its data as attributes.
    """
    return data.client_authentication in SIGNED and any(
        "assertion" in templates.names_in(each)
        for place in PLACES
        for each in templates.strings_in(getattr(data, place))
    )


def certificate(settings: Settings) -> ClientCertificate | None:
    """Return the client's certificate, if the settings name one (RFC 8705)."""
    names = ("certificate", "certificate_key", "certificate_password")
    path, key, password = (getattr(settings, name, None) for name in names)
    if path is None:
        return None
    made: ClientCertificate = later.credentials().ClientCertificate(
        path, key=key, password=password
    )
    return made
