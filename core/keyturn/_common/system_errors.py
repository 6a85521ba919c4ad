"""Failures of the system, such as a full disk, which are not reported as defects of keyturn."""

from __future__ import annotations

import errno
import os
import sys

ADVICE = "Correct this on the system."
_OPEN_FILES = "Raise the limit of open files (ulimit -n), or close open files."


def system_failure(error: BaseException) -> str | None:
    """Return the system's message for an error, such as "No space left on device", or None.

    The error's own message is not used: a plugin may have put a secret into it.
    """
    if isinstance(error, ImportError) and sys.is_finalizing():
        return "Python is ending, and imports no module"
    number = errno.ENOMEM if isinstance(error, MemoryError) else None
    if isinstance(error, OSError):
        number = error.errno
    return None if number is None or number not in errno.errorcode else os.strerror(number)


def advice(error: BaseException) -> str:
    """Return what a user can do about a failure of the system."""
    if isinstance(error, ImportError):
        return "Do this earlier: before the program ends, or in a function for `atexit`."
    number = getattr(error, "errno", None)
    return _OPEN_FILES if number in {errno.EMFILE, errno.ENFILE} else ADVICE
