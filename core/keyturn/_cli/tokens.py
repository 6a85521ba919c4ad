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
    """Print a usable token."""
    with configuration(arguments).open(arguments.name) as connection:
        describe(connection, arguments)
        stale = _unusable_token(arguments, connection)
        if arguments.format == "credential-helper":
            _check_requested_uri(connection, sys.stdin.read(_MAX_INPUT))
        token = _token(arguments, connection, stale)
        print(FORMATS[arguments.format](connection, token), file=arguments.out, flush=True)


def explain(arguments: argparse.Namespace) -> None:
    """Print the redacted transcript of a token request."""
    with configuration(arguments).open(arguments.name) as connection:
        print(connection.explain(), end="", file=arguments.out)


def revoke(arguments: argparse.Namespace) -> None:
    """Revoke the current token at the provider, if one exists."""
    with configuration(arguments).open(arguments.name) as connection:
        describe(connection, arguments)
        found = current_token(connection)
        connection.revoke()
    print(
        "keyturn: revoked the token." if found else "keyturn: no token to revoke.", file=sys.stderr
    )


def forget(arguments: argparse.Namespace) -> None:
    """Discard the cached token and error response, and with `--rate-limits` the rate limits."""
    with configuration(arguments).open(arguments.name) as connection:
        describe(connection, arguments)
        connection.forget()
        if arguments.rate_limits:
            manager_of(connection).forget_rate_limits()
        check_store(connection)
    print("keyturn: discarded the token.", file=sys.stderr)


def _token(arguments: argparse.Namespace, connection: Connection, stale: Token | None) -> Token:
    if arguments.format != "exec-credential":
        return connection.token(stale=stale)
    # Imported here, because socket and hashlib are slow to import.
    from keyturn._cli.exec_plugin import token_for_kubectl

    return token_for_kubectl(connection, stale)


def _unusable_token(arguments: argparse.Namespace, connection: Connection) -> Token | None:
    """Return the token that must not be printed, or None."""
    if arguments.refused is None:
        return current_token(connection) if arguments.renew else None
    if arguments.renew or arguments.format == "credential-helper":
        raise errors.ConfigurationError(
            "--refused can't be combined with --renew or --format credential-helper."
        )
    refused = sys.stdin.read(_MAX_INPUT).strip()
    current = current_token(connection)
    has_spaces = current is not None and " " in current.access_token
    if not re.fullmatch(r"[\x20-\x7e]+" if has_spaces else r"[\x21-\x7e]+", refused):
        raise errors.ConfigurationError(
            "standard input must contain only the refused token, in visible ASCII characters.",
            connection=connection.name,
            hint="Pass the output of keyturn token, without a header's name or scheme.",
        )
    return Token(refused, token_type="", expires_at=0.0)


def _check_requested_uri(connection: Connection, request: str) -> None:
    """Check that a credential helper's request is for an address of the API.

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
            'standard input must contain a JSON object such as {"uri": "https://api.example/"}.',
            connection=connection.name,
        )
    RequestAuth(connection).authorize("GET", uri, {})
