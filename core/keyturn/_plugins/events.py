"""Events, reported to the log, to the application's listener and to the plugins."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Literal, Self

import attrs

from keyturn._common.names import shown
from keyturn._plugins.loading import call_plugins

Kind = Literal["token_request", "store_outage", "renewal_failure"]
Reason = Literal["cold", "expiring", "refused", "invalidated"]

_logger = logging.getLogger("keyturn")


@attrs.frozen(kw_only=True, repr=False)
class Event:
    """One event; it contains no secret.

    Args:
        kind: `token_request` (one for each attempt), `store_outage` (one for each outage), or
            `renewal_failure` (a valid token could not be renewed before its expiry).
        connection: The connection's name.
        provider: The provider's name.
        host: The token endpoint's host; for an outage, the store's location.
        reason: Why a token was needed: `cold` (no usable token existed), `expiring`, `refused` (by
            an API) or `invalidated`.
        attempt: The number of the attempt, from 1.
        duration: The duration in seconds.
        status: The HTTP status, or None without a response.
        error: The name of the error's class, or None.
        lifetime: The lifetime of the new token in seconds, or None without one.
        at: The time of its end, in epoch seconds.
        method: The HTTP method of the token request, or None for other events.
        url: The token endpoint, without the query, which may contain a secret; or None.
    """

    kind: Kind
    connection: str
    provider: str
    host: str
    reason: Reason = "cold"
    attempt: int = 1
    duration: float = 0.0
    status: int | None = None
    error: str | None = None
    lifetime: float | None = None
    at: float = 0.0
    method: str | None = None
    url: str | None = None

    __repr__ = shown

    def __deepcopy__(self, _: object) -> Self:
        return self  # strings and numbers, which no plugin can change for the next


Event.__module__ = "keyturn"
Listener = Callable[[Event], object]


def log(event: Event) -> None:
    """Write an event to the log, in one line."""
    if event.kind == "token_request":
        message = "%s: token request %d to %s (%s): %s in %.3f s"
        outcome = event.error or f"a token for {event.lifetime:.0f} s"
        how = (event.attempt, event.host, event.reason, outcome, event.duration)
        _logger.info(message, event.connection, *how)
    else:
        _logger.debug("%s: %s (%s)", event.connection, event.kind, event.error)


def emit(event: Event, on_event: Listener | None) -> None:
    """Report an event; keyturn logs a listener's exceptions.

    It is called in the worker's thread after callers have their result, so a listener that hangs
    does not delay a token.

    Args:
        event: The event.
        on_event: The application's listener.
    """
    # Raised by a listener, it does not concern this thread.
    with contextlib.suppress(KeyboardInterrupt):
        try:
            if on_event is not None:
                on_event(event)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a listener may even raise SystemExit
            _logger.warning("%s: on_event failed with %s", event.connection, type(error).__name__)
        call_plugins("keyturn_event", event=event)
