"""The session secret: from the environment or a file, else generated."""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING, NamedTuple

from keyturn import errors
from keyturn._common.system_errors import system_failure
from keyturn._config.directories import is_private
from keyturn._secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "KEYTURN_SERVE_SECRET"
# It must be a valid path segment without encoding, and hard to guess.
_is_secret = re.compile(r"[A-Za-z0-9_-]{20,200}").fullmatch
_FORM = "must have 20 to 200 letters, digits, - or _"


class SessionSecret(NamedTuple):
    """A session secret.

    Args:
        value: The secret.
        is_new: Whether it was generated now, so that the user does not know it yet.
    """

    value: Secret
    is_new: bool


def session_secret(file: Path | None) -> SessionSecret:
    """Return the session secret.

    Args:
        file: The file with the secret; it is created if it does not exist. By default the secret is
            in `$KEYTURN_SERVE_SECRET`, else it is generated.

    Raises:
        keyturn.errors.ConfigurationError: The file can't be read or created, other users can read
            it, or the secret is invalid.
    """
    given = os.environ.get(VARIABLE)
    if file is not None:
        try:
            return SessionSecret(_checked(_read_or_create(file), str(file)), is_new=False)
        except OSError as error:
            failure = system_failure(error) or type(error).__name__
        raise errors.ConfigurationError(f"the secret file {file} can't be used: {failure}.")
    if given is not None:
        return SessionSecret(_checked(Secret(given), VARIABLE), is_new=False)
    return SessionSecret(_new(), is_new=True)


def _new() -> Secret:
    # It begins with a letter, so it can't be mistaken for an option or an endpoint.
    return Secret(f"s{secrets.token_urlsafe(32)}")


def _read_or_create(file: Path) -> Secret:
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        with file.open("rb") as opened:
            if not is_private(os.fstat(opened.fileno())):
                raise errors.ConfigurationError(
                    f"other users can read the secret file {file}, or it belongs to another user.",
                    hint=f"Run chmod 600 {file}.",
                ) from None
            return Secret(opened.read(1000).decode("latin-1").strip())
    made = _new()
    with open(descriptor, "w", encoding="ascii") as created:  # noqa: PTH123 - a descriptor
        created.write(f"{made.reveal()}\n")
    return made


def _checked(secret: Secret, where: str) -> Secret:
    if not _is_secret(secret.reveal()):
        raise errors.ConfigurationError(
            f"the session secret of {where} {_FORM}.",
            hint="Generate one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return secret
