"""The index of entry points: the installed and enabled plugins."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from functools import partial
from importlib.machinery import PathFinder
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn import errors
from keyturn._common.once import importing
from keyturn._plugins import hooks

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import Distribution

PROVIDERS_GROUP = "keyturn.providers"
PLUGINS_GROUP = "keyturn.plugins"
CHOICE_VARIABLE = "KEYTURN_PLUGINS"
# The modules of keyturn's own providers by name, like the entry points in pyproject.toml.
BUILT_IN = {
    "commercelayer": "keyturn_commercelayer",
    "generic": "keyturn_generic",
    "norce-commerce": "keyturn_norce.commerce",
    "norce-storm": "keyturn_norce.storm",
    "orocommerce": "keyturn_orocommerce",
}
OWN_DISTRIBUTION = "keyturn"
_NAME_PATTERN = r"\w[\w.-]*"
_VERSION_PATTERN = r"(?:\.v([1-9][0-9]{0,3}))?"
_logger = logging.getLogger("keyturn.plugins")


class Installed(NamedTuple):
    """A plugin, from its distribution's metadata, without importing it.

    Args:
        name: The name of its entry point.
        group: The group of its entry point.
        load: Imports it.
        distribution: The distribution that registers it, with a normalized name.
        release: That distribution's version.
        api: The version of the plugin API that it is written for.
        is_own: Whether it is part of keyturn.
        value: The value of its entry point: a module, and optionally an object after a colon.
    """

    name: str
    group: str
    load: Callable[[], Any]
    distribution: str
    release: str
    api: int
    is_own: bool = False
    value: str = ""

    def __str__(self) -> str:
        kind = "provider" if self.group.startswith(PROVIDERS_GROUP) else "plugin"
        return f"{kind} {self.name} of distribution {self.distribution}"

    def version_problem(self) -> tuple[str, str]:
        """Return the problem of its plugin API version, and the hint; or two empty strings."""
        oldest, newest = hooks.OLDEST_API_VERSION, hooks.API_VERSION
        if oldest <= self.api <= newest:
            return "", ""
        outdated = OWN_DISTRIBUTION if self.api > newest else self.distribution
        problem = f"it is written for version {self.api} of the plugin API"
        return f"{problem}, and this keyturn supports {oldest} to {newest}", f"Update {outdated}."


# keyturn's own providers by name, without reading a distribution's metadata.
OWN_PROVIDERS = {
    name: Installed(
        name,
        PROVIDERS_GROUP,
        partial(importlib.import_module, module),
        OWN_DISTRIBUTION,
        release="",
        api=1,
        is_own=True,
        value=module,
    )
    for name, module in BUILT_IN.items()
}


def installed(group: str) -> list[Installed]:
    """Return the plugins of an entry-point group, for any plugin API, sorted by name.

    Args:
        group: The group of version 1 of the plugin API.
    """
    if not _may_be_registered(group):
        return []
    # importlib.metadata takes 10 to 40 ms to import.
    with importing:
        from importlib.metadata import distributions

    found: dict[str, list[Installed]] = {}
    for distribution in distributions():
        try:
            plugins = _plugins_of(distribution, group)
            if plugins:
                # One distribution may be found twice; the first on the path counts, as for imports.
                found.setdefault(plugins[0].distribution, plugins)
        except Exception as error:  # noqa: BLE001 - anything may be installed
            where = getattr(distribution, "_path", "a distribution")
            _logger.warning("the metadata in %s can't be read (%s)", where, type(error).__name__)
    return sorted(chain(*found.values()), key=lambda plugin: (plugin.name, plugin.distribution))


def installed_providers() -> list[Installed]:
    """Return the installed providers, sorted by name; a built-in name is keyturn's own."""
    others = [plugin for plugin in installed(PROVIDERS_GROUP) if not plugin.is_own]
    hidden = [plugin for plugin in others if plugin.name in BUILT_IN]
    for plugin in hidden:
        _logger.warning(
            "distribution %s registers the built-in provider name %s and is ignored. "
            "Uninstall it, or report it to its authors.",
            plugin.distribution,
            plugin.name,
        )
    release = own_release()
    every = [own._replace(release=release) for own in OWN_PROVIDERS.values()]
    every += [plugin for plugin in others if plugin not in hidden]
    return sorted(every, key=lambda plugin: (plugin.name, plugin.distribution))


