"""What plugin authors import: providers, their settings, and the hooks."""

from __future__ import annotations

from keyturn import Event, Secret, Token
from keyturn._http.request import TokenRequest
from keyturn._http.response import OAuthError, Response, is_code
from keyturn._http.urls import domain_problem, label_problem, url_problem
from keyturn._http.values import DynamicValue
from keyturn._lazy import publish
from keyturn._plugins.hooks import hookimpl
from keyturn._providers.description_settings import DescriptionSettings
from keyturn._providers.from_data import provider_from_data, provider_from_file
from keyturn._providers.provider import Provider
from keyturn._providers.settings import (
    CertificateSettings,
    ClientSettings,
    ConfidentialSettings,
    KeySettings,
    Settings,
    choice,
    domain,
    label,
    setting,
    url,
)
from keyturn._rate_limit import RateLimit

__all__ = [
    "CertificateSettings",
    "ClientSettings",
    "ConfidentialSettings",
    "DescriptionSettings",
    "DynamicValue",
    "Event",
    "KeySettings",
    "OAuthError",
    "Provider",
    "RateLimit",
    "Response",
    "Secret",
    "Settings",
    "Token",
    "TokenRequest",
    "choice",
    "domain",
    "domain_problem",
    "hookimpl",
    "is_code",
    "label",
    "label_problem",
    "provider_from_data",
    "provider_from_file",
    "setting",
    "url",
    "url_problem",
]

publish(__name__, map(globals().__getitem__, __all__))
