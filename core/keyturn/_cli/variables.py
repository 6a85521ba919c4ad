"""Warnings about misspelt environment variables, which keyturn does not read."""

from __future__ import annotations

import logging
import os
from typing import Final

from keyturn._common.names import escaped

_PREFIX: Final = "KEYTURN_"
_CONNECTIONS: Final = "CONNECTIONS"
# `keyturn token --format env` prints the last four.
_KNOWN: Final = {
    *("CONFIG", "STORE", "PLUGINS", "FINGERPRINT_KEY", "CA_FILE", "SERVE_SECRET"),
    *("ACCESS_TOKEN", "TOKEN_TYPE", "EXPIRES_AT", "API_URL"),
}
# Others belong to programs that use keyturn, and to plugins.
_SIMILARITY: Final = 0.75

_logger = logging.getLogger("keyturn.cli")


def warn_of_misspelt() -> None:
    """Log a warning for each variable whose name is similar to one that keyturn reads."""
    for variable in os.environ:
        if variable[: len(_PREFIX)].upper() == _PREFIX:
            name = variable.removeprefix(_PREFIX)
            if name not in _KNOWN and not name.startswith(f"{_CONNECTIONS}__"):
                _warn(variable, variable[len(_PREFIX) :].partition("__")[0])


def _warn(variable: str, name: str) -> None:
    from difflib import get_close_matches

    near = get_close_matches(name.upper(), [*_KNOWN, _CONNECTIONS], n=1, cutoff=_SIMILARITY)
    if near:
        meant = f"{_PREFIX}{near[0]}" + ("__NAME__SETTING" if near == [_CONNECTIONS] else "")
        _logger.warning("keyturn does not read %s. Did you mean %s?", escaped(variable), meant)
