"""Ordinary failures of the system, such as a full disk: reported as such, never as a defect."""

from __future__ import annotations

import errno
import os

ADVICE = "The system reports this: correct it there."
_OPEN_FILES = "Raise the limit of open files (ulimit -n), or close what is open."
_OF_SQLITE = {
    "SQLITE_FULL": errno.ENOSPC,
    "SQLITE_NOMEM": errno.ENOMEM,
    "SQLITE_READONLY": errno.EROFS,
    "SQLITE_PERM": errno.EACCES,
}


def system_failure(error: BaseException) -> str | None:
    """Return what the system reports by an error, such as "No space left on device", or None.

    The error's own text is not used: a plugin may have put a secret into it.
    """
    number = error_number(error)
    return None if number is None or number not in errno.errorcode else os.strerror(number)


def error_number(error: BaseException) -> int | None:
    """Return the system's number of an error, if it has one."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    name = getattr(error, "sqlite_errorname", None)
    if isinstance(name, str):
        return _OF_SQLITE.get("_".join(name.split("_")[:2]))
    return error.errno if isinstance(error, OSError) else None


def advice(error: BaseException) -> str:
    """Return what to do about a failure of the system."""
    number = getattr(error, "errno", None)
    return _OPEN_FILES if number in {errno.EMFILE, errno.ENFILE} else ADVICE
