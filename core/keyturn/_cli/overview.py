"""The commands that look at all connections: `check` and `status`."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Final

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

_THREADS: Final = 16


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
    """Show the state of each connection's token; no request is sent."""
    configured = configuration(arguments)
    columns = ("state", "expires_in", "store")
    return _print_connections(arguments, configured, configured.check(), columns, _token_state)


def _print_connections(
    arguments: argparse.Namespace,
    configured: Configuration,
    names: Sequence[str],
    columns: Sequence[str],
    describe: Describe,
) -> int:
    """Print a row for each connection and return the highest exit code.

    The first of the columns has the class of a connection's error, which goes to standard error.
    """
    empty = dict.fromkeys(columns)

    def described(name: str) -> Described:
        row: Row = {"connection": name, "provider": None, **empty, "message": None, "hint": None}
        try:
            with configured.open(name) as connection:
                row["provider"] = connection.provider.name
                return row | describe(connection), None
        except errors.KeyturnError as error:
            problems = getattr(error, "problems", ())
            row["message"] = " ".join([error.message, *map(str, problems)])
            row |= {columns[0]: type(error).__name__, "hint": error.hint or None}
            return row, error

    found = _each(names, described, "connections checked" if describe is _checked else "")
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


def _each(names: Sequence[str], work: Callable[[str], Described], progress: str) -> list[Described]:
    """Return what work returns for each name, in their order, several at a time.

    Args:
        names: The connections.
        work: What is done with one.
        progress: What is counted on a terminal; empty for no progress.
    """
    # One iterator for all threads: each name goes to one of them.
    waiting = iter(names)
    found: dict[str, Described] = {}
    failures: list[Exception] = []

    def run() -> None:
        for name in waiting:
            try:
                found[name] = work(name)
            except Exception as error:  # noqa: BLE001 - a defect, raised below
                failures.append(error)
            if progress and sys.stderr is not None and sys.stderr.isatty():
                end = "\r" if len(found) < len(names) else "\r\x1b[K"
                print(f"{len(found)} of {len(names)} {progress}", end=end, file=sys.stderr)

    threads = [threading.Thread(target=run, daemon=True) for _ in names[1:_THREADS]]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except RuntimeError:  # no more threads: this one does the rest
        pass
    run()
    for thread in started:
        thread.join()
    if failures:
        raise failures[0]
    return [found[name] for name in names]


def _checked(connection: Connection) -> Row:
    """Return what getting a token from a connection results in."""
    before, token = current_token(connection), connection.token()
    check_store(connection)
    is_kept = before is not None and before.access_token == token.access_token
    source = "store" if is_kept else "token endpoint"
    return {"result": "ok", "source": source, "expires_in": _expires_in(token)}


def _token_state(connection: Connection) -> Row:
    """Return the state of a connection's token, or of an error response that is cached."""
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
