"""The settings that are taken for secrets where a provider is not imported."""

from __future__ import annotations

from keyturn._config.problems import COMMON_SECRETS
from keyturn._config.setting_values import schemas_of
from keyturn.plugins import (
    CertificateSettings,
    ClientSettings,
    ConfidentialSettings,
    KeySettings,
)


def test_the_common_secrets_are_those_of_the_common_settings() -> None:
    """A secret that is written out for all to read would be missed in another's connection."""
    schemas = schemas_of(ClientSettings, ConfidentialSettings, KeySettings, CertificateSettings)

    assert {name for name, each in schemas.items() if each.get("writeOnly")} == COMMON_SECRETS