def own_release() -> str:
    """Return keyturn's version; "unknown" in an application that was bundled without metadata."""
    with importing:
        from importlib.metadata import PackageNotFoundError, version

    try:
        return version(OWN_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def is_disabled(plugin: Installed) -> bool:
    """Return whether `KEYTURN_PLUGINS` disables a plugin; it never disables keyturn's own.

    Raises:
        keyturn.errors.ConfigurationError: The variable is invalid.
    """
    choice = os.environ.get(CHOICE_VARIABLE, "").strip()
    names = [name.strip() for name in choice.split(",")] if choice else []
    disabled = [name[1:] for name in names if name.startswith("-")]
    if len(disabled) not in {0, len(names)} or not all(
        re.fullmatch(_NAME_PATTERN, name) for name in disabled or names
    ):
        raise errors.ConfigurationError(
            f"the environment variable {CHOICE_VARIABLE} is invalid.",
            hint="Set it to the names of the plugins to disable, such as -acme,-vault, or to the "
            "only plugins to enable, such as acme,vault, or to none to disable all.",
        )
    if plugin.is_own or disabled:
        return plugin.name in disabled and not plugin.is_own
    return bool(names) and (names == ["none"] or plugin.name not in names)


def _may_be_registered(group: str) -> bool:
    """Return whether a distribution may register a plugin: False only if none does.

    Most environments have no plugin, and need no importlib.metadata to find that out.
    """
    finders = [each for each in sys.meta_path if hasattr(each, "find_distributions")]
    return finders != [PathFinder] or any(_may_have(each, group) for each in sys.path)


def _may_have(directory: str, group: str) -> bool:
    """Return whether a distribution in a directory of the path may have an entry-point group."""
    try:
        names = os.listdir(directory or ".")  # noqa: PTH208 - pathlib imports much
    except NotADirectoryError:
        return True  # an archive
    except OSError:
        return False  # the path may name what does not exist
    for name in names:
        # `acme-1.0.dist-info`, `acme.egg-info`, or `EGG-INFO` in an egg.
        if name.lower().endswith("-info"):
            try:
                file = os.path.join(directory, name, "entry_points.txt")  # noqa: PTH118 - likewise
                with open(file, encoding="utf-8") as opened:  # noqa: PTH123 - likewise
                    if f"[{group}" in opened.read():
                        return True
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, ValueError):
                return True  # `installed` warns of it
    return False


def _plugins_of(distribution: Distribution, group: str) -> list[Installed]:
    # Most distributions have no such group: their other files need not be opened.
    if f"[{group}" not in (distribution.read_text("entry_points.txt") or ""):
        return []
    owner = re.sub(r"[-_.]+", "-", distribution.name).lower()
    plugins = [
        Installed(
            point.name,
            point.group,
            point.load,
            owner,
            distribution.version,
            int(match[1] or 1),
            # Any distribution may take keyturn's name, or be found in its place.
            owner == OWN_DISTRIBUTION and BUILT_IN.get(point.name) == point.value,
            point.value,
        )
        for point in distribution.entry_points
        if (match := re.fullmatch(re.escape(group) + _VERSION_PATTERN, point.group))
    ]
    # Of a name that is registered for several versions, the newest supported one comes last.
    plugins.sort(key=lambda plugin: (not any(plugin.version_problem()), plugin.api))
    return list({plugin.name: plugin for plugin in plugins}.values())
