"""Settings of providers whose clients have a key or a certificate in place of a secret."""

from __future__ import annotations

from keyturn._providers.checks import private_key
from keyturn._providers.fields import pem, setting
from keyturn._providers.settings import Settings
from keyturn._secret import Secret


class KeySettings(Settings):
    """The settings of a provider whose clients authenticate with a private key (RFC 7523)."""

    client_id: str = setting("Client ID", "The client's public name.")
    private_key: Secret = setting(
        "Private key", "The client's private key as PEM or JWK.", check=private_key
    )
    key_id: str | None = setting(
        "Key ID",
        "The key's name (`kid`), if the client has several keys; by default that of a JWK.",
        default=None,
    )


class CertificateSettings(Settings):
    """The settings of a provider whose clients have a certificate (mutual TLS, RFC 8705)."""

    client_id: str = setting("Client ID", "The client's public name.")
    certificate: str = pem(
        "Certificate",
        "The path of a PEM file with the client's certificate and its chain, or the PEM itself.",
    )
    certificate_key: str | None = pem(
        "Certificate key",
        "The path of a PEM file with its private key, or the PEM itself; by default the key is in "
        "the certificate's file.",
        default=None,
    )
    certificate_password: Secret | None = setting(
        "Certificate password", "The password of the private key.", default=None
    )
