"""A token in a file, for programs that read one: replaced as a whole, before the token expires."""

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

# Seconds between two looks at the token: it may have been renewed because an API refused it.
_PAUSE = 1.0
# Seconds after a failure; keyturn waits longer by itself where the server asked for that.
_PAUSE_AFTER_FAILURE = 5.0

_logger = logging.getLogger("keyturn.server")


@attrs.frozen
class TokenFile:
    """A file that always has a token which may be used.

    Args:
        name: The connection's name.
        path: The file.
    """

    name: str
    path: Path

    def check(self) -> None:
        """See that there can be such a file.

        Raises:
            keyturn.errors.ConfigurationError: There is no directory for it.
        """
        if not self.path.parent.is_dir() or self.path.is_dir():
            raise errors.ConfigurationError(
                f"the token file {self.path} can't be written: there is no such directory, or it "
                "is one.",
                connection=self.name,
                hint="Correct --token-file NAME=PATH.",
            )

    def write(self, token: str) -> None:
        """Replace the file by one that has the token alone, which no other user can read."""
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
                # A hint counts the seconds: it differs each time.
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
