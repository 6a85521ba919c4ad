"""The pluggy specifications: where plugins take part, and nowhere else.

A hook implementation may take fewer arguments than its specification names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._provider import Provider
    from keyturn.stores.base import TokenStore

PROJECT = "keyturn"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as the implementation of a keyturn hook."""


class ProviderHooks:
    """Hooks of the one plugin that is chosen by its name in the group `keyturn.providers`."""

    @hookspec
    def keyturn_provider(self) -> Provider[Any]:
        """Return the provider that the plugin's entry point names."""
        raise NotImplementedError  # pragma: no cover - a specification is never called


class PluginHooks:
    """Hooks of all plugins of the group `keyturn.plugins`."""

    @hookspec
    def keyturn_store(self, url: str) -> TokenStore | None:
        """Return the token store at `url`, or None when its scheme is another plugin's."""

    @hookspec
    def keyturn_secret(self, source: str, reference: object) -> str | None:
        """Return the secret that `reference` names at `source`, or None for another's source."""

    @hookspec
    def keyturn_event(self, event: Mapping[str, Any]) -> None:
        """Take note of an event; it never holds a secret."""
