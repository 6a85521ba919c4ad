"""The user's directories, and the files that may contain secrets."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from pathlib import Path


def user_directory(kind: str) -> Path | None:
    """Return keyturn's directory for a user's `config` or `cache`, or None without one.

    A relative path from a variable is ignored, because other users may have put files below the
    working directory. platformdirs 4.2 to 4.11 return a relative path if the user has neither
    `HOME` nor an entry in passwd; later releases raise `RuntimeError`.
    """
    import platformdirs

    try:
        directory = Path(getattr(platformdirs, f"user_{kind}_dir")("keyturn"))
    except RuntimeError:
        return None
    return directory if directory.is_absolute() else None


def is_private(status: os.stat_result) -> bool:
    """Return whether only this user can read a file, by its mode.

    Kubernetes mounts a secret with mode 0440; it belongs to root and to a group of the process
    (https://kubernetes.io/docs/tasks/configure-pod-container/security-context/). So a group of this
    user may read a file whose mode this user can't change, or that no user can write. A systemd
    credential belongs to root and its group, and an access list lets this user read it
    (https://systemd.io/CREDENTIALS/).
    """
    # Windows has no user ids; it protects a user's profile from others.
    if sys.platform == "win32" or not hasattr(os, "geteuid"):
        return True
    mode, is_own = stat.S_IMODE(status.st_mode), status.st_uid == os.geteuid()
    if not mode & 0o077:
        return is_own
    is_mounted = not (is_own and mode & stat.S_IWUSR)
    groups = {os.getegid(), *os.getgroups()}
    is_roots = status.st_uid == status.st_gid == 0
    return mode & 0o077 == stat.S_IRGRP and is_mounted and (is_roots or status.st_gid in groups)


def replace_file(path: Path, content: str, mode: int = 0o600) -> None:
    """Replace a file atomically with one that no other user can read.

    Args:
        path: The file.
        content: The new content.
        mode: Another mode.

    Raises:
        OSError: The file can't be written; the old one is unchanged.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content.encode())
            file.flush()
            os.fsync(descriptor)
        if mode != 0o600:
            os.chmod(name, mode)  # noqa: PTH101 - as below
        os.replace(name, path)  # noqa: PTH105 - as pathlib's, without a Path for the name
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108 - as above
        raise
