"""Providers and plugins: listing those that are installed, loading the one that was named."""

from __future__ import annotations

import copy
import functools
import logging
import traceback
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from keyturn import errors
from keyturn._once import cached_once
from keyturn._plugins.discovery import (
    CHOICE_VARIABLE,
    PLUGINS_GROUP,
    built_in,
    installed,
    installed_providers,
    is_left_out,
)
from keyturn._providers.settings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    import pluggy

    from keyturn._plugins.discovery import Installed
    from keyturn._providers.provider import Provider

T = TypeVar("T")

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


class _UnusableError(Exception):
    """A plugin, or what its hook returned, is not what it should be; the text says how."""


def providers() -> list[ProviderInfo]:
    """Return the installed providers, sorted by name; none of them is imported.

    Whether one can be used shows when it is chosen: a broken one is listed too, and a name that two
    distributions register is there twice.

    Example:
        >>> [info.name for info in providers() if info.distribution == "keyturn"]
        ['commercelayer', 'generic', 'norce-commerce', 'norce-storm', 'orocommerce']
    """
    return [ProviderInfo(p.name, p.distribution, p.release) for p in installed_providers()]


def provider(name: str) -> Provider[Any]:
    """Import and return the provider of a name.

    Args:
        name: Its entry point's name in the group `keyturn.providers`.

    Raises:
        keyturn.errors.ProviderNotFound: No installed distribution registers that name.
        keyturn.errors.ProviderConflict: Two distributions register that name.
        keyturn.errors.ProviderLoadError: Its plugin can't be imported or gives no provider, is
            written for another version of the plugin API, or is left out by `KEYTURN_PLUGINS`.
        keyturn.errors.ConfigurationError: `KEYTURN_PLUGINS` can't be understood.

    Example:
        >>> provider("orocommerce").title
        'OroCommerce'
    """
    if not isinstance(name, str):
        raise errors.ConfigurationError("a provider is chosen by its name, a text.")
    return loaded_provider(name)


@cached_once
def loaded_provider(name: str) -> Provider[Any]:
    """Import and return the provider of a name; see `provider`."""
    plugin = built_in(name) or _chosen(name)
    if is_left_out(plugin):
        raise errors.ProviderLoadError(
            f"{plugin} is left out by the environment variable {CHOICE_VARIABLE}.",
            hint="Change that, or choose another provider.",
        )
    return _attempt(_provider_of, plugin)


@cached_once
def plugin_manager() -> pluggy.PluginManager:
    """Return the manager of the plugins of group `keyturn.plugins`; a broken one is left out."""
    from keyturn._plugins.hooks import new_manager

    manager = new_manager()
    for plugin in installed(PLUGINS_GROUP):
        try:
            if is_left_out(plugin):
                _logger.info("%s is left out by %s", plugin, CHOICE_VARIABLE)
            else:
                _attempt(functools.partial(_join, manager), plugin)
        except errors.ConfigurationError as error:
            _logger.warning("%s is left out: %s", plugin.name, error)
    return manager


def call_plugins(hook: str, wanted: type = object, /, **arguments: Any) -> list[Any]:
    """Return what each plugin's hook returns, None excepted; one that fails is passed over.

    They are asked one by one, in the order of their entry points' names.

    Args:
        hook: The name of a hook of the group `keyturn.plugins`.
        wanted: What the hook may return besides None; what returns something else has failed.
        arguments: The hook's arguments; none is shown when a plugin fails.
    """
    manager = plugin_manager()
    plugins = manager.list_name_plugin()
    found: list[Any] = []
    for name, plugin in plugins:
        others = [other for _, other in plugins if other is not plugin]
        try:
            own = copy.deepcopy(arguments)  # what one changes in it the next must not see
            response = manager.subset_hook_caller(hook, others)(**own)
            found += _checked(response, wanted)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may do anything
            advice = f"Update it, tell its authors, or leave it out with {CHOICE_VARIABLE}."
            _logger.warning("%s failed in %s%s. %s", name, hook, _reason(error), advice)
    return found


def _attempt(load: Callable[[Installed], T], plugin: Installed) -> T:
    """Return what `load` makes of a plugin; whatever fails comes out as ProviderLoadError."""
    problem, advice = plugin.version_problem()
    if not problem:
        try:
            return load(plugin)
        except KeyboardInterrupt:
            raise
        except _UnusableError as error:
            problem = str(error)
        # It may do anything: exit, or panic in native code.
        except BaseException as error:
            problem = f"{type(error).__name__} at its import or in its hook"
            _logger.info("%s can't be used", plugin, exc_info=True)
        advice = f"Update it, or tell its authors; the log {_logger.name} (INFO) has details."
    raise errors.ProviderLoadError(f"{plugin} can't be used: {problem}.", hint=advice)


