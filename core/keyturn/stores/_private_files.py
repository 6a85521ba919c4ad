"""Files and directories that only this user can access, opened by descriptors.

A directory is opened once and checked by its descriptor; files are then opened below it. So a file
that another user puts at its path in the meantime is not used.
"""

import contextlib
import errno
import functools
import importlib
import os
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, NamedTuple

from keyturn.stores._base import logger

# Windows has none of these; it protects a user's profile from other users itself.
_HAS_DESCRIPTORS: Final = os.open in os.supports_dir_fd
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
# A directory that may be entered is not always readable.
_DIRECTORY: Final = _NO_LINK | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", 0)
# The open files of this process, on Linux.
_OPEN_FILES = Path("/proc/self/fd")


class PrivateDirectory(NamedTuple):
    """A directory that no other user can read or write.

    Args:
        path: Its path, for messages, and for systems without descriptors of directories.
        descriptor: The opened directory, or None on such systems.
    """

    path: Path
    descriptor: int | None

    def open(self, name: str, flags: int) -> int:
        """Open a file of the directory, but no symbolic link; a new file has mode 0600."""
        return os.open(self._at(name), flags | _NO_LINK, 0o600, dir_fd=self.descriptor)

    def check(self, name: str, descriptor: int | None = None) -> tuple[int, int] | None:
        """Return the identity of a file in the directory, or None if it does not exist.

        Args:
            name: The file.
            descriptor: The file itself, if it is open.

        Raises:
            PermissionError: It is not a file that only this user can access.
        """
        try:
            place = self._at(name)
            status = (
                os.stat(place, dir_fd=self.descriptor, follow_symlinks=False)
                if descriptor is None
                else os.fstat(descriptor)
            )
        except FileNotFoundError:
            return None
        _require_private(self.path / name, status, stat.S_IFREG)
        return status.st_dev, status.st_ino

    def move(self, name: str, to: str) -> None:
        """Rename a file of the directory; a file with the new name is replaced."""
        here = self.descriptor
        os.replace(self._at(name), self._at(to), src_dir_fd=here, dst_dir_fd=here)

    def _at(self, name: str) -> str:
        return str(self.path / name) if self.descriptor is None else name


@contextlib.contextmanager
def private_directory(path: Path, below: str = "") -> Generator[PrivateDirectory]:
    """Open a directory for a `with` block; a missing one is created for this user only (0700).

    Missing parents are created in the same way.

    Args:
        path: The directory.
        below: The name of a subdirectory, which is opened instead.

    Raises:
        PermissionError: It is a symbolic link, another user's, or open to other users.
        OSError: It can't be opened or created.
    """
    with contextlib.ExitStack() as opened:
        descriptor = None
        if _HAS_DESCRIPTORS:
            descriptor = _opened(path)
            opened.callback(os.close, descriptor)
            if below:
                _require_private(path, os.fstat(descriptor), stat.S_IFDIR)
                descriptor = _child(descriptor, below)
                opened.callback(os.close, descriptor)
        else:
            (path / below).mkdir(mode=0o700, parents=True, exist_ok=True)
        place = path / below
        status = place.lstat() if descriptor is None else os.fstat(descriptor)
        _require_private(place, status, stat.S_IFDIR)
        yield PrivateDirectory(place, descriptor)


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return the identity of the file at `path`, or None if it does not exist."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def is_open(path: Path, identity: tuple[int, int] | None) -> bool:
    """Return whether this process has a file open.

    Args:
        path: Its path, for systems that don't list open files.
        identity: Its identity.
    """
    if not _OPEN_FILES.is_dir():
        return identity_of(path) == identity
    for each in _OPEN_FILES.iterdir():
        with contextlib.suppress(OSError):  # closed in the meantime
            status = os.fstat(int(each.name))
            if (status.st_dev, status.st_ino) == identity:
                return True
    return False


