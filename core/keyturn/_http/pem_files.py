"""Temporary files for PEM values, because Python's ssl accepts only paths."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def pem_file(given: str | Secret | None) -> Generator[str | None]:
    """Yield the path of PEM for a `with` block; a path is yielded unchanged.

    Other users can't read it: it is in memory if the system has such files, else in a file with
    mode 0600, which is removed at the end of the block.

    Args:
        given: A path, or PEM as a secret.

    Raises:
        OSError: No file can be written.
    """
    if not isinstance(given, Secret):
        yield given
        return
    content = given.reveal().encode()
    with contextlib.ExitStack() as stack:
        path = _in_memory(content, stack)
        if path is None:
            # Created with mode 0600, under an unpredictable name.
            file, path = tempfile.mkstemp(prefix="keyturn-")
            stack.callback(os.unlink, path)
            with open(file, "wb") as written:  # noqa: PTH123 - of a descriptor
                written.write(content)
        yield path


def _in_memory(content: bytes, stack: contextlib.ExitStack) -> str | None:
    """Return the path of a file in memory that the stack closes, or None if it is unsupported."""
    if sys.platform != "linux" or not hasattr(os, "memfd_create"):
        return None
    try:
        file = os.memfd_create("keyturn", os.MFD_CLOEXEC)
    except OSError:  # in a sandbox
        return None
    stack.callback(os.close, file)
    os.write(file, content)
    path = f"/proc/self/fd/{file}"
    return path if Path(path).exists() else None
