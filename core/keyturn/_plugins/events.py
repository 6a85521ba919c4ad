"""Reporting what happens: to the log, to the application's listener and to the plugins."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from keyturn._plugins.loading import call_plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._event import Event

    Listener = Callable[[Event], object]

_logger = logging.getLogger("keyturn")


def emit(event: Event, on_event: Listener | None) -> None:
    """Report an event; what a listener raises is logged.

    It is called on the worker's thread when the waiters have their result, so that a listener
    that hangs withholds no token.

    Args:
        event: What happened.
        on_event: The application's listener.
    """
    if event.kind == "token_request":
        _logger.info(
            "%s: token request %d to %s (%s): %s in %.3f s",
            event.connection,
            event.attempt,
            event.host,
            event.reason,
            event.error or f"a token for {event.lifetime:.0f} s",
            event.duration,
        )
    else:
        _logger.debug("%s: %s (%s)", event.connection, event.kind, event.error)
    with contextlib.suppress(KeyboardInterrupt):  # by a listener: it is not for this thread
        try:
            if on_event is not None:
                on_event(event)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a listener may even raise SystemExit
            _logger.warning("%s: on_event failed with %s", event.connection, type(error).__name__)
        call_plugins("keyturn_event", event=event)
