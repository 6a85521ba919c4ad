"""The pluggy specifications of the hooks that plugins implement.

A hook implementation may take fewer arguments than its specification names.

The plugin API has a version. A plugin states it by the entry-point group that it registers in, so
that it is known before anything is imported: `keyturn.providers` and `keyturn.plugins` are for
version 1, `keyturn.providers.v2` is for version 2, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from keyturn._event import Event
    from keyturn._providers.provider import Provider
    from keyturn.stores._base import TokenStore

PROJECT = "keyturn"
API_VERSION = 1
"""The version of the plugin API: of the hooks, and of what a provider may set and override."""
OLDEST_API_VERSION = 1
"""The oldest version of the plugin API that plugins may still be written for."""

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
        """Return the token store at a URL.

        Args:
            url: The URL as the user gave it; it may hold a password.

        Returns:
            The store, or None when the URL's scheme is another plugin's.
        """

    @hookspec
    def keyturn_secret(self, source: str, reference: object) -> str | None:
        """Return the secret that a reference stands for.

        Args:
            source: The key of the reference `{ source = … }` in the configuration.
            reference: Its value, of whatever type TOML has.

        Returns:
            The secret, or None when the source is another plugin's.
        """

    @hookspec
    def keyturn_event(self, event: Event) -> None:
        """Take note of an event.

        Args:
            event: What happened; it never holds a secret.
        """


PLUGIN_HOOKS = tuple(name for name in vars(PluginHooks) if name.startswith(f"{PROJECT}_"))


def new_manager() -> pluggy.PluginManager:
    """Return a manager that knows all hooks, and no plugin."""
    manager = pluggy.PluginManager(PROJECT)
    # Both: a distribution's one module may implement hooks of either group.
    manager.add_hookspecs(ProviderHooks)
    manager.add_hookspecs(PluginHooks)
    return manager
