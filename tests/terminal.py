"""A pseudo-terminal, to read a command's output and type its input as a user does."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

# In seconds; long, because a busy machine is slow.
_LIMIT: Final = 50.0
# The first terminal that a session opens controls it; `getpass` opens it as /dev/tty.
_CONTROLLED: Final = (
    "import os, sys; os.open(os.ttyname(0), os.O_RDWR); os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A command in its own terminal, for a `with` statement.

    Args:
        command: The command.
        environment: All of its environment variables.
    """

    def __init__(self, *command: str, environment: Mapping[str, str]) -> None:
        self.shown = ""
        self._seen = 0
        self._user, its_own = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-SEc", _CONTROLLED, *command],
            stdin=its_own,
            stdout=its_own,
            stderr=its_own,
            env=dict(environment),
            start_new_session=True,
        )
        os.close(its_own)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the command."""
        self._process.kill()
        self._process.wait()
        os.close(self._user)

    def answer(self, prompt: str, line: str) -> None:
        """Wait for a new prompt, and type a line."""
        self.wait_for(prompt)
        os.write(self._user, f"{line}\n".encode())

    def wait_for(self, words: str) -> None:
        """Wait until the words appear in new output."""
        while (found := self.shown.find(words, self._seen)) < 0:
            assert self._read(), f"{words!r} is not shown, but:\n{self.shown}"
        self._seen = found + len(words)

    def wait(self) -> int:
        """Wait until the command ends; return its exit code."""
        while self._read():
            pass
        return self._process.wait(_LIMIT)

    def _read(self) -> bool:
        """Read the next output; return whether there was any."""
        if not select.select([self._user], [], [], _LIMIT)[0]:
            return False
        try:
            read = os.read(self._user, 4096)
        except OSError:  # Linux raises it if no process has the terminal open
            return False
        self.shown += read.decode(errors="replace").replace("\r\n", "\n")
        return bool(read)
