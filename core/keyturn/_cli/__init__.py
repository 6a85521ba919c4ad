"""The command line `keyturn COMMAND …`, which imports only the module of the called command."""

from __future__ import annotations

import atexit
import gc
import os
import sys

# `typing` takes as long to import as Python takes to start.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130
# New objects before a garbage collection; Python's default is 700.
_GC_THRESHOLD = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments, without the program's name; by default those of this process.

    Returns:
        The exit code: 0 done, 2 usage or configuration, 3 credentials or scope refused, 4 rate
        limited, 5 endpoint or network, 130 interrupted, 1 any other failure.

    Raises:
        SystemExit: With code 2 for wrong usage, with 0 after `--help` and `--version`.
    """
    if argv is None:
        # Most commands end soon: garbage collection would take a tenth of their time.
        gc.set_threshold(_GC_THRESHOLD)
        atexit.register(gc.freeze)
    from keyturn._cli.commands import report, run

    try:
        try:
            return run(sys.argv[1:] if argv is None else argv)
        finally:  # also after --help
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the reader has closed the pipe
        _discard_output()
        return 1
    except Exception as error:  # noqa: BLE001 - a traceback could show values
        if isinstance(error, OSError):
            _discard_output()
        return report(error)


def _discard_output() -> None:
    """Prevent the interpreter's own flush at exit from failing again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
