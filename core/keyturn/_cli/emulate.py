"""The command that runs the emulator."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._config.directories import replace_file
from keyturn.testing import Emulator

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Mapping

# On Windows, a thread that waits without a limit gets no signal.
_SIGNAL_PAUSE = 1.0
_TITLE = (
    "# The emulator of the four providers; its generated credentials are valid while it runs.\n"
)
_HEADING = f"""\
{_TITLE}# keyturn reads secrets only from a file that no other user can open:
#   keyturn emulate --output emulator.toml & keyturn --config emulator.toml check
"""


def emulate(arguments: argparse.Namespace) -> None:
    """Run the emulator until it is interrupted or terminated; print or write its keyturn.toml."""
    output = Path(arguments.output) if arguments.output is not None else None
    if output:
        _check(output)
    emulator = Emulator(
        port=arguments.port,
        host=arguments.host,
        lifetime=arguments.lifetime,
        stable=arguments.stable,
    )
    with _ending() as ended, emulator:
        configuration = _configuration(emulator)
        if output:
            replace_file(output, configuration)
        else:
            print(configuration, file=arguments.out, flush=True)
        if not _is_loopback(arguments.host):
            print(_warning(arguments.host), file=sys.stderr)
        print("keyturn: the emulator runs until it is interrupted (Ctrl-C).", file=sys.stderr)
        while not ended.is_set():
            ended.wait(_SIGNAL_PAUSE)


@contextlib.contextmanager
def _ending() -> Generator[threading.Event]:
    """Yield an event that is set when the process is interrupted or terminated."""
    ended = threading.Event()

    def end(*_: object) -> None:
        ended.set()

    handlers = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)


def _configuration(emulator: Emulator) -> str:
    """Return a keyturn.toml with a connection to each provider."""
    tables = [
        f"# keyturn request {provider} GET {emulator.resource(provider)}\n"
        + connection_table(provider, provider, emulator.settings(provider))
        for provider in emulator.providers
    ]
    return "\n".join([_HEADING, *tables])


def connection_table(name: str, provider: str, settings: Mapping[str, str | int]) -> str:
    """Return a connection as a table of keyturn.toml."""
    values = {"provider": provider, **settings}.items()
    lines = [f"{setting} = {json.dumps(value)}\n" for setting, value in values]
    return "".join([f"[connections.{name}]\n", *lines])


def _check(output: Path) -> None:
    """Check that a file can be written, and that it replaces only an emulator's file.

    Raises:
        keyturn.errors.ConfigurationError: Its directory does not exist, or it is another file.
    """
    if not output.parent.is_dir():
        raise errors.ConfigurationError(
            f"--output {output} can't be written: the directory {output.parent} does not exist.",
            hint="Create the directory, or correct --output.",
        )
    if output.is_dir() or (output.exists() and not _is_own(output)):
        raise errors.ConfigurationError(
            f"--output {output} exists, but keyturn emulate did not write it.",
            hint="Choose another file, or remove this one.",
        )


def _is_own(output: Path) -> bool:
    title = _TITLE.encode()
    if not output.is_file():
        return False  # reading a pipe could block
    with output.open("rb") as file:
        return file.read(len(title)) in {b"", title}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _warning(host: str) -> str:
    return (
        f"keyturn: warning: the emulator listens on {host}, where other hosts can reach it without "
        "encryption. keyturn itself accepts http:// URLs only for loopback."
    )
