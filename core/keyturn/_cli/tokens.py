"""The commands that use one connection's token."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.commands import check_store, configuration, current_token, describe
from keyturn._cli.token_formats import FORMATS
from keyturn._connection import manager_of
from keyturn._token import Token

if TYPE_CHECKING:
    import argparse

    from keyturn._connection import Connection

_MAX_INPUT = 65_536


def token(arguments: argparse.Namespace) -> None:
    """Print a token that can be used now."""
    with configuration(arguments).open(arguments.name) as connection:
        describe(connection, arguments)
        stale = _unusable_token(arguments, connection)
        if arguments.format == "credential-helper":
            _check_requested_uri(connection, sys.stdin.read(_MAX_INPUT))
        token = _token(arguments, connection, stale)
        print(FORMATS[arguments.format](connection, token), file=arguments.out, flush=True)


def explain(arguments: argparse.Namespace) -> None:
    """Print the redacted transcript of how a token is acquired."""
    with configuration(arguments).open(arguments.name) as connection:
        print(connection.explain(), end="", file=arguments.out)


def revoke(arguments: argparse.Namespace) -> None:
    """Revoke the token at the provider, if there is one."""
    with configuration(arguments).open(arguments.name) as connection:
        describe(connection, arguments)
        found = current_token(connection)
        connection.revoke()
    print("revoked." if found else "there is no token to revoke.", file=sys.stderr)


def forget(arguments: argparse.Namespace) -> None:
    """Forget the token on this side, and a cached error response; the rate limits if wanted."""
    with configuration(arguments).open(arguments.name) as connection:
        describe(connection, arguments)
        connection.forget()
        if arguments.rate_limits:
            manager_of(connection).forget_rate_limits()
        check_store(connection)
    print("forgotten.", file=sys.stderr)


def _token(arguments: argparse.Namespace, connection: Connection, stale: Token | None) -> Token:
    if arguments.format != "exec-credential":
        return connection.token(stale=stale)
    # socket and hashlib are imported when they are needed.
    from keyturn._cli.exec_plugin import token_for_kubectl

    return token_for_kubectl(connection, stale)


def _unusable_token(arguments: argparse.Namespace, connection: Connection) -> Token | None:
    """Return the token that must not be printed, if there is one."""
    if arguments.refused is None:
        return current_token(connection) if arguments.renew else None
    if arguments.renew or arguments.format == "credential-helper":
        raise errors.ConfigurationError(
            "--refused goes neither with --renew nor with --format credential-helper."
        )
    refused = sys.stdin.read(_MAX_INPUT).strip()
    current = current_token(connection)
    has_spaces = current is not None and " " in current.access_token
    if not re.fullmatch(r"[\x20-\x7e]+" if has_spaces else r"[\x21-\x7e]+", refused):
        raise errors.ConfigurationError(
            "standard input must hold the refused token: visible ASCII characters alone.",
            connection=connection.name,
            hint="Pass what keyturn token has printed, without a header's name or scheme.",
        )
    return Token(refused, token_type="", expires_at=0.0)


def _check_requested_uri(connection: Connection, request: str) -> None:
    """Reject a credential helper's request for an address that is not the API's.

    Raises:
        keyturn.errors.ConfigurationError: It is not `{"uri": "…"}`.
        keyturn.errors.ForeignOrigin: The token is not for that address.
    """
    from keyturn.integrations import RequestAuth

    try:
        uri = json.loads(request)["uri"]
    except (ValueError, LookupError, TypeError, RecursionError):
        uri = None
    if not isinstance(uri, str):
        raise errors.ConfigurationError(
            'standard input must hold a JSON object such as {"uri": "https://api.example/"}.',
            connection=connection.name,
        )
    RequestAuth(connection).authorize("GET", uri, {})
