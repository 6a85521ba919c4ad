"""Turn OAuth 2 client credentials into a valid access token, exactly when one is needed."""

from __future__ import annotations

import importlib

# `typing` takes 15 ms to import, half of all that `import keyturn` would cost.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from keyturn import errors, integrations, stores, testing
    from keyturn._provider import Provider
    from keyturn.budget import Budget
    from keyturn.computed import Computed
    from keyturn.config import load_connection
    from keyturn.connection import Connection
    from keyturn.description import described
    from keyturn.hooks import hookimpl
    from keyturn.opening import connect
    from keyturn.plugins import ProviderInfo, provider, providers
    from keyturn.request import TokenRequest
    from keyturn.response import Answer, OAuthError, is_code
    from keyturn.secret import Secret
    from keyturn.settings import (
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
    from keyturn.token import Token
    from keyturn.urls import DOMAIN_PATTERN, domain_problem, label_problem, url_problem

__all__ = [
    "DOMAIN_PATTERN",
    "Answer",
    "Budget",
    "CertificateSettings",
    "ClientSettings",
    "Computed",
    "ConfidentialSettings",
    "Connection",
    "KeySettings",
    "OAuthError",
    "Provider",
    "ProviderInfo",
    "Secret",
    "Settings",
    "Token",
    "TokenRequest",
    "choice",
    "connect",
    "described",
    "domain_problem",
    "errors",
    "hookimpl",
    "integrations",
    "is_code",
    "label",
    "label_problem",
    "load_connection",
    "provider",
    "providers",
    "setting",
    "stores",
    "testing",
    "url",
    "url_problem",
]

# `import keyturn` costs next to nothing: each name is imported when it is first used.
_HOMES = {
    "DOMAIN_PATTERN": "urls",
    "Answer": "response",
    "Budget": "budget",
    "CertificateSettings": "settings",
    "ClientSettings": "settings",
    "Computed": "computed",
    "ConfidentialSettings": "settings",
    "Connection": "connection",
    "KeySettings": "settings",
    "OAuthError": "response",
    "Provider": "_provider",
    "ProviderInfo": "plugins",
    "Secret": "secret",
    "Settings": "settings",
    "Token": "token",
    "TokenRequest": "request",
    "choice": "settings",
    "connect": "opening",
    "described": "description",
    "domain_problem": "urls",
    "hookimpl": "hooks",
    "is_code": "response",
    "label": "settings",
    "label_problem": "urls",
    "load_connection": "config",
    "provider": "plugins",
    "providers": "plugins",
    "setting": "settings",
    "url": "settings",
    "url_problem": "urls",
}
_MODULES = frozenset({"errors", "integrations", "stores", "testing"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"keyturn.{name}")
    if name not in _HOMES:
        message = f"module 'keyturn' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(f"keyturn.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
