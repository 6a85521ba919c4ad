"""The formats in which `keyturn token` prints a token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn._connection import Connection
    from keyturn._token import Token


def _header(connection: Connection, _: Token) -> str:
    """Return the header with the token, for `curl -H @-`, which keeps it out of the arguments."""
    return ": ".join(next(iter(_headers_of(connection).items())))


def _headers(connection: Connection, _: Token) -> str:
    """Return all headers, for `curl -H @-`."""
    return "\n".join(map(": ".join, _headers_of(connection).items()))


def _headers_of(connection: Connection) -> Mapping[str, str]:
    """Return all headers of an API request, the token's first.

    Raises:
        keyturn.errors.ConfigurationError: The token is not in a header.
    """
    if connection.provider.authorization_query:
        raise errors.ConfigurationError(
            "the provider sends the token in the query of API requests, not in a header.",
            connection=connection.name,
            hint="Use keyturn request, or --format token.",
        )
    return connection.headers()


def _json(_: Connection, token: Token) -> str:
    from keyturn._server.token_shapes import plain

    return json.dumps(plain(token))


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
    from keyturn._server.token_shapes import exec_credential

    return json.dumps(exec_credential(token))


def _credential_helper(connection: Connection, token: Token) -> str:
    from keyturn._server.token_shapes import credential_helper

    return json.dumps(credential_helper(token, _headers_of(connection)))


FORMATS: dict[str, Callable[[Connection, Token], str]] = {
    "token": lambda _, token: token.access_token,
    "header": _header,
    "headers": _headers,
    "json": _json,
    "env": _env,
    "exec-credential": _exec_credential,
    "credential-helper": _credential_helper,
}
