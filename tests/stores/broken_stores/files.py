"""Stores whose files, sockets or commands other users can open or see."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

from broken_stores.good import Broken, FileStore


class UsualMode(FileStore):
    """Leaves the mode of its files to the umask."""

    def save(self, path: Path, content: str) -> None:
        """Write a file with the default mode."""
        path.write_text(content)


class OpenForGroup(FileStore):
    """Lets the group read its files."""

    def save(self, path: Path, content: str) -> None:
        """Write a file that the group can read."""
        super().save(path, content)
        path.chmod(0o640)


class ClosedLate(FileStore):
    """Restricts the mode only after the entry is in the file."""

    def save(self, path: Path, content: str) -> None:
        """Write, then restrict the mode."""
        path.write_text(content)
        path.chmod(0o600)


class OpenDirectory(FileStore):
    """Leaves the mode of its directory to the umask."""

    def make_directory(self) -> None:
        """Create the directory with the default mode."""
        self.place.mkdir(exist_ok=True)


class OpenDirectoryBelow(FileStore):
    """Creates a directory with the default mode for each key, below its own."""

    def path(self, key: str) -> Path:
        """Create a directory with the default mode."""
        (self.place / key).mkdir(exist_ok=True)
        return self.place / key / "entry"


class OpenDatabase(FileStore):
    """Lets SQLite create its file."""

    def make_directory(self) -> None:
        """Create a database next to the entries."""
        super().make_directory()
        database = sqlite3.connect(self.place / "index.db")
        database.execute("CREATE TABLE IF NOT EXISTS keys (key)")
        database.close()


class OpenSocket(FileStore):
    """Listens at a socket that all users may connect to."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._socket = socket.socket(socket.AF_UNIX)
        path = self.place / "s"
        path.unlink(missing_ok=True)
        # The path of a socket must be short.
        with contextlib.chdir(self.place):
            self._socket.bind("s")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class AbstractSocket(FileStore):
    """Listens at an abstract socket, which has no mode."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(f"\0keyturn-{secrets.token_hex(8)}")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class ChangesTheUmask(FileStore):
    """Makes all files of the application private, not only its own."""

    def make_directory(self) -> None:
        """Set the umask permanently."""
        os.umask(0o077)
        super().make_directory()


class ChangesTheUmaskForAMoment(FileStore):
    """Changes the umask, and so the files of other threads, while it writes."""

    def save(self, path: Path, content: str) -> None:
        """Set the umask, and restore it."""
        old = os.umask(0o077)
        try:
            path.write_text(content)
        finally:
            os.umask(old)


class ChangesTheDirectory(FileStore):
    """Changes the working directory, in which other threads open files."""

    def save(self, path: Path, content: str) -> None:
        """Write in another working directory."""
        with contextlib.chdir(self.place):
            super().save(path, content)


class Inherited(FileStore):
    """Lets the commands of the application inherit its locks."""

    def lock_file(self, key: str) -> int:
        """Open a file that child processes inherit."""
        descriptor = super().lock_file(key)
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - the only way
        return descriptor


class OpenPort(FileStore):
    """Listens on all networks."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._socket = socket.socket()
        self._socket.bind(("0.0.0.0", 0))  # noqa: S104 - the defect

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Harmless(FileStore):
    """Listens on loopback, and writes to a device."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write to a device, too."""
        super().write(key, entry, expires_at)
        with Path(os.devnull).open("w") as device:
            device.write(entry)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class NamedByEntries(FileStore):
    """Names a temporary file after its content."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write a file of that name."""
        self.save(self.place / f"{entry[:90]}.draft", "")
        super().write(key, entry, expires_at)


class ByCommand(FileStore):
    """Passes entries to a command as arguments, which all users can see."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Run a command."""
        subprocess.run([sys.executable, "-Sc", "", entry], check=True)
        super().write(key, entry, expires_at)


BROKEN = [
    Broken(store, "files_are_private", message, takes_over=False)
    for store, message in [
        (UsualMode, "create it with mode 0o600, whatever the umask"),
        (OpenForGroup, "other users may open a file of the store"),
        (ClosedLate, "other users may open a file of the store"),
        (OpenDirectory, "make it with mode 0o700, whatever the umask"),
        (OpenDirectoryBelow, "other users may open a directory of the store"),
        (OpenDatabase, "index.db (mode "),
        (OpenSocket, "other users may open a socket of the store"),
        (AbstractSocket, "may connect to an abstract socket"),
        (ChangesTheUmask, "the store changes the umask of its process"),
        (ChangesTheUmaskForAMoment, "changes the umask of its process, if only temporarily"),
        (ChangesTheDirectory, "changes the working directory of its process"),
        (Inherited, "inherit the open file"),
        (OpenPort, "other hosts may connect to a socket of the store, at '0.0.0.0'"),
        (NamedByEntries, "the name of a file shows an entry"),
        (ByCommand, "a command that the store runs shows an entry"),
    ]
]
