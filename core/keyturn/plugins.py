"""The index of entry points, and the loading of the one that was named."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn.once import Once
from keyturn.settings import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    import pluggy

    from keyturn._provider import Provider

PROVIDERS_GROUP = "keyturn.providers"
PLUGINS_GROUP = "keyturn.plugins"
_OWN_DISTRIBUTION = "keyturn"
_logger = logging.getLogger("keyturn.plugins")


@attrs.frozen
class ProviderInfo:
    """What is known of an installed provider without importing it.

    Args:
        name: The name to choose it by.
        distribution: The distribution that registers it.
        version: That distribution's version.
    """

    name: str
    distribution: str
    version: str


@attrs.frozen
class _Entry:
    """An entry point, and what is known of it."""

    point: EntryPoint
    info: ProviderInfo


def providers() -> list[ProviderInfo]:
    """Return the installed providers, sorted by name; none of them is imported.

    A name that two distributions register is there twice; choosing it is an error.

    Example:
        >>> [info.name for info in providers() if info.distribution == "keyturn"]
        ['commercelayer', 'norce-commerce', 'norce-storm', 'orocommerce']
    """
    return sorted(
        (entry.info for entry in _provider_entries()),
        key=lambda info: (info.name, info.distribution),
    )


def provider(name: str) -> Provider[Any]:
    """Import and return the provider of a name.

    Args:
        name: Its entry point's name in the group `keyturn.providers`.

    Raises:
        keyturn.errors.ProviderNotFound: No installed distribution registers that name.
        keyturn.errors.ProviderConflict: Two distributions register that name.
        keyturn.errors.ProviderLoadError: Its plugin can't be imported or gives no provider.

    Example:
        >>> provider("orocommerce").title
        'OroCommerce'
    """
    if not isinstance(name, str):
        raise errors.ConfigurationError("a provider is chosen by its name, a text.")
    return loaded_provider(name)


@Once
def loaded_provider(name: str) -> Provider[Any]:
    """Import and return the provider of a name; see `provider`."""
    entry = _chosen(name)
    where = f"provider {name} of distribution {entry.info.distribution}"
    problem = None
    loaded: Any = None
    try:
        loaded = _call_hook(entry)
    # A plugin may do anything while it is imported, `sys.exit` included.
    except (Exception, SystemExit) as error:
        problem = f"{type(error).__name__} at its import or in its hook"
        _logger.warning("%s can't be loaded", where, exc_info=True)
    else:
        problem = _provider_problem(loaded, name)
    if problem:
        raise errors.ProviderLoadError(
            f"{where} can't be used: {problem}.",
            hint=f"Tell its authors, or update it; the log of {_logger.name} has the details.",
        )
    found: Provider[Any] = loaded
    return found


@Once
def plugin_manager() -> pluggy.PluginManager:
    """Return the manager of the plugins of group `keyturn.plugins`; a broken one is left out."""
    manager = _manager()
    for entry in _entries(PLUGINS_GROUP):
        name = f"{entry.info.distribution}:{entry.info.name}"
        try:
            manager.register(entry.point.load(), name=name)
            manager.check_pending()
        except (Exception, SystemExit):
            if manager.has_plugin(name):
                manager.unregister(name=name)
            _logger.warning(
                "plugin %s can't be loaded and is left out", entry.info.name, exc_info=True
            )
    return manager


def ask_plugins(hook: str, **arguments: Any) -> list[Any]:
    """Return what each plugin's hook returns, None excepted; one that raises is passed over.

    Args:
        hook: The name of a hook of the group `keyturn.plugins`.
        arguments: The hook's arguments; none is shown when a plugin fails.
    """
    manager = plugin_manager()
    found: list[Any] = []
    for plugin in manager.get_plugins():
        caller = manager.subset_hook_caller(hook, manager.get_plugins() - {plugin})
        try:
            found += caller(**arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may do anything
            name, what = manager.get_name(plugin), type(error).__name__
            _logger.warning("plugin %s failed in %s (%s)", name, hook, what)
    return found


def _manager() -> pluggy.PluginManager:
    import pluggy

    from keyturn import hooks

    manager = pluggy.PluginManager(hooks.PROJECT)
    # Both: a distribution's one module may implement hooks of either group.
    manager.add_hookspecs(hooks.ProviderHooks)
    manager.add_hookspecs(hooks.PluginHooks)
    return manager


def _call_hook(entry: _Entry) -> Any:
    manager = _manager()
    manager.register(entry.point.load(), name=entry.info.name)
    manager.check_pending()
    results = manager.hook.keyturn_provider()
    return results[0] if len(results) == 1 else None


def _provider_problem(loaded: object, name: str) -> str | None:
    from keyturn._provider import Provider
    from keyturn.settings import Settings

    if not isinstance(loaded, Provider):
        return "its hook keyturn_provider is missing, or does not return a keyturn.Provider"
    settings = getattr(loaded, "settings", None)
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        return "its settings are not a class derived from keyturn.Settings"
    if getattr(loaded, "name", None) != name:
        return "its name is not its entry point's"
    if not getattr(loaded, "token_url", None):
        return "it has no token_url"
    return None


def _chosen(name: str) -> _Entry:
    entries = [entry for entry in _provider_entries() if entry.info.name == name]
    if not entries:
        known = sorted({entry.info.name for entry in _provider_entries()})
        raise errors.ProviderNotFound(
            f"no provider is named {name!r}.{did_you_mean(name, known)}",
            hint=f"Installed: {', '.join(known)}.",
        )
    if len(entries) > 1:
        distributions = sorted(entry.info.distribution for entry in entries)
        raise errors.ProviderConflict(
            f"provider {name!r} is registered by {' and by '.join(distributions)}.",
            hint="Uninstall all but one of them.",
        )
    return entries[0]


def _provider_entries() -> list[_Entry]:
    entries = _entries(PROVIDERS_GROUP)
    own = {entry.info.name for entry in entries if entry.info.distribution == _OWN_DISTRIBUTION}
    kept = []
    for entry in entries:
        if entry.info.distribution == _OWN_DISTRIBUTION or entry.info.name not in own:
            kept.append(entry)
        else:
            _logger.warning(
                "distribution %s registers the built-in provider name %s and is ignored",
                entry.info.distribution,
                entry.info.name,
            )
    return kept


def _entries(group: str) -> list[_Entry]:
    # importlib.metadata takes 40 ms to import: only when plugins are looked for.
    from importlib.metadata import distributions

    found: dict[tuple[str, str], _Entry] = {}
    for distribution in distributions():
        try:
            entries = _entries_of(distribution, group)
        except Exception as error:  # noqa: BLE001 - anything may be installed
            _logger.warning("a distribution's metadata can't be read (%s)", type(error).__name__)
            continue
        for entry in entries:
            # One distribution may be found twice; as for imports, the first on the path wins.
            found.setdefault((entry.info.distribution, entry.info.name), entry)
    return list(found.values())


def _entries_of(distribution: Distribution, group: str) -> list[_Entry]:
    # Most distributions have no such group: their other files are not even opened.
    if f"[{group}]" not in (distribution.read_text("entry_points.txt") or ""):
        return []
    name = re.sub(r"[-_.]+", "-", distribution.name).lower()
    version = distribution.version
    return [
        _Entry(point, ProviderInfo(point.name, name, version))
        for point in distribution.entry_points.select(group=group)
    ]
