"""The commands about one connection's token."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import sys
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.exit_codes import DONE
from keyturn._cli.origins import require_own_origin
from keyturn._cli.output import connection as open_connection

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from keyturn._connection import Connection
    from keyturn._token import Token

_MAX_QUESTION = 65_536
_JSON_FIELDS = ("access_token", "token_type", "expires_at", "scope")


def token(arguments: argparse.Namespace) -> int:
    """Print a token that may be used now."""
    write = _FORMATS[arguments.format]
    with open_connection(arguments) as connection:
        if arguments.format == "credential-helper":
            _require_own_origin(connection, sys.stdin.read(_MAX_QUESTION))
        stale = connection.current() if arguments.renew else None
        print(write(connection, connection.token(stale=stale)), file=arguments.out, flush=True)
    return DONE


def explain(arguments: argparse.Namespace) -> int:
    """Print the redacted transcript of how a token is obtained."""
    with open_connection(arguments) as connection:
        print(connection.explain(), end="", file=arguments.out)
    return DONE


def revoke(arguments: argparse.Namespace) -> int:
    """Revoke the token at the provider, if there is one."""
    with open_connection(arguments) as connection:
        held = connection.current()
        connection.revoke()
    print("revoked." if held else "there is no token to revoke.", file=sys.stderr)
    return DONE


def forget(arguments: argparse.Namespace) -> int:
    """Forget the token on this side, and a remembered refusal."""
    with open_connection(arguments) as connection:
        connection.forget()
    print("forgotten.", file=sys.stderr)
    return DONE


def _bare(connection: Connection, token: Token) -> str:
    del connection
    return token.access_token


def _header(connection: Connection, token: Token) -> str:
    """Return the header for `curl -H @-`, which keeps the token off the command line."""
    name, value = connection.header_items(token)[0]
    return f"{name}: {value}"


def _json(connection: Connection, token: Token) -> str:
    del connection
    return json.dumps({name: getattr(token, name) for name in _JSON_FIELDS})


def _env(connection: Connection, token: Token) -> str:
    """Return assignments for a shell's `eval`."""
    values = {
        "KEYTURN_ACCESS_TOKEN": token.access_token,
        "KEYTURN_TOKEN_TYPE": token.token_type,
        "KEYTURN_EXPIRES_AT": str(int(token.expires_at)),
        "KEYTURN_API_URL": connection.api_url,
    }
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())


def _exec_credential(connection: Connection, token: Token) -> str:
    """Return what kubectl expects (its page «client-go credential plugins»)."""
    del connection
    status = {"token": token.access_token, "expirationTimestamp": _timestamp(token)}
    return json.dumps(
        {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": status,
        }
    )


def _credential_helper(connection: Connection, token: Token) -> str:
    """Return what Bazel expects (its proposal «Credential Helpers»)."""
    headers = {name: [value] for name, value in connection.headers_for(token).items()}
    return json.dumps({"headers": headers, "expires": _timestamp(token)})


def _timestamp(token: Token) -> str:
    """Return a token's end as RFC 3339 has it, in whole seconds, rounded down."""
    end = dt.datetime.fromtimestamp(int(token.expires_at), dt.UTC)
    return end.strftime("%Y-%m-%dT%H:%M:%SZ")


def _require_own_origin(connection: Connection, question: str) -> None:
    """Refuse a credential helper's question about an address that is not the API's.

    Raises:
        keyturn.errors.ConfigurationError: It is not `{"uri": "…"}`.
        keyturn.errors.ForeignOrigin: The token is not for that address.
    """
    try:
        uri = json.loads(question)["uri"]
    except (ValueError, LookupError, TypeError, RecursionError):
        uri = None
    if not isinstance(uri, str):
        message = 'standard input must hold a JSON object such as {"uri": "https://api.example/"}.'
        raise errors.ConfigurationError(message, connection=connection.name)
    require_own_origin(connection, uri)


_FORMATS: dict[str, Callable[[Connection, Token], str]] = {
    "token": _bare,
    "header": _header,
    "json": _json,
    "env": _env,
    "exec-credential": _exec_credential,
    "credential-helper": _credential_helper,
}
