"""Telling the plugins what happens."""

from __future__ import annotations

import logging
from typing import Any

from keyturn.plugins import plugin_manager

_logger = logging.getLogger("keyturn.events")


def emit(kind: str, **fields: Any) -> None:
    """Call the hook `keyturn_event` of every plugin; what a plugin raises is logged.

    Args:
        kind: What happened, such as `token_obtained`.
        fields: Facts about it, none of them secret.
    """
    try:
        plugin_manager().hook.keyturn_event(event={"kind": kind, **fields})
    except Exception as error:  # noqa: BLE001 - a plugin must not break a token request
        _logger.warning("a plugin failed at the event %s (%s)", kind, type(error).__name__)
