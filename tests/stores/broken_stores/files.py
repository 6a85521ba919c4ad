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
        """Write a file as files are written."""
        path.write_text(content)


class OpenForGroup(FileStore):
    """Lets the group read its files."""

    def save(self, path: Path, content: str) -> None:
        """Write a file for the group."""
        super().save(path, content)
        path.chmod(0o640)


class ClosedLate(FileStore):
    """Takes the rights of others away when the entry is in the file."""

    def save(self, path: Path, content: str) -> None:
        """Write, then close."""
        path.write_text(content)
        path.chmod(0o600)


class OpenDirectory(FileStore):
    """Leaves the mode of its directory to the umask."""

    def make_directory(self) -> None:
        """Make it as directories are made."""
        self.place.mkdir(exist_ok=True)


class OpenDirectoryBelow(FileStore):
    """Has a directory for each key, in its own."""

    def path(self, key: str) -> Path:
        """Make a directory with the usual mode."""
        (self.place / key).mkdir(exist_ok=True)
        return self.place / key / "entry"


class OpenDatabase(FileStore):
    """Lets SQLite make its file."""

    def make_directory(self) -> None:
        """Make a database beside the entries."""
        super().make_directory()
        database = sqlite3.connect(self.place / "index.db")
        database.execute("CREATE TABLE IF NOT EXISTS keys (key)")
        database.close()


class OpenSocket(FileStore):
    """Listens for others at a socket that all users may connect to."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._socket = socket.socket(socket.AF_UNIX)
        path = self.place / "s"
        path.unlink(missing_ok=True)
        # A socket's path is short.
        with contextlib.chdir(self.place):
            self._socket.bind("s")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class AbstractSocket(FileStore):
    """Listens at a name that has no mode."""

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
        """Set the umask for good."""
        os.umask(0o077)
        super().make_directory()


class ChangesTheUmaskForAMoment(FileStore):
    """Makes the files of other threads private while it writes."""

    def save(self, path: Path, content: str) -> None:
        """Set the umask, and set it back."""
        old = os.umask(0o077)
        try:
            path.write_text(content)
        finally:
            os.umask(old)


class ChangesTheDirectory(FileStore):
    """Lets other threads open files of its own directory."""

    def save(self, path: Path, content: str) -> None:
        """Write there."""
        with contextlib.chdir(self.place):
            super().save(path, content)


class Inherited(FileStore):
    """Gives its locks to the commands of the application."""

    def lock_file(self, key: str) -> int:
        """Open a file that they inherit."""
        descriptor = super().lock_file(key)
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - the only way
        return descriptor


class OpenPort(FileStore):
    """Listens for others on all networks."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._socket = socket.socket()
        self._socket.bind(("0.0.0.0", 0))  # noqa: S104 - this is the defect

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Harmless(FileStore):
    """Listens on loopback, and writes to what is no file."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write to a device as well."""
        super().write(key, entry, expires_at)
        with Path(os.devnull).open("w") as device:
            device.write(entry)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class NamedByEntries(FileStore):
    """Names a draft by what is in it."""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write a file of that name."""
        self.save(self.place / f"{entry[:90]}.draft", "")
        super().write(key, entry, expires_at)


class ByCommand(FileStore):
    """Gives entries to a command as arguments, which all users see."""

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
        (ChangesTheUmaskForAMoment, "changes the umask of its process, if only for a moment"),
        (ChangesTheDirectory, "changes the working directory of its process"),
        (Inherited, "inherit the open file"),
        (OpenPort, "other hosts may connect to a socket of the store, at '0.0.0.0'"),
        (NamedByEntries, "the name of a file shows an entry"),
        (ByCommand, "a command that the store runs shows an entry"),
    ]
]
