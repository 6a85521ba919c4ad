"""The names for plugin authors: providers, their settings, and the hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn import Secret, Token
from keyturn._common.names import lazy_names, publish
from keyturn._http.request import TokenRequest
from keyturn._http.urls import domain_problem, label_problem, url_problem
from keyturn._http.values import DynamicValue
from keyturn._plugins.hooks import hookimpl
from keyturn._providers.checks import any_matches, between, each_matches, matches
from keyturn._providers.fields import choice, domain, file, label, setting, url
from keyturn._providers.provider import Provider
from keyturn._providers.rules import ABSENT, GIVEN, Rule
from keyturn._providers.settings import ClientSettings, ConfidentialSettings, Settings
from keyturn._rate_limit import RateLimit

if TYPE_CHECKING:
    from keyturn import Event
    from keyturn._http.credentials import ClientCertificate
    from keyturn._http.error_codes import is_code
    from keyturn._http.response import OAuthError, Response
    from keyturn._plugins.descriptions import provider_from_data, provider_from_file
    from keyturn._providers.description_settings import DescriptionSettings
    from keyturn._providers.discovery import Discovery
    from keyturn._providers.key_settings import CertificateSettings, KeySettings

__all__ = [
    "ABSENT",
    "GIVEN",
    "CertificateSettings",
    "ClientCertificate",
    "ClientSettings",
    "ConfidentialSettings",
    "DescriptionSettings",
    "Discovery",
    "DynamicValue",
    "Event",
    "KeySettings",
    "OAuthError",
    "Provider",
    "RateLimit",
    "Response",
    "Rule",
    "Secret",
    "Settings",
    "Token",
    "TokenRequest",
    "any_matches",
    "between",
    "choice",
    "domain",
    "domain_problem",
    "each_matches",
    "file",
    "hookimpl",
    "is_code",
    "label",
    "label_problem",
    "matches",
    "provider_from_data",
    "provider_from_file",
    "setting",
    "url",
    "url_problem",
]

# Imported when they are first used: a hit needs none of them, nor do most providers.
_LAZY = {
    "CertificateSettings": "keyturn._providers.key_settings",
    "ClientCertificate": "keyturn._http.credentials",
    "DescriptionSettings": "keyturn._providers.description_settings",
    "Discovery": "keyturn._providers.discovery",
    "Event": "keyturn._plugins.events",
    "KeySettings": "keyturn._providers.key_settings",
    "OAuthError": "keyturn._http.response",
    "Response": "keyturn._http.response",
    "is_code": "keyturn._http.error_codes",
    "provider_from_data": "keyturn._plugins.descriptions",
    "provider_from_file": "keyturn._plugins.descriptions",
}
__getattr__, __dir__ = lazy_names(__name__, _LAZY)
publish(__name__, [globals()[name] for name in __all__ if name not in _LAZY])
