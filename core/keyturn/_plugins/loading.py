"""Providers and plugins: listing the installed ones, loading the chosen one, calling hooks."""

from __future__ import annotations

import copy
import itertools
import logging
import operator
import traceback
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from keyturn import errors
from keyturn._common.names import did_you_mean, escaped
from keyturn._common.once import cached_once
from keyturn._common.system_errors import advice as system_advice
from keyturn._common.system_errors import system_failure
from keyturn._plugins import hooks
from keyturn._plugins.discovery import (
    CHOICE_VARIABLE,
    OWN_PROVIDERS,
    PLUGINS_GROUP,
    PROVIDERS_GROUP,
    Installed,
    installed,
    installed_providers,
    is_disabled,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.resources.abc import Traversable

    import pluggy

    from keyturn._providers.provider import Provider

T = TypeVar("T")

_logger = logging.getLogger("keyturn.plugins")


def provider(name: str) -> Provider[Any]:
    """Import and return the provider with a name.

    Args:
        name: Its entry point's name in the group `keyturn.providers`.

    Raises:
        keyturn.errors.ProviderNotFound: No installed distribution registers that name.
        keyturn.errors.ProviderConflict: Two distributions register that name.
        keyturn.errors.ProviderLoadError: Its plugin can't be imported or returns no provider, the
            provider has mistakes, it is written for another version of the plugin API, or it is
            disabled by `KEYTURN_PLUGINS`.
        keyturn.errors.ConfigurationError: `KEYTURN_PLUGINS` is invalid.

    Example:
        >>> provider("orocommerce").title
        'OroCommerce'
    """
    if not isinstance(name, str):
        raise errors.ConfigurationError("the name of a provider must be a string.")
    return loaded_provider(name)


@cached_once
def loaded_provider(name: str) -> Provider[Any]:
    """Import and return the provider with a name; see `provider`."""
    return _attempt(_provider_of, _enabled(name))


def _enabled(name: str) -> Installed:
    plugin = OWN_PROVIDERS.get(name) or _chosen(name)
    if not is_disabled(plugin):
        return plugin
    raise errors.ProviderLoadError(
        f"{plugin} is disabled by the environment variable {CHOICE_VARIABLE}.",
        hint=f"Change {CHOICE_VARIABLE}, or choose another provider.",
    )


@cached_once
def plugin_manager() -> pluggy.PluginManager:
    """Return the manager of the plugins of group `keyturn.plugins`, without broken ones."""
    manager = hooks.new_manager()
    for plugin in installed(PLUGINS_GROUP):
        try:
            if is_disabled(plugin):
                _logger.info("%s is disabled by %s", plugin, CHOICE_VARIABLE)
            else:
                _attempt(lambda each: _register(manager, each), plugin)
        except errors.ConfigurationError as error:
            _logger.warning("keyturn does not use plugin %s: %s", plugin.name, error)
    return manager


def load_error(plugin: Installed) -> errors.ConfigurationError | None:
    """Import a plugin of either group, and return why it can't be used, or None."""
    is_provider = plugin.group.startswith(PROVIDERS_GROUP)
    try:
        _attempt(
            _provider_of if is_provider else lambda each: _register(hooks.new_manager(), each),
            plugin,
        )
    except errors.ConfigurationError as error:
        return error
    return None


def call_plugins(hook: str, wanted: type = object, /, **arguments: Any) -> list[Any]:
    """Return the results of each plugin's hook, except None, and log failures.

    They are called one by one, in the order of their entry points' names.

    Args:
        hook: The name of a hook of the group `keyturn.plugins`.
        wanted: The type of a result other than None; any other type is a failure.
        arguments: The hook's arguments; none is shown when a plugin fails.
    """
    manager = plugin_manager()
    plugins = manager.list_name_plugin()
    every = [*map(operator.itemgetter(1), plugins)]
    found: list[Any] = []
    for number, (name, _) in enumerate(plugins):
        others = every[:number] + every[number + 1 :]
        try:
            # Copies, because a plugin must not change the arguments of the next one.
            returned = manager.subset_hook_caller(hook, others)(**copy.deepcopy(arguments))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may do anything
            # Without the exception's message, which may contain the arguments.
            place = traceback.extract_tb(error.__traceback__)[-1]
            reported = system_failure(error)
            named = f"{type(error).__name__}{f' ({reported})' if reported else ''}"
            problem = f"{named}, at line {place.lineno} of {place.name}"
        else:
            # A list, unless the hook is a wrapper, which may return anything in its place.
            results = returned if isinstance(returned, list) else [returned]
            wrong = [*itertools.filterfalse(wanted.__instancecheck__, results)]
            if not wrong:
                found += results
                continue
            problem = f"it returned {type(wrong[0]).__name__} instead of {wanted.__name__} or None"
        _logger.warning(
            "%s failed in %s: %s. Update it, report it to its authors, or disable it with %s.",
            name,
            hook,
            problem,
            CHOICE_VARIABLE,
        )
    return found


def _attempt(load: Callable[[Installed], T], plugin: Installed) -> T:
    """Return the result of `load` for a plugin; any failure is raised as ProviderLoadError."""
    problem, advice = plugin.version_problem()
    mistakes: tuple[errors.Problem, ...] = ()
    try:
        if not problem:
            return load(plugin)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, errors.ConfigurationError):
            problem, mistakes = str(error).partition("\n")[0].rstrip(":"), error.problems
        else:
            problem = f"{type(error).__name__} at its import or in its hook"
            _logger.info("%s can't be used", plugin, exc_info=True)
        advice = (
            f"Update it, or report it to its authors; the log {_logger.name} (INFO) has details."
        )
        if reported := system_failure(error):
            problem, advice = reported, system_advice(error)
    end = "" if problem.endswith((".", "?")) else "."
    raise errors.ProviderLoadError(
        f"{plugin} can't be used: {problem}{end}", hint=advice, problems=mistakes
    )


