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
    from keyturn._plugins.events import Event
    from keyturn._providers.provider import Provider
    from keyturn.stores._base import TokenStore

PROJECT = "keyturn"
# The version of the plugin API: of the hooks, and of what a provider may set and override.
API_VERSION = 1
# The oldest version of the plugin API that plugins may still be written for.
OLDEST_API_VERSION = 1

hookspec = pluggy.HookspecMarker(PROJECT)
# Marks a function as the implementation of a keyturn hook.
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """All hooks: of the chosen plugin of `keyturn.providers`, and of all of `keyturn.plugins`."""

    @hookspec
    def keyturn_provider(self) -> Provider[Any]:
        """Return the provider that the plugin's entry point names, in `keyturn.providers`."""
        raise NotImplementedError  # pragma: no cover - a specification is never called

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
        """Get an event, on the thread of the worker, when callers have their result.

        Args:
            event: What happened; it never holds a secret.
        """


# The hooks of plugins of the group `keyturn.plugins`.
PLUGIN_HOOKS = ("keyturn_store", "keyturn_secret", "keyturn_event")


def new_manager() -> pluggy.PluginManager:
    """Return a manager that knows all hooks, and no plugin."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager
