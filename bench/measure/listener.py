"""A plugin that counts events, so that cold calls are measured with hooks on."""

from __future__ import annotations

import keyturn

received: list[object] = []
"""All events so far."""


@keyturn.plugins.hookimpl
def keyturn_event(event: object) -> None:
    """Keep an event."""
    received.append(event)