def _provider_of(plugin: Installed) -> Provider[Any]:
    from keyturn._providers.provider import Provider

    imported, manager = _import(plugin)
    results = manager.hook.keyturn_provider()
    if not results and hasattr(imported, "__path__"):
        results = _described(imported, plugin.name)
    found: Any = results[0] if len(results) == 1 else None
    if not isinstance(found, Provider):
        raise errors.ConfigurationError(
            "its hook keyturn_provider is missing, or does not return a keyturn.plugins.Provider"
        )
    if not plugin.is_own:  # keyturn's own tests check its providers
        from keyturn._providers.provider_problems import problems

        if mistakes := problems(found):
            raise errors.ConfigurationError("; ".join(map(str, mistakes)))
    if found.name != plugin.name:
        raise errors.ConfigurationError("its name differs from its entry point's")
    return found


def _described(package: Any, name: str) -> list[Provider[Any]]:
    """Return the provider that a file of a package describes, or None."""
    import importlib.resources  # 20 ms to import, only for such a provider

    from keyturn._plugins.descriptions import provider_in

    directory = importlib.resources.files(package)
    file = f"{name}.toml"
    return [provider_in(directory, file, name)] if (directory / file).is_file() else []


def description_of(name: str) -> Traversable:
    """Return the directory in which an installed provider has its description `NAME.toml`.

    Raises:
        keyturn.errors.ConfigurationError: The provider or its file does not exist.
    """
    import importlib.resources

    plugin = _enabled(name)
    package, _ = _attempt(_import, plugin)
    if hasattr(package, "__path__"):
        directory = importlib.resources.files(package)
        if (directory / f"{name}.toml").is_file():
            return directory
    raise errors.ConfigurationError(f"{plugin} is not described as data.")


def _register(manager: pluggy.PluginManager, plugin: Installed) -> None:
    """Import a plugin, and register it with the others."""
    imported, alone = _import(plugin)
    if not any(getattr(alone.hook, name).get_hookimpls() for name in hooks.PLUGIN_HOOKS):
        raise errors.ConfigurationError(
            f"it implements none of the hooks {', '.join(hooks.PLUGIN_HOOKS)}"
        )
    hash(imported)  # pluggy keeps plugins in sets: one that can't be there would break the others
    manager.register(imported, name=str(plugin))


def _import(plugin: Installed) -> tuple[Any, pluggy.PluginManager]:
    """Import a plugin; return it with a separate manager, so that it can't affect others."""
    if plugin.api < hooks.API_VERSION:
        warnings.warn(
            f"{escaped(str(plugin))} is written for version {plugin.api} of the plugin API. "
            f"That is deprecated: the current one is {hooks.API_VERSION}.",
            DeprecationWarning,
            stacklevel=2,
        )
    imported = plugin.load()
    manager = hooks.new_manager()
    manager.register(imported, name=str(plugin))
    manager.check_pending()
    return imported, manager


def _chosen(name: str) -> Installed:
    every = installed_providers()
    named = [plugin for plugin in every if plugin.name == name]
    if not named:
        known = sorted({plugin.name for plugin in every})
        hint = f"Installed: {', '.join(known)}."
        if name.endswith(".toml"):
            hint = "Pass the result of keyturn.plugins.provider_from_file for that file."
        raise errors.ProviderNotFound(
            f"no provider is named {name!r}.{did_you_mean(name, known)}",
            hint=hint,
        )
    if len(named) > 1:
        distributions = " and by ".join(plugin.distribution for plugin in named)
        raise errors.ProviderConflict(
            f"provider {name!r} is registered by {distributions}.",
            hint="Uninstall all but one of them.",
        )
    return named[0]
