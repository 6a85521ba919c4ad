"""The settings that count as secrets if the provider is not imported."""

from __future__ import annotations

from keyturn._config.problems import COMMON_SECRETS
from keyturn._config.setting_values import schemas_of
from keyturn.plugins import (
    CertificateSettings,
    ClientSettings,
    ConfidentialSettings,
    KeySettings,
)


def test_common_secrets_match_the_common_settings() -> None:
    """A readable secret in a connection that is not loaded would not be reported."""
    schemas = schemas_of(ClientSettings, ConfidentialSettings, KeySettings, CertificateSettings)

    assert {name for name, each in schemas.items() if each.get("writeOnly")} == COMMON_SECRETS
