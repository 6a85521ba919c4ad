"""The command line: `keyturn COMMAND …`; each command is imported when it is called."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn.cli._exit_codes import exit_code
from keyturn.cli._parser import make_parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator, Sequence

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments, without the program's name; by default those of this process.

    Returns:
        The exit code: 0 done, 2 usage or configuration, 3 credentials or scope refused, 4 rate
        limited, 5 endpoint or network, 130 interrupted, 1 anything else.

    Raises:
        SystemExit: With code 2 for wrong usage, with 0 after `--help` and `--version`.
    """
    arguments = make_parser().parse_args(argv)
    with _logging(verbose=arguments.verbose):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    try:
        module, _, function = arguments.command.partition(":")
        command: Callable[[argparse.Namespace], int] = getattr(
            importlib.import_module(f"keyturn.cli.{module}"), function
        )
        code = command(arguments)
        sys.stdout.flush()
    except errors.KeyturnError as error:
        print(f"keyturn: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has enough. The interpreter's own flush at the end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - a traceback could show values
        print(f"keyturn: {_defect(error)}", file=sys.stderr)
        return 1
    return code


def _defect(error: Exception) -> str:
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}, line {place.lineno}"  # noqa: PTH119 - a name
    return f"unexpected {type(error).__name__} in {where}. This is a defect: please report it."


class _WithoutTraceback(logging.Formatter):
    """Formats a record as one line; what was raised is for `--verbose`."""

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        del ei
        return ""


@contextlib.contextmanager
def _logging(*, verbose: bool) -> Generator[None]:
    """Write keyturn's log to standard error: warnings, or everything."""
    line = "keyturn: %(levelname)s: %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(line) if verbose else _WithoutTraceback(line))
    logger = logging.getLogger("keyturn")
    level = logger.level
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
