"""The commands that list providers, settings and connections."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._cli.connections import configuration, current_token, expires_in, token_state
from keyturn._cli.exit_codes import DONE, exit_code
from keyturn._cli.output import Row, print_rows

if TYPE_CHECKING:
    import argparse

    from keyturn._config.configuration import Configuration

_PROVIDER_COLUMNS = ("name", "distribution", "version")
_CHECK_COLUMNS = ("connection", "provider", "result", "source", "expires_in")
_STATUS_COLUMNS = ("connection", "provider", "state", "expires_in", "store")


def providers(arguments: argparse.Namespace) -> int:
    """List the installed providers; none of them is imported."""
    from keyturn._plugins import loading as plugins

    rows = [
        {name: getattr(info, name) for name in _PROVIDER_COLUMNS} for info in plugins.providers()
    ]
    print_rows(_PROVIDER_COLUMNS, rows, arguments.format, arguments.out)
    return DONE


def schema(arguments: argparse.Namespace) -> int:
    """Print the JSON Schema of a provider's settings."""
    from keyturn._plugins import loading as plugins

    found = plugins.provider(arguments.provider).settings_schema()
    print(json.dumps(found, indent=2), file=arguments.out)
    return DONE


def check(arguments: argparse.Namespace) -> int:
    """Check the configuration, and get a token for one connection or for each."""
    configured = configuration(arguments)
    if arguments.name is None:
        configured.check()
        names = configured.names()
    else:
        names = [arguments.name]
    if not names:
        path = configured.file.path
        message = f"no connection is configured in {path} or in the environment."
        raise errors.ConfigurationError(message)
    checks = [_check(configured, name) for name in names]
    print_rows(_CHECK_COLUMNS, [row for row, _ in checks], arguments.format, arguments.out)
    return max(code for _, code in checks)


def status(arguments: argparse.Namespace) -> int:
    """Show the state of each connection's token; no request is sent."""
    configured = configuration(arguments)
    configured.check()
    statuses = [_status(configured, name) for name in configured.names()]
    print_rows(_STATUS_COLUMNS, [row for row, _ in statuses], arguments.format, arguments.out)
    return max((code for _, code in statuses), default=DONE)


def _check(configured: Configuration, name: str) -> tuple[Row, int]:
    """Return a connection's row, and its exit code; an error goes to standard error."""
    row: Row = dict.fromkeys(_CHECK_COLUMNS) | {"connection": name}
    try:
        with configured.open(name) as connection:
            row["provider"] = connection.provider.name
            before = current_token(connection)
            token = connection.token()
    except errors.KeyturnError as error:
        return row | {"result": _report(error)}, exit_code(error)
    kept = before is not None and before.access_token == token.access_token
    row |= {"result": "ok", "source": "store" if kept else "token endpoint"}
    return row | {"expires_in": expires_in(token)}, DONE


def _status(configured: Configuration, name: str) -> tuple[Row, int]:
    row: Row = dict.fromkeys(_STATUS_COLUMNS) | {"connection": name}
    try:
        with configured.open(name) as connection:
            row["provider"] = connection.provider.name
            return row | token_state(connection), DONE
    except errors.KeyturnError as error:
        return row | {"state": _report(error)}, exit_code(error)


def _report(error: errors.KeyturnError) -> str:
    print(f"keyturn: {error}", file=sys.stderr)
    return type(error).__name__
