"""The commands that list providers, settings and connections."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.commands import DONE, Row, print_rows, report
from keyturn._cli.tokens import configuration, current_token, expires_in, token_state
from keyturn._plugins import loading as plugins

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from keyturn._config.configuration import Configuration
    from keyturn._connection import Connection

_PROVIDER_COLUMNS = ("name", "distribution", "version")
_CHECK_COLUMNS = ("connection", "provider", "result", "source", "expires_in")
_STATUS_COLUMNS = ("connection", "provider", "state", "expires_in", "store")


def providers(arguments: argparse.Namespace) -> int:
    """List the installed providers; none of them is imported."""
    rows = [
        {name: getattr(info, name) for name in _PROVIDER_COLUMNS} for info in plugins.providers()
    ]
    print_rows(_PROVIDER_COLUMNS, rows, arguments.format, arguments.out)
    return DONE


def schema(arguments: argparse.Namespace) -> int:
    """Print the JSON Schema of a provider's settings."""
    found = plugins.provider(arguments.provider).settings_schema()
    print(json.dumps(found, indent=2), file=arguments.out)
    return DONE


def check(arguments: argparse.Namespace) -> int:
    """Check the configuration, and get a token for one connection or for each."""
    configured = configuration(arguments)
    names = configured.check() if arguments.name is None else [arguments.name]
    if not names:
        raise errors.ConfigurationError(
            f"no connection is configured in {configured.path} or in the environment."
        )
    return _print_connections(arguments, configured, names, _CHECK_COLUMNS, _check)


def status(arguments: argparse.Namespace) -> int:
    """Show the state of each connection's token; no request is sent."""
    configured = configuration(arguments)
    names = configured.check()
    return _print_connections(arguments, configured, names, _STATUS_COLUMNS, token_state)


def _check(connection: Connection) -> Row:
    before, token = current_token(connection), connection.token()
    is_kept = before is not None and before.access_token == token.access_token
    source = "store" if is_kept else "token endpoint"
    return {"result": "ok", "source": source, "expires_in": expires_in(token)}


def _print_connections(
    arguments: argparse.Namespace,
    configured: Configuration,
    names: Sequence[str],
    columns: Sequence[str],
    describe: Callable[[Connection], Row],
) -> int:
    """Print a row for each connection and return the highest exit code.

    The third column has the class of a connection's error; the error goes to standard error.
    """
    rows, code = [], DONE
    for name in names:
        row: Row = dict.fromkeys(columns) | {"connection": name}
        try:
            with configured.open(name) as connection:
                row["provider"] = connection.provider.name
                row |= describe(connection)
        except errors.KeyturnError as error:
            code = max(code, report(error))
            row[columns[2]] = type(error).__name__
        rows.append(row)
    print_rows(columns, rows, arguments.format, arguments.out)
    return code
