"""Ordinary failures of the system, such as a full disk: reported as such, never as a defect."""

from __future__ import annotations

import errno
import os

ADVICE = "The system reports this: correct it there."
_OPEN_FILES = "Raise the limit of open files (ulimit -n), or close what is open."


def system_failure(error: BaseException) -> str | None:
    """Return what the system reports by an error, such as "No space left on device", or None.

    The error's own text is not used: a plugin may have put a secret into it.
    """
    number = errno.ENOMEM if isinstance(error, MemoryError) else None
    if isinstance(error, OSError):
        number = error.errno
    return None if number is None or number not in errno.errorcode else os.strerror(number)


def advice(error: BaseException) -> str:
    """Return what to do about a failure of the system."""
    number = getattr(error, "errno", None)
    return _OPEN_FILES if number in {errno.EMFILE, errno.ENFILE} else ADVICE
