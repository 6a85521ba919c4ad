"""Telling the plugins what happens."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

from keyturn._plugins.loading import call_plugins, plugin_manager

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE = 1.0
_logger = logging.getLogger("keyturn._plugins.events")


def emit(events: Sequence[dict[str, Any]]) -> None:
    """Call the hook `keyturn_event` of every plugin; what a plugin raises is logged.

    The plugins run on a thread of their own. After a second nobody waits for them any longer:
    whoever listens must not withhold a token.

    Args:
        events: What happened; `kind` is such as `token_obtained`, and nothing in it is secret.
    """
    if not plugin_manager().list_name_plugin():
        return
    thread = threading.Thread(target=_tell, args=(events,), name="keyturn-events", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads, or the interpreter is shutting down
        _tell(events)
        return
    thread.join(_PATIENCE)
    if thread.is_alive():
        _logger.warning("a plugin takes long in keyturn_event: it is not waited for")


def _tell(events: Sequence[dict[str, Any]]) -> None:
    with contextlib.suppress(KeyboardInterrupt):  # of a plugin's making: it is not for this thread
        for event in events:
            call_plugins("keyturn_event", event=event)
