"""Importing this module adds a filter to keyturn's loggers: each message stays on its line."""

from __future__ import annotations

import logging

from keyturn._common.names import escaped

_formatter = logging.Formatter()


def _escape(record: logging.LogRecord) -> bool:
    """Escape characters that could forge a line of the log."""
    message = record.getMessage()
    if not message.isprintable():
        record.msg, record.args = escaped(message), ()
    if record.exc_info:
        lines = _formatter.formatException(record.exc_info).split("\n")
        record.exc_text = "\n".join(map(escaped, lines))
    return True


for _name in (
    "keyturn",
    "keyturn.integrations",
    "keyturn.plugins",
    "keyturn.server",
    "keyturn.stores",
):
    logging.getLogger(_name).addFilter(_escape)
