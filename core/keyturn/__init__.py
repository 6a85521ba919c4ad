"""Turn OAuth 2 client credentials into a valid access token, requested only when it is needed."""

from __future__ import annotations

from keyturn._common.names import lazy_names

TYPE_CHECKING = False

if TYPE_CHECKING:
    from keyturn import errors, integrations, plugins, stores, testing
    from keyturn._config import load_connection
    from keyturn._connection import Connection
    from keyturn._connection.connect import connect
    from keyturn._http.policy import NetworkPolicy
    from keyturn._plugins.events import Event
    from keyturn._plugins.listing import ProviderInfo, providers
    from keyturn._plugins.loading import provider
    from keyturn._registry import Connections
    from keyturn._secret import Secret
    from keyturn._token import Token
    from keyturn._tokens.options import problems
    from keyturn._tokens.status import ConnectionStatus
    from keyturn.errors import Problem

__all__ = [
    "Connection",
    "ConnectionStatus",
    "Connections",
    "Event",
    "NetworkPolicy",
    "Problem",
    "ProviderInfo",
    "Secret",
    "Token",
    "connect",
    "errors",
    "integrations",
    "load_connection",
    "plugins",
    "problems",
    "provider",
    "providers",
    "stores",
    "testing",
]

# `import keyturn` is fast, because each name is imported at its first use.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Connection": "keyturn._connection",
        "ConnectionStatus": "keyturn._tokens.status",
        "Connections": "keyturn._registry",
        "Event": "keyturn._plugins.events",
        "NetworkPolicy": "keyturn._http.policy",
        "Problem": "keyturn.errors",
        "ProviderInfo": "keyturn._plugins.listing",
        "Secret": "keyturn._secret",
        "Token": "keyturn._token",
        "connect": "keyturn._connection.connect",
        "errors": "keyturn.errors",
        "integrations": "keyturn.integrations",
        "load_connection": "keyturn._config",
        "plugins": "keyturn.plugins",
        "problems": "keyturn._tokens.options",
        "provider": "keyturn._plugins.loading",
        "providers": "keyturn._plugins.listing",
        "stores": "keyturn.stores",
        "testing": "keyturn.testing",
    },
)
