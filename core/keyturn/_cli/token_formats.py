"""The formats in which `keyturn token` prints a token."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._connection import Connection
    from keyturn._token import Token


def _header(connection: Connection, _: Token) -> str:
    """Return the header with the token, for `curl -H @-`, which keeps it off the command line."""
    if connection.provider.authorization_query:
        raise errors.ConfigurationError(
            "the provider sends the token in the query of API requests, not in a header.",
            connection=connection.name,
            hint="Use keyturn request, or --format token.",
        )
    return ": ".join(next(iter(connection.headers().items())))


def _headers(connection: Connection, _: Token) -> str:
    """Return all headers, for `curl -H @-`."""
    return "\n".join(map(": ".join, connection.headers().items()))


def _json(_: Connection, token: Token) -> str:
    fields = ("access_token", "token_type", "expires_at", "scope")
    return json.dumps({name: getattr(token, name) for name in fields})


def _env(connection: Connection, token: Token) -> str:
    """Return assignments for a shell's `eval`."""
    import shlex

    values = {
        "KEYTURN_ACCESS_TOKEN": token.access_token,
        "KEYTURN_TOKEN_TYPE": token.token_type,
        "KEYTURN_EXPIRES_AT": str(int(token.expires_at)),
        "KEYTURN_API_URL": connection.api_url,
    }
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())


def _exec_credential(_: Connection, token: Token) -> str:
    """Return what kubectl expects (its page «client-go credential plugins»)."""
    status = {"token": token.access_token, "expirationTimestamp": _expiry(token)}
    version = "client.authentication.k8s.io/v1"
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})


def _credential_helper(connection: Connection, token: Token) -> str:
    """Return what Bazel expects (its proposal «Credential Helpers»)."""
    headers = {name: [value] for name, value in connection.headers().items()}
    return json.dumps({"headers": headers, "expires": _expiry(token)})


def _expiry(token: Token) -> str:
    """Return when a token expires, as in RFC 3339, in whole seconds, rounded down."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(token.expires_at))


FORMATS: dict[str, Callable[[Connection, Token], str]] = {
    "token": lambda _, token: token.access_token,
    "header": _header,
    "headers": _headers,
    "json": _json,
    "env": _env,
    "exec-credential": _exec_credential,
    "credential-helper": _credential_helper,
}
