"""Telling the plugins what happens."""

from __future__ import annotations

from typing import Any

from keyturn.plugins import ask_plugins


def emit(kind: str, **fields: Any) -> None:
    """Call the hook `keyturn_event` of every plugin; what a plugin raises is logged.

    Args:
        kind: What happened, such as `token_obtained`.
        fields: Facts about it, none of them secret.
    """
    ask_plugins("keyturn_event", event={"kind": kind, **fields})
