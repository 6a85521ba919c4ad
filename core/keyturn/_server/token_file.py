"""A token file for other programs, replaced atomically before the token expires."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn._common.system_errors import advice, system_failure
from keyturn._config.directories import replace_file
from keyturn._tokens.single_flight import run_in_thread

if TYPE_CHECKING:
    from pathlib import Path

    from keyturn._server.connections import ServedConnections

# Seconds between two checks of the token, which may be renewed after an API refused it.
_PAUSE = 1.0
# Seconds after a failure; keyturn waits longer if the server requested it.
_PAUSE_AFTER_FAILURE = 5.0

_logger = logging.getLogger("keyturn.server")


@attrs.frozen
class TokenFile:
    """A file with a usable token.

    Args:
        name: The connection's name.
        path: The file.
    """

    name: str
    path: Path

    def check(self) -> None:
        """Check that the file can be written.

        Raises:
            keyturn.errors.ConfigurationError: Its directory does not exist.
        """
        if not self.path.parent.is_dir() or self.path.is_dir():
            raise errors.ConfigurationError(
                f"the token file {self.path} can't be written: its directory does not exist, or "
                "the path is a directory.",
                connection=self.name,
                hint="Correct --token-file NAME=PATH.",
            )

    def write(self, token: str) -> None:
        """Replace the file with one that contains only the token, readable by this user only."""
        replace_file(self.path, token)

    async def keep(self, connections: ServedConnections) -> None:
        """Keep the file up to date until the task is cancelled."""
        written = problem = ""
        while True:
            pause = _PAUSE
            try:
                _, connection, _ = await connections.open(self.name)
                token = (await connection.atoken()).access_token
                if token != written:
                    await run_in_thread(lambda text=token: self.write(text))  # type: ignore[misc]
                    written, problem = token, ""
            except (errors.KeyturnError, OSError) as error:
                pause = _PAUSE_AFTER_FAILURE
                # Without the hint, whose seconds differ each time.
                found = getattr(error, "message", "") or _described(error)
                if found != problem:  # once, not every few seconds
                    problem = found
                    described = _described(error)
                    _logger.warning("%s: the token file %s: %s", self.name, self.path, described)
            await asyncio.sleep(pause)


def _described(error: Exception) -> str:
    if isinstance(error, errors.KeyturnError):
        return str(error)
    return f"{system_failure(error) or type(error).__name__}. {advice(error)}"
