"""The key of this machine's fingerprints.

A fingerprint covers the client's secret, and shows up in store keys, file names and transcripts.
So that nobody can test a guessed secret against it, it is keyed with random bytes that stay in the
user's own data directory, away from any store.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
from pathlib import Path

from keyturn._once import cached_once
from keyturn._tokens.keyreading import FILE, SIZE, VARIABLE, given_key, read_key

_logger = logging.getLogger("keyturn._tokens.keyfile")


@cached_once
def fingerprint_key() -> bytes:
    """Return the key of this user's fingerprints on this machine, making it at the first call.

    It is `KEYTURN_FINGERPRINT_KEY` if that is set, else the content of `fingerprint.key` in the
    user's data directory. Where there is no such directory to write to, it is derived from the
    boot identifier, so that this machine's processes agree at least until the next boot. A file
    that is not this user's alone is used, with a warning.

    Raises:
        keyturn.errors.ConfigurationError: `KEYTURN_FINGERPRINT_KEY` is too short.
    """
    given = given_key()
    if given:
        return given
    import platformdirs

    path = Path(platformdirs.user_data_dir("keyturn")) / FILE
    try:
        key = read_key(path) or _make(path)
        _warn_unless_private(path)
    except OSError as error:
        _logger.warning("%s can't be used (%s); set %s", path, error.strerror, VARIABLE)
        return _fallback()
    return key


def _warn_unless_private(path: Path) -> None:
    status = path.stat()
    if status.st_uid != os.geteuid():
        advice = "belongs to another user; remove it, and a new one is made"
    elif status.st_mode & 0o077:
        advice = "is open to other users; close it with chmod 600"
    else:
        return
    _logger.warning("%s %s: whoever knows the key can test guessed secrets", path, advice)


def _make(path: Path) -> bytes:
    """Write a new key, unless another process was quicker: then its key is returned."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SIZE))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename, it never replaces another process's key
    finally:
        draft.unlink()
    key = read_key(path)
    if key is None:
        raise OSError(0, "it is not a key of 32 bytes")
    return key


def _fallback() -> bytes:
    try:
        seed = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        return secrets.token_bytes(SIZE)
    return hashlib.blake2b(seed + str(os.getuid()).encode(), digest_size=SIZE).digest()
