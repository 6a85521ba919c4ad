"""The commands for all connections: `check` and `status`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.commands import (
    DONE,
    Row,
    check_store,
    configuration,
    current_token,
    exit_code,
    in_words,
    print_rows,
    report,
)
from keyturn._cli.parallel import for_each
from keyturn._connection import manager_of
from keyturn._tokens.snapshot import EMPTY

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from keyturn._config.configuration import Configuration
    from keyturn._connection import Connection
    from keyturn._token import Token

    Describe = Callable[[Connection], Row]
    Described = tuple[Row, errors.KeyturnError | None]


def check(arguments: argparse.Namespace) -> int:
    """Check the configuration, and get a token for one connection or for each."""
    configured = configuration(arguments)
    names = configured.check() if arguments.name is None else [arguments.name]
    if not names:
        raise errors.ConfigurationError(
            f"no connection is configured in {configured.origin}.",
            hint="Run keyturn connections add.",
        )
    columns = ("result", "source", "expires_in")
    return _print_connections(arguments, configured, names, columns, _checked)


def status(arguments: argparse.Namespace) -> int:
    """Show the state of each connection's token, without a request."""
    configured = configuration(arguments)
    columns = ("state", "expires_in", "store")
    return _print_connections(arguments, configured, configured.names(), columns, _token_state)


def _print_connections(
    arguments: argparse.Namespace,
    configured: Configuration,
    names: Sequence[str],
    columns: Sequence[str],
    describe: Describe,
) -> int:
    """Print a row for each connection and return the highest exit code.

    The first column contains the class of a connection's error. The message goes to standard error.
    """
    empty = dict.fromkeys(columns)

    def described(name: str) -> Described:
        row: Row = {"connection": name, "provider": None, **empty, "message": None, "hint": None}
        try:
            with configured.open(name, reports_others=False) as connection:
                row["provider"] = connection.provider.name
                return row | describe(connection), None
        except errors.KeyturnError as error:
            problems = getattr(error, "problems", ())
            row["message"] = " ".join([error.message, *map(str, problems)])
            row |= {columns[0]: type(error).__name__, "hint": error.hint or None}
            return row, error

    found = for_each(names, described, "connections checked" if describe is _checked else "")
    failures = [error for _, error in found if error]
    for error in failures:
        report(error)
    rows = [row for row, _ in found]
    _print(("connection", "provider", *columns), rows, arguments)
    return max(map(exit_code, failures), default=DONE)


def _print(columns: Sequence[str], rows: list[Row], arguments: argparse.Namespace) -> None:
    if arguments.format == "table":
        for row in rows:
            seconds = row["expires_in"]
            row["expires"] = in_words(seconds) if isinstance(seconds, int) else None
        columns = ["expires" if column == "expires_in" else column for column in columns]
    print_rows(columns, rows, arguments.format, arguments.out)


def _checked(connection: Connection) -> Row:
    """Return the row of a connection after getting a token from it."""
    before, token = current_token(connection), connection.token()
    check_store(connection)
    is_kept = before is not None and before.access_token == token.access_token
    source = "store" if is_kept else "token endpoint"
    return {"result": "ok", "source": source, "expires_in": _expires_in(token)}


def _token_state(connection: Connection) -> Row:
    """Return the state of a connection's token, or its cached error response."""
    manager = manager_of(connection)
    snapshot, store = manager.peek(), type(manager.store).__name__
    if snapshot is not EMPTY:
        state = "fresh" if manager.now() < snapshot.fresh_until else "stale"
        return {"state": state, "expires_in": _expires_in(snapshot.token), "store": store}
    own = manager.acquisition
    cached = own.refused(own.latest_request())
    return {"state": f"refused: {cached.error}" if cached else "none", "store": store}


def _expires_in(token: Token) -> int:
    """Return the seconds until a token expires."""
    return round(token.expires_at - time.time())
