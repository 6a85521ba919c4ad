"""Any platform: the provider `generic`, described by the settings of the connection itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import attrs

import keyturn

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_TEXTS: Mapping[str, str] = MappingProxyType({})


def _anything(value: object) -> None:
    """Find nothing wrong: a text of the description may be empty."""
    del value


def _text(title: str, description: str, *, default: str) -> Any:
    schema = {"minLength": 0}
    return keyturn.plugins.setting(
        title, description, default=default, check=_anything, schema=schema
    )


def _texts(title: str, description: str) -> Any:
    return keyturn.plugins.setting(title, description, default=_NO_TEXTS)


@attrs.frozen(kw_only=True)
class GenericSettings(keyturn.plugins.Settings):
    """Credentials of any kind, and the data of a provider under their own names."""

    token_url: str = keyturn.plugins.url("Token URL", "The token endpoint.")
    client_id: str | None = keyturn.plugins.setting(
        "Client ID", "The client's public name.", default=None
    )
    client_secret: keyturn.Secret | None = keyturn.plugins.setting(
        "Client secret", "The client's secret.", default=None
    )
    username: str | None = keyturn.plugins.setting(
        "User name", "For parameters that name it as {username}.", default=None
    )
    password: keyturn.Secret | None = keyturn.plugins.setting(
        "Password", "For parameters that name it as {password}.", default=None
    )
    private_key: keyturn.Secret | None = keyturn.plugins.setting(
        "Private key", "The client's private key as PEM.", default=None, check=_anything
    )
    key_id: str | None = keyturn.plugins.setting("Key ID", "The key's name (`kid`).", default=None)
    certificate: str | None = keyturn.plugins.setting(
        "Certificate", "The path of a PEM file with the client's certificate.", default=None
    )
    certificate_key: str | None = keyturn.plugins.setting(
        "Certificate key", "The path of a PEM file with its private key.", default=None
    )
    certificate_password: keyturn.Secret | None = keyturn.plugins.setting(
        "Certificate password", "What the private key is encrypted with.", default=None
    )
    scope: tuple[str, ...] | None = keyturn.plugins.setting(
        "Scope", "What the token is for.", default=None
    )
    per_minute: float | None = keyturn.plugins.setting(
        "Per minute", "Token requests a minute that the token endpoint allows.", default=None
    )
    burst: int | None = keyturn.plugins.setting(
        "Burst", "Token requests that it allows at once after a pause.", default=None
    )

    method: Literal["POST", "GET"] = keyturn.plugins.setting(
        "Method", "The token request's HTTP method.", default="POST"
    )
    body_format: Literal["form", "json", "query"] = keyturn.plugins.setting(
        "Body format", "How the parameters are sent.", default="form"
    )
    client_authentication: Literal[
        "client_secret_post",
        "client_secret_basic",
        "client_secret_basic_raw",
        "client_secret_headers",
        "private_key_jwt",
        "tls_client_auth",
    ] = keyturn.plugins.setting(
        "Client authentication", "How the client proves who it is.", default="client_secret_post"
    )
    client_id_name: str = _text(
        "Client ID name", "Its parameter or header; empty when not sent.", default="client_id"
    )
    client_secret_name: str = _text(
        "Client secret name",
        "Its parameter or header; empty when not sent.",
        default="client_secret",
    )
    grant_type: str = _text(
        "Grant type", "The grant; empty when none is sent.", default="client_credentials"
    )
    parameters: Mapping[str, str] = _texts("Parameters", "Further parameters of the token request.")
    token_headers: Mapping[str, str] = _texts(
        "Token headers", "Further headers of the token request."
    )
    scope_name: str = _text(
        "Scope name", "The scope's parameter; empty when it isn't sent as one.", default="scope"
    )
    scope_separator: str = _text(
        "Scope separator", "What stands between the scope's values.", default=" "
    )
    assertion_name: str = _text(
        "Assertion name", "The parameter of the signed JWT.", default="client_assertion"
    )
    assertion_algorithm: str = _text(
        "Assertion algorithm", "How the JWT is signed.", default="RS256"
    )
    assertion_key_header: str = _text(
        "Assertion key header", "The JWT's header that names the key.", default="kid"
    )
    assertion_audience: str = _text(
        "Assertion audience", "The JWT's `aud`; empty for the token endpoint's address.", default=""
    )
    assertion_claims: Mapping[str, str] = _texts("Assertion claims", "Further claims of the JWT.")
    assertion_lifetime: float = keyturn.plugins.setting(
        "Assertion lifetime", "Seconds for which the JWT is valid.", default=300.0
    )
    token_status: int = keyturn.plugins.setting(
        "Token status", "The HTTP status of a response with a token.", default=200
    )
    token_field: str = _text(
        "Token field",
        "The token's path in the response; empty for the whole body.",
        default="access_token",
    )
    token_type: str = _text(
        "Token type", "What `token_type` must say; empty when it doesn't matter.", default="Bearer"
    )
    lifetime_field: str = _text(
        "Lifetime field", "The lifetime's path in the response.", default="expires_in"
    )
    lifetime_format: Literal["seconds", "milliseconds", "epoch", "epoch_milliseconds", "date"] = (
        keyturn.plugins.setting("Lifetime format", "What it says.", default="seconds")
    )
    missing_lifetime: float | None = keyturn.plugins.setting(
        "Missing lifetime", "Seconds to assume where the response has none.", default=None
    )
    max_margin: float | None = keyturn.plugins.setting(
        "Largest margin",
        "Seconds before its end before which the server gives no new token.",
        default=None,
    )
    error_field: str = _text(
        "Error field", "The path of an error's code in a response.", default="error"
    )
    error_description_field: str = _text(
        "Error description field", "The path of the words about it.", default="error_description"
    )
    error_codes: Mapping[str, str] = _texts(
        "Error codes", "What the platform's own codes are in terms of OAuth."
    )
    api_url_field: str = _text(
        "API URL field", "The path of the API's address in the token's response.", default=""
    )
    api_domains: tuple[str, ...] | None = keyturn.plugins.setting(
        "API domains", "The domains below which that must lie.", default=None
    )
    authorization_header: str = _text(
        "Authorization header", "The header that carries the token.", default="Authorization"
    )
    authorization_scheme: str = _text(
        "Authorization scheme", "What stands before the token there.", default="Bearer"
    )
    api_headers: Mapping[str, str] = _texts("API headers", "Further headers of each API request.")
    revocation_url: str = _text("Revocation URL", "The revocation endpoint (RFC 7009).", default="")

    def problems(self) -> Iterator[str]:
        """Return what is wrong with the description, and with what it needs."""
        try:
            self.provider_from_data()
        except keyturn.errors.ConfigurationError as error:
            yield from map(str, error.problems)
        if (self.per_minute is None) != (self.burst is None):
            yield "per_minute: must be given together with burst"
        if self.client_authentication == "private_key_jwt" and self.private_key is None:
            yield "private_key: is required for private_key_jwt"
        if self.client_authentication == "tls_client_auth" and self.certificate is None:
            yield "certificate: is required for tls_client_auth"

    def provider_from_data(self) -> keyturn.plugins.Provider[Any]:
        """Return the provider that these settings describe.

        Raises:
            keyturn.errors.ConfigurationError: There are mistakes in the description.
        """
        given = {name: getattr(self, name) for name in _DATA}
        description = {name: value for name, value in given.items() if value is not None}
        if self.per_minute is not None and self.burst is not None:
            description["rate_limit"] = keyturn.plugins.RateLimit(self.per_minute, self.burst)
        return keyturn.plugins.provider_from_data(
            Generic.name, {**description, "token_url": "{token_url}"}, settings=GenericSettings
        )


_CREDENTIALS = frozenset(
    {
        "token_url",
        "api_url",
        "client_id",
        "client_secret",
        "username",
        "password",
        "private_key",
        "key_id",
        "certificate",
        "certificate_key",
        "certificate_password",
        "scope",
        "per_minute",
        "burst",
    }
)
_DATA = [field.name for field in attrs.fields(GenericSettings) if field.name not in _CREDENTIALS]


class Generic(keyturn.plugins.Provider[GenericSettings]):
    """A platform that nobody has written a provider for."""

    name = "generic"
    title = "Any platform"
    settings = GenericSettings
    token_url = "{token_url}"

    def for_settings(self, settings: GenericSettings) -> keyturn.plugins.Provider[Any]:
        """Return the provider that the settings describe."""
        return settings.provider_from_data()


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[GenericSettings]:
    """Return the provider `generic`."""
    return Generic()
