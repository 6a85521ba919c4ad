"""What plugin authors import: providers, their settings, and the hooks."""

from __future__ import annotations

from keyturn._http.request import TokenRequest
from keyturn._http.response import OAuthError, Response, is_code
from keyturn._http.urls import DOMAIN_PATTERN, domain_problem, label_problem, url_problem
from keyturn._http.values import DynamicValue
from keyturn._plugins.hooks import hookimpl
from keyturn._providers.from_data import provider_from_data
from keyturn._providers.provider import Provider
from keyturn._providers.settings import (
    CertificateSettings,
    ClientSettings,
    ConfidentialSettings,
    KeySettings,
    Settings,
    choice,
    label,
    setting,
    url,
)
from keyturn._rate_limit import RateLimit
from keyturn._secret import Secret
from keyturn._token import Token

__all__ = [
    "DOMAIN_PATTERN",
    "CertificateSettings",
    "ClientSettings",
    "ConfidentialSettings",
    "DynamicValue",
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
    "domain_problem",
    "hookimpl",
    "is_code",
    "label",
    "label_problem",
    "provider_from_data",
    "setting",
    "url",
    "url_problem",
]
