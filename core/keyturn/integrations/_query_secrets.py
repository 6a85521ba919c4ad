"""Hides secret query parameters of API requests in the clients' logs.

They log the URLs of requests: httpx and httpx2 at INFO, urllib3 and its users at DEBUG, and at
WARNING when it retries. urllib3 has no way to change a URL after that.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

from keyturn._common.redaction import Redaction

if TYPE_CHECKING:
    from keyturn._secret import Secret
    from keyturn._tokens.snapshot import TokenSnapshot

# The loggers of URLs. A filter of a logger has no effect on its child loggers.
_LOGGERS = (
    "httpx",
    "httpx2",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.util.retry",
    "urllib3_future.connectionpool",
    "urllib3_future.poolmanager",
    "urllib3_future.util.retry",
)


class _QueryFilter(logging.Filter):
    """Hides secrets in log records as long as their tokens are used."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: dict[int, tuple[Secret, ...]] = {}
        self._redaction = Redaction()

    def hide(self, snapshot: TokenSnapshot, secrets: tuple[Secret, ...]) -> None:
        """Hide secrets from now on, until no reference to the snapshot's token remains."""
        token = snapshot.token
        if id(token) not in self._secrets:
            self._secrets[id(token)] = secrets
            weakref.finalize(token, self._secrets.pop, id(token), None).atexit = False
            self._redaction = Redaction(
                secret for each in [*self._secrets.values()] for secret in each
            )
            for name in _LOGGERS:
                logging.getLogger(name).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Hide the secrets in a record."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # logging reports arguments that do not match the format
            return True
        shown = self._redaction.text(message)
        if shown != message:
            record.msg, record.args = shown, ()
        return True


_filter = _QueryFilter()


def hide_in_logs(snapshot: TokenSnapshot) -> None:
    """Hide the secret query parameters of a request, with a filter that this adds if necessary."""
    if snapshot.additions and snapshot.additions.secrets:
        _filter.hide(snapshot, snapshot.additions.secrets)