def _opened(path: Path) -> int:
    """Return a descriptor of a directory; a missing directory is created."""
    with contextlib.suppress(FileNotFoundError):
        return _descriptor(path, path)
    # Links above it are resolved once; a link that appears later is not followed.
    *above, name = Path(os.path.realpath(path.parent), path.name).parts[1:]
    descriptor = os.open(path.anchor, _DIRECTORY)
    for each in (*above, name):
        parent = descriptor
        try:
            descriptor = _child(parent, each)
        finally:
            os.close(parent)
    return descriptor


def _child(parent: int, name: str) -> int:
    """Return a descriptor of a subdirectory; a missing subdirectory is created."""
    with contextlib.suppress(FileNotFoundError):
        return _descriptor(name, Path(name), parent)
    with contextlib.suppress(FileExistsError):  # another process was faster
        os.mkdir(name, 0o700, dir_fd=parent)
    return _descriptor(name, Path(name), parent)


def _descriptor(name: str | Path, shown: Path, parent: int | None = None) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ENOTDIR, errno.ELOOP}:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            _require_private(shown, status, stat.S_IFDIR)
        raise


def _require_private(path: Path, status: os.stat_result, kind: int) -> None:
    mode, user = status.st_mode, _user()
    checks = {
        "is a symbolic link, or not what it should be": stat.S_IFMT(mode) != kind,
        "belongs to another user": user is not None and status.st_uid != user,
        f"is open to other users (mode {stat.S_IMODE(mode):04o})": user is not None
        and mode & 0o077,
        "has another name elsewhere (a hard link)": kind == stat.S_IFREG and status.st_nlink > 1,
    }
    for wrong, is_so in checks.items():
        if is_so:
            raise PermissionError(errno.EPERM, f"the token store refuses {path}: it {wrong}")


def _user() -> int | None:
    """Return the user id of this process, or None on a system without user ids."""
    user_id: Any = getattr(os, "geteuid", None)
    return None if user_id is None else user_id()


@functools.cache  # once in a process
def warn_if_replaceable(directory: Path) -> None:
    """Log a warning if another user of the host can replace a directory.

    This is possible if a directory above it belongs to another user, or is writable for its group
    or for all and isn't sticky, unlike /tmp (inode(7)). A volume that is mounted for a group of
    this process, such as Kubernetes' emptyDir with fsGroup, is accessible only where it is mounted.
    """
    above = dict.fromkeys([*directory.parents, *Path(os.path.realpath(directory)).parents])
    for parent in above if _user() is not None else ():
        status = parent.stat()
        problem = _replaceable(status)
        if problem and not _is_own_volume(parent, status):
            logger.warning(
                "another user of this host can replace the token store %s, since %s %s on that "
                "directory, or keep the store elsewhere",
                directory,
                parent,
                problem,
            )
            return


def _is_own_volume(directory: Path, status: os.stat_result) -> bool:
    system: Any = os  # Windows has no groups
    is_mounted = os.path.ismount(directory)  # pathlib's method is not typed for Windows
    groups = {system.getegid(), *system.getgroups()}
    return bool(is_mounted and status.st_mode & stat.S_ISGID and status.st_gid in groups)


def _replaceable(status: os.stat_result) -> str:
    """Return which other users may rename entries of a directory, and what to do."""
    owner, group = status.st_uid, status.st_gid
    writers = 0 if status.st_mode & stat.S_ISVTX else status.st_mode
    checks = {
        f"belongs to another user ({owner}): run `chown`": owner not in {0, _user()},
        "is writable by all: run `chmod o-w` or `chmod +t`": writers & stat.S_IWOTH,
        f"is writable by its group ({group}): run `chmod g-w` or `chmod +t`": writers & stat.S_IWGRP
        and not _is_own_group(group),
    }
    return next((problem for problem, is_so in checks.items() if is_so), "")


def _is_own_group(group_id: int) -> bool:
    """Return whether a group is root's, or this user's own group without other members."""
    users, groups = map(importlib.import_module, ("pwd", "grp"))  # Windows has neither
    try:
        user, group = users.getpwuid(_user()), groups.getgrgid(group_id)
    except KeyError:  # the user or the group has no name, as in many containers
        return group_id == 0
    is_primary = user.pw_gid == group_id and group.gr_name == user.pw_name
    return group_id == 0 or (is_primary and {*group.gr_mem} <= {user.pw_name})
