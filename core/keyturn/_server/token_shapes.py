"""A token in the formats of libraries and tools."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._token import Token

Shape = dict[str, Any]


def plain(token: Token) -> Shape:
    """Return a token in the format of `keyturn token --format json`."""
    fields = ("access_token", "token_type", "expires_at", "scope")
    return {name: getattr(token, name) for name in fields}


def azure(token: Token, resource: str, client_id: str) -> Shape:
    """Return a token in the format of Azure App Service's identity endpoint.

    https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference

    Args:
        token: The token.
        resource: The requested resource.
        client_id: The name of the connection.
    """
    return {
        "access_token": token.access_token,
        "expires_on": str(math.floor(token.expires_at)),
        "resource": resource,
        "token_type": token.token_type,
        "client_id": client_id,
    }


def google(token: Token) -> Shape:
    """Return a token in the format of Google's metadata server.

    https://cloud.google.com/compute/docs/access/authenticate-workloads#applications
    """
    return {
        "access_token": token.access_token,
        "expires_in": max(0, math.floor(token.expires_at - time.time())),
        "token_type": token.token_type,
    }


def exec_credential(token: Token) -> Shape:
    """Return a token in kubectl's format (its page «client-go credential plugins»)."""
    status = {"token": token.access_token, "expirationTimestamp": _rfc3339(token)}
    version = "client.authentication.k8s.io/v1"
    return {"apiVersion": version, "kind": "ExecCredential", "status": status}


def credential_helper(token: Token, headers: Mapping[str, str]) -> Shape:
    """Return headers in Bazel's format (its proposal «Credential Helpers»).

    Args:
        token: The token.
        headers: The headers of an API request.
    """
    return {
        "headers": {name: [value] for name, value in headers.items()},
        "expires": _rfc3339(token),
    }


def _rfc3339(token: Token) -> str:
    # In whole seconds, rounded down.
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(token.expires_at))
