"""The command that runs the agent."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn import errors

if TYPE_CHECKING:
    import argparse

    from keyturn._config.configuration import Configuration
    from keyturn._server.sockets import Listener
    from keyturn._server.token_file import TokenFile

_NEEDED = ("jinja2", "prometheus_client", "starlette", "uvicorn")


def serve(arguments: argparse.Namespace) -> None:
    """Serve the configured connections until the process is interrupted or terminated."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise errors.ConfigurationError(
            f"serve needs packages that are not installed: {', '.join(missing)}.",
            hint="Run pip install 'keyturn[serve]'.",
        )
    from keyturn import _config
    from keyturn._server.agent import Agent
    from keyturn._server.secret import session_secret
    from keyturn._server.sockets import listening

    configured = _config.read(arguments.config)
    _check(configured)
    files = _token_files(arguments.token_file, configured)
    with listening(arguments.port, _path(arguments.socket)) as listener:
        secret = None if listener.is_private else session_secret(_path(arguments.secret_file))
        if secret and secret.is_new and "JOURNAL_STREAM" in os.environ:
            raise errors.ConfigurationError(
                "no session secret is set, and a new one would be printed to the journal.",
                hint="Set KEYTURN_SERVE_SECRET or --secret-file, or use --socket.",
            )
        agent = Agent(configured, listener, secret.value if secret else None, files)
        address = listener.url
        if secret and secret.is_new:
            address = f"{address}/{secret.value.reveal()}/"

        def ready() -> None:
            print(address, file=arguments.out, flush=True)
            print(_heading(listener, has_secret=secret is not None), file=sys.stderr)

        asyncio.run(agent.run(ready))


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None


def _check(configured: Configuration) -> None:
    """Print the mistakes in the configuration; a wrong connection does not disable the others.

    Raises:
        keyturn.errors.ConfigurationError: No connection is configured.
    """
    if not configured.connections:
        raise errors.ConfigurationError(f"no connection is configured in {configured.origin}.")
    try:
        configured.check()
    except errors.ConfigurationError as error:
        print(f"keyturn: {error}", file=sys.stderr)


def _heading(listener: Listener, *, has_secret: bool) -> str:
    who = "requests with the session secret" if has_secret else "this user's requests"
    return f"keyturn: serving {who} at {listener.url} until interrupted (Ctrl-C)."


def _token_files(given: list[str], configured: Configuration) -> list[TokenFile]:
    """Return the token files that the arguments name.

    Raises:
        keyturn.errors.ConfigurationError: An argument is not `NAME=PATH`, the connection does not
            exist, or the file can't be written.
    """
    from keyturn._server.token_file import TokenFile

    files = []
    for argument in given:
        name, equals, path = argument.partition("=")
        if not equals or name not in configured.connections or not path:
            raise errors.ConfigurationError(
                f"--token-file {argument} does not consist of a configured connection and a path.",
                hint="Use NAME=PATH.",
            )
        file = TokenFile(name, Path(path).absolute())
        file.check()
        files.append(file)
    return files
