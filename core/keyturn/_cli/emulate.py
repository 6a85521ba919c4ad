"""The command that runs the emulator."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING

from keyturn._cli.exit_codes import DONE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from keyturn.testing import Emulator

_HEADING = """\
# The emulator of the four providers; its made-up credentials are valid while it runs.
# keyturn reads secrets only from a file that no other user can open:
#   (umask 077; keyturn emulate >emulator.toml) & keyturn --config emulator.toml check
"""


def emulate(arguments: argparse.Namespace) -> int:
    """Run the emulator until it is interrupted or terminated, its keyturn.toml printed first."""
    from keyturn.testing import Emulator

    # Blocked before the emulator's threads start, so that only this thread gets the signals.
    signals = {signal.SIGINT, signal.SIGTERM}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        with Emulator(port=arguments.port) as emulator:
            print(_HEADING, *_tables(emulator), sep="\n", file=arguments.out, flush=True)
            print("keyturn: the emulator runs until it is interrupted (Ctrl-C).", file=sys.stderr)
            signal.sigwait(signals)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return DONE


def connection_table(name: str, provider: str, settings: Mapping[str, str | int]) -> str:
    """Return a connection as a table of keyturn.toml."""
    lines = [f"[connections.{name}]", f"provider = {json.dumps(provider)}"]
    lines += [f"{setting} = {json.dumps(value)}" for setting, value in settings.items()]
    return "\n".join([*lines, ""])


def _tables(emulator: Emulator) -> Iterator[str]:
    for provider in emulator.providers:
        yield f"# keyturn request {provider} GET {emulator.resource(provider)}"
        yield connection_table(provider, provider, emulator.settings(provider))
