"""What all commands share: their arguments, their log, and how a failure is reported."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
from typing import TYPE_CHECKING, TextIO

from keyturn import errors
from keyturn._cli.exit_codes import FAILED, exit_code
from keyturn._cli.parser import make_parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator, Sequence


def run(argv: Sequence[str]) -> int:
    """Run a command and return its exit code.

    Raises:
        SystemExit: With code 2 for wrong usage, with 0 after `--help` and `--version`.
    """
    arguments = make_parser().parse_args(argv)
    arguments.out = _results()
    module, _, function = arguments.command.partition(":")
    command: Callable[[argparse.Namespace], int] = getattr(
        importlib.import_module(f"keyturn._cli.{module}"), function
    )
    # Standard output is for results alone: what a plugin prints must not get into a `$(…)`.
    with _logging(verbose=arguments.verbose) as log, contextlib.redirect_stdout(sys.stderr):
        arguments.log = log
        try:
            return command(arguments)
        finally:
            _finish_workers()


def _finish_workers() -> None:
    """Let plugins handle the last events while their output goes to standard error."""
    from keyturn._tokens.single_flight import finish_workers

    finish_workers()


def _results() -> TextIO:
    """Return where a command prints its results.

    Raises:
        keyturn.errors.ConfigurationError: Standard output is closed.
    """
    out: TextIO | None = sys.stdout
    if out is None:
        # Printing there would print a token to standard error.
        message = "standard output is closed."
        raise errors.ConfigurationError(message, hint="Redirect it to /dev/null if need be.")
    return out


def report(error: Exception) -> int:
    """Report a command's failure, and return its exit code."""
    if isinstance(error, errors.KeyturnError):
        print(f"keyturn: {error}", file=sys.stderr)
        return exit_code(error)
    print(f"keyturn: {_defect(error)}", file=sys.stderr)
    return FAILED


def _defect(error: Exception) -> str:
    import os
    import traceback

    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(frame.filename)}, line {frame.lineno}"  # noqa: PTH119 - a name
    return f"unexpected {type(error).__name__} in {where}. This is a defect: please report it."


@contextlib.contextmanager
def _logging(*, verbose: bool) -> Generator[logging.Handler]:
    """Write keyturn's log to standard error: warnings, or everything."""
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(logging.Formatter("keyturn: %(levelname)s: %(message)s"))
    logger = logging.getLogger("keyturn")
    level = logger.level
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    logger.addHandler(log)
    try:
        yield log
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)
