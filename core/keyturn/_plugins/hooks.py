"""The pluggy specifications of the hooks that plugins implement.

A hook implementation may take fewer arguments than its specification names.

The plugin API has a version. A plugin states it by its entry-point group, so that keyturn knows it
before an import: `keyturn.providers` and `keyturn.plugins` are for
version 1, `keyturn.providers.v2` is for version 2, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from keyturn._plugins.events import Event
    from keyturn._providers.provider import Provider
    from keyturn.stores._base import TokenStore

PROJECT = "keyturn"
# The version of the plugin API: the hooks, and the attributes and methods of a provider.
API_VERSION = 1
# The oldest supported version of the plugin API.
OLDEST_API_VERSION = 1

hookspec = pluggy.HookspecMarker(PROJECT)
# Marks a function as the implementation of a keyturn hook.
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """All hooks: for the chosen plugin of `keyturn.providers`, and for all of `keyturn.plugins`."""

    @hookspec
    def keyturn_provider(self) -> Provider[Any]:
        """Return the provider that the plugin's entry point names, in `keyturn.providers`."""
        raise NotImplementedError  # pragma: no cover - a specification is never called

    @hookspec
    def keyturn_store(self, url: str) -> TokenStore | None:
        """Return the token store at a URL.

        Args:
            url: The URL as the user gave it; it may contain a password.

        Returns:
            The store, or None if the URL's scheme belongs to another plugin.
        """

    @hookspec
    def keyturn_secret(self, source: str, reference: object) -> str | None:
        """Return the secret for a reference.

        Args:
            source: The key of the reference `{ source = … }` in the configuration.
            reference: Its value, of any TOML type.

        Returns:
            The secret, or None if the source belongs to another plugin.
        """

    @hookspec
    def keyturn_event(self, event: Event) -> None:
        """Receive an event, in the worker's thread, after callers have their result.

        Args:
            event: The event; it never contains a secret.
        """


# The hooks of plugins of the group `keyturn.plugins`.
PLUGIN_HOOKS = ("keyturn_store", "keyturn_secret", "keyturn_event")


def new_manager() -> pluggy.PluginManager:
    """Return a manager with all hooks and no plugin."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager
