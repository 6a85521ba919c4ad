"""What is needed to read the key of this machine's fingerprints, and no more.

`keyturn._tokens.keyfile` has the whole story. This part of it is for the command line's quick way, where
each millisecond of imports counts.
"""

from __future__ import annotations

import hashlib
import os

# `typing` takes longer to import than a key to read.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "KEYTURN_FINGERPRINT_KEY"
"""The environment variable that sets the key, for hosts that share a store."""
FILE = "fingerprint.key"
"""The name of the key's file in the user's data directory."""
SIZE = 32
"""The bytes of a key."""
_SHORTEST = 16


def given_key() -> bytes | None:
    """Return the key that the environment sets, or None.

    Raises:
        keyturn.errors.ConfigurationError: It is so short that it could be guessed, and then the
            secrets behind the fingerprints.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    if len(given) < _SHORTEST:
        from keyturn import errors

        raise errors.ConfigurationError(
            f"the environment variable {VARIABLE} has fewer than {_SHORTEST} characters, so it "
            "could be guessed, and secrets with it.",
            hint="Set it to the output of: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    return hashlib.blake2b(given.encode(), digest_size=SIZE).digest()


def read_key(path: str | Path) -> bytes | None:
    """Return the key in a file, or None when there is no such file, or no whole key in it.

    Raises:
        OSError: The file can't be read, or is a symbolic link.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        key = file.read(SIZE)
    return key if len(key) == SIZE else None