def _provider_of(plugin: Installed) -> Provider[Any]:
    found: Provider[Any] = _call_hook(plugin)
    problem = _provider_problem(found, plugin.name)
    if problem:
        raise _UnusableError(problem)
    return found


def _call_hook(plugin: Installed) -> Any:
    imported, manager = _alone(plugin)
    results = manager.hook.keyturn_provider()
    if not results and isinstance(imported, ModuleType) and hasattr(imported, "__path__"):
        return _described(plugin.name, imported)
    return results[0] if len(results) == 1 else None


def _described(name: str, package: ModuleType) -> Provider[Any] | None:
    """Return the provider that a TOML file in a package describes, if there is one."""
    import importlib.resources  # 20 ms, which only such a provider costs
    import tomllib

    from keyturn._providers.from_data import provider_from_data

    file = importlib.resources.files(package) / f"{name}.toml"
    if not file.is_file():
        return None
    try:
        return provider_from_data(name, tomllib.loads(file.read_text("utf-8")))
    except errors.ConfigurationError as error:
        problem = str(error)
    except ValueError as error:  # no TOML, or no UTF-8
        problem = f"its {name}.toml can't be read: {error}"
    raise _UnusableError(problem)


def _join(manager: pluggy.PluginManager, plugin: Installed) -> None:
    """Import a plugin, and register it beside the others."""
    from keyturn._plugins.hooks import PLUGIN_HOOKS

    imported, alone = _alone(plugin)
    if not any(getattr(alone.hook, name).get_hookimpls() for name in PLUGIN_HOOKS):
        raise _UnusableError(f"it implements none of the hooks {', '.join(PLUGIN_HOOKS)}")
    hash(imported)  # pluggy keeps plugins in sets: one that can't be there would break the others
    manager.register(imported, name=str(plugin))


def _alone(plugin: Installed) -> tuple[Any, pluggy.PluginManager]:
    """Import a plugin; return it, and a manager of it alone, in which it can harm no other."""
    from keyturn._plugins.hooks import API_VERSION, new_manager

    if plugin.api < API_VERSION:
        what = f"{plugin} is written for version {plugin.api} of the plugin API"
        advice = f"That is deprecated: the present one is {API_VERSION}."
        warnings.warn(f"{what}. {advice}", DeprecationWarning, stacklevel=2)
    imported = plugin.point.load()
    manager = new_manager()
    manager.register(imported, name=str(plugin))
    manager.check_pending()
    return imported, manager


def _provider_problem(loaded: object, name: str) -> str | None:
    from keyturn._providers.data import problems
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

    if not isinstance(loaded, Provider):
        return "its hook keyturn_provider is missing, or does not return a keyturn.plugins.Provider"
    settings = getattr(loaded, "settings", None)
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        return "its settings are not a class derived from keyturn.plugins.Settings"
    if getattr(loaded, "name", None) != name:
        return "its name is not its entry point's"
    return "; ".join(problems(loaded)) or None


def _checked(response: object, wanted: type) -> list[Any]:
    """Return the results of one plugin's hook, none of which is anything else than wanted."""
    # A list, unless the hook is a wrapper, which may return anything in its place.
    results = response if isinstance(response, list) else [response]
    for result in results:
        if not isinstance(result, wanted):
            kind = type(result).__name__
            raise _UnusableError(f"it returned {kind}, which is neither {wanted.__name__} nor None")
    return results


def _reason(error: BaseException) -> str:
    """Return what went wrong in a hook, without a stranger's text: it may hold the arguments."""
    if isinstance(error, _UnusableError):
        return f": {error}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f" ({type(error).__name__}), at line {place.lineno} of {place.name}"


def _chosen(name: str) -> Installed:
    every = installed_providers()
    named = [plugin for plugin in every if plugin.name == name]
    if not named:
        known = sorted({plugin.name for plugin in every})
        raise errors.ProviderNotFound(
            f"no provider is named {name!r}.{did_you_mean(name, known)}",
            hint=f"Installed: {', '.join(known)}.",
        )
    if len(named) > 1:
        distributions = " and by ".join(plugin.distribution for plugin in named)
        raise errors.ProviderConflict(
            f"provider {name!r} is registered by {distributions}.",
            hint="Uninstall all but one of them.",
        )
    return named[0]
