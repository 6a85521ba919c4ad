"""Functions that all commands share: arguments, log, tables, exit codes, and error reports."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
from typing import TYPE_CHECKING, Final, TextIO

from keyturn import errors
from keyturn._cli.parser import make_parser
from keyturn._cli.variables import warn_of_misspelt
from keyturn._common.names import escaped
from keyturn._common.system_errors import advice, system_failure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator, Mapping, Sequence

    from keyturn._config.configuration import Configuration
    from keyturn._connection import Connection
    from keyturn._token import Token

Row = dict[str, str | int | None]

_logger = logging.getLogger("keyturn.cli")
_LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
# Seconds up to which a time is shown in a unit, and the unit's seconds.
_UNITS: Final = ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"))
DONE: Final = 0
FAILED: Final = 1
_CODES: dict[type[errors.KeyturnError], int] = {
    errors.ConfigurationError: 2,
    errors.ForeignOrigin: 2,
    errors.TokenRequestRefused: 3,
    errors.RateLimited: 4,
    errors.EndpointUnavailable: 5,
    errors.InvalidTokenResponse: 5,
}


def run(argv: Sequence[str]) -> int:
    """Run a command and return its exit code.

    Raises:
        keyturn.errors.ConfigurationError: Standard output is closed.
        SystemExit: With code 2 for wrong usage, with 0 after `--help` and `--version`.
    """
    arguments = make_parser().parse_args(argv)
    if sys.stdout is None:
        # `print` would then print a token to standard error.
        raise errors.ConfigurationError(
            "standard output is closed.", hint="Redirect it to /dev/null if you do not need it."
        )
    arguments.out = sys.stdout
    module, _, function = arguments.command.partition(":")
    command: Callable[[argparse.Namespace], int | None] = getattr(
        importlib.import_module(f"keyturn._cli.{module}"), function
    )
    # Standard output is for results only: a plugin's output must not reach a `$(…)`.
    with _logging(arguments.verbose) as log, contextlib.redirect_stdout(sys.stderr):
        arguments.log = log
        warn_of_misspelt()
        try:
            return command(arguments) or DONE
        finally:
            from keyturn._tokens.single_flight import finish_workers

            # Plugins handle the last events while their output goes to standard error.
            finish_workers()


def configuration(arguments: argparse.Namespace) -> Configuration:
    """Return the configuration that `--config` or the environment names."""
    from keyturn import _config

    configured = _config.read(arguments.config)
    _logger.info("connections are configured in %s", configured.origin)
    return configured


def current_token(connection: Connection) -> Token | None:
    """Return the usable token of the connection or its store, without a request."""
    from keyturn._connection import manager_of
    from keyturn._tokens.snapshot import EMPTY

    snapshot = manager_of(connection).peek()
    return None if snapshot is EMPTY else snapshot.token


def describe(connection: Connection, arguments: argparse.Namespace) -> None:
    """Log which provider, store and token a command uses, with `--verbose`."""
    if not arguments.verbose:
        return
    import time

    from keyturn._connection import manager_of
    from keyturn.stores._resilient import place

    found = current_token(connection)
    held = f"expires {in_words(found.expires_at - time.time())}" if found else "is not usable"
    _logger.info(
        "%s: provider %s, token store %s; the cached token %s",
        connection.name,
        connection.provider.name,
        place(manager_of(connection).store),
        held,
    )


def check_store(connection: Connection) -> None:
    """Check that the store has not failed.

    Raises:
        keyturn.errors.KeyturnError: It failed.
    """
    from keyturn._connection import manager_of

    problem = manager_of(connection).acquisition.store.problem()
    if problem:
        raise errors.KeyturnError(
            f"{problem}.", connection=connection.name, hint="Check store in the configuration."
        )


def in_words(seconds: float) -> str:
    """Return a duration from now in words, such as "in 52 min"."""
    for most, size, unit in _UNITS:
        if seconds < most:
            return f"in {round(seconds / size)} {unit}"
    return f"in {round(seconds / 86_400)} d"


def report(error: Exception) -> int:
    """Report a command's failure, and return its exit code."""
    if isinstance(error, errors.KeyturnError):
        from keyturn._cli.about import error_page

        _say(str(error))
        _say(f"See {error_page(error)}")
        return exit_code(error)
    if problem := system_failure(error):
        # Without a file name, it is the output: keyturn's own files and connections report
        # themselves.
        name = getattr(error, "filename", None)
        _say(f"{escaped(str(name)) if name else 'the output'}: {problem}. {advice(error)}")
        return FAILED
    import os
    import traceback

    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = escaped(f"{os.path.basename(frame.filename)}, line {frame.lineno}")  # noqa: PTH119 - a name
    _say(f"unexpected {type(error).__name__} in {where}. This is a defect: please report it.")
    return FAILED


def _say(message: str) -> None:
    # Standard error may be closed, or full; `print` would write to standard output instead.
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"keyturn: {message}", file=sys.stderr)


def exit_code(error: errors.KeyturnError) -> int:
    """Return the exit code for an error, from 1 to 5."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), FAILED)


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, str | int | None]],
    form: str,
    out: TextIO,
) -> None:
    """Print rows as a table with a heading, or as a JSON list of objects."""
    if form == "json":
        import json

        print(json.dumps(rows, indent=2), file=out)
        return
    lines = [list(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip(), file=out)


def _cell(value: str | int | None) -> str:
    return escaped("-" if value is None else str(value))


@contextlib.contextmanager
def _logging(verbosity: int) -> Generator[logging.Handler]:
    """Write keyturn's log to standard error: WARNING; with `-v` INFO; with `-vv` DEBUG."""
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(logging.Formatter("keyturn: %(levelname)s: %(message)s"))
    logger = logging.getLogger("keyturn")
    level = logger.level
    logger.setLevel(_LEVELS[min(verbosity, 2)])
    logger.addHandler(log)
    try:
        yield log
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)
