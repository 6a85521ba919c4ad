"""The commands about one connection's token."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.connections import current_token, open_connection, require_own_origin
from keyturn._cli.exit_codes import DONE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from keyturn._connection import Connection
    from keyturn._token import Token

_MAX_INPUT = 65_536


def token(arguments: argparse.Namespace) -> int:
    """Print a token that can be used now."""
    write = _FORMATS[arguments.format]
    with open_connection(arguments) as connection:
        if arguments.format == "credential-helper":
            _check_requested_uri(connection, sys.stdin.read(_MAX_INPUT))
        stale = current_token(connection) if arguments.renew else None
        print(write(connection, connection.token(stale=stale)), file=arguments.out, flush=True)
    return DONE


def explain(arguments: argparse.Namespace) -> int:
    """Print the redacted transcript of how a token is acquired."""
    with open_connection(arguments) as connection:
        print(connection.explain(), end="", file=arguments.out)
    return DONE


def revoke(arguments: argparse.Namespace) -> int:
    """Revoke the token at the provider, if there is one."""
    with open_connection(arguments) as connection:
        found = current_token(connection)
        connection.revoke()
    print("revoked." if found else "there is no token to revoke.", file=sys.stderr)
    return DONE


def forget(arguments: argparse.Namespace) -> int:
    """Forget the token on this side, and a cached error response."""
    with open_connection(arguments) as connection:
        connection.forget()
    print("forgotten.", file=sys.stderr)
    return DONE


def _token(connection: Connection, token: Token) -> str:
    del connection
    return token.access_token


def _header(connection: Connection, token: Token) -> str:
    """Return the header for `curl -H @-`, which keeps the token off the command line."""
    del token
    name, value = next(iter(connection.headers().items()))
    return f"{name}: {value}"


def _json(connection: Connection, token: Token) -> str:
    import json

    del connection
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


def _exec_credential(connection: Connection, token: Token) -> str:
    """Return what kubectl expects (its page «client-go credential plugins»)."""
    import json

    del connection
    status = {"token": token.access_token, "expirationTimestamp": _timestamp(token)}
    kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    return json.dumps(kind | {"status": status})


def _credential_helper(connection: Connection, token: Token) -> str:
    """Return what Bazel expects (its proposal «Credential Helpers»)."""
    import json

    headers = {name: [value] for name, value in connection.headers().items()}
    return json.dumps({"headers": headers, "expires": _timestamp(token)})


def _timestamp(token: Token) -> str:
    """Return a token's expiry as RFC 3339 has it, in whole seconds, rounded down."""
    import datetime as dt

    expiry = dt.datetime.fromtimestamp(int(token.expires_at), dt.UTC)
    return expiry.strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_requested_uri(connection: Connection, request: str) -> None:
    """Reject a credential helper's request for an address that is not the API's.

    Raises:
        keyturn.errors.ConfigurationError: It is not `{"uri": "…"}`.
        keyturn.errors.ForeignOrigin: The token is not for that address.
    """
    import json

    try:
        uri = json.loads(request)["uri"]
    except (ValueError, LookupError, TypeError, RecursionError):
        uri = None
    if not isinstance(uri, str):
        message = 'standard input must hold a JSON object such as {"uri": "https://api.example/"}.'
        raise errors.ConfigurationError(message, connection=connection.name)
    require_own_origin(connection, uri)


_FORMATS: dict[str, Callable[[Connection, Token], str]] = {
    "token": _token,
    "header": _header,
    "json": _json,
    "env": _env,
    "exec-credential": _exec_credential,
    "credential-helper": _credential_helper,
}
