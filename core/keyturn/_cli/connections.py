"""The connections that the arguments name, and what is known of their tokens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._connection import manager_of
from keyturn._http.urls import origin
from keyturn._tokens.snapshot import EMPTY

if TYPE_CHECKING:
    import argparse

    from keyturn._cli.output import Row
    from keyturn._config.configuration import Configuration
    from keyturn._connection import Connection
    from keyturn._token import Token


def configuration(arguments: argparse.Namespace) -> Configuration:
    """Return the configuration that `--config` or the environment names."""
    from keyturn import _config

    return _config.read(arguments.config)


def open_connection(arguments: argparse.Namespace) -> Connection:
    """Return the connection that the argument NAME names."""
    return configuration(arguments).open(arguments.name)


def current_token(connection: Connection) -> Token | None:
    """Return the usable token that the connection or its store has; no request is sent."""
    snapshot = manager_of(connection).peek()
    return None if snapshot is EMPTY else snapshot.token


def token_state(connection: Connection) -> Row:
    """Return the state of a connection's token, or of an error response that is cached."""
    manager = manager_of(connection)
    snapshot, store = manager.peek(), type(manager.store).__name__
    if snapshot is not EMPTY:
        state = "fresh" if manager.now() < snapshot.fresh_until else "stale"
        return {"state": state, "expires_in": expires_in(snapshot.token), "store": store}
    cached = manager.refused()
    return {"state": f"refused: {cached.error}" if cached else "none", "store": store}


def expires_in(token: Token) -> int:
    """Return the seconds until a token expires."""
    return round(token.expires_at - time.time())


def require_own_origin(connection: Connection, url: str) -> None:
    """Reject an address that does not belong to the connection's API.

    Raises:
        keyturn.errors.ForeignOrigin: The token is not for that address.
    """
    own = origin(connection.api_url)
    try:
        foreign = origin(url) != own
    except ValueError:
        foreign = True
    if foreign:
        raise errors.ForeignOrigin(
            f"the token was not attached: the address is not at the API's origin, {own}.",
            connection=connection.name,
            hint="Check the address, or set api_url.",
        )
