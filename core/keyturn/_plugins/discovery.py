"""The index of entry points: which plugins are installed, and may be imported."""

from __future__ import annotations

import importlib
import logging
import os
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from keyturn import errors

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

PROVIDERS_GROUP = "keyturn.providers"
PLUGINS_GROUP = "keyturn.plugins"
CHOICE_VARIABLE = "KEYTURN_PLUGINS"
BUILT_IN = {
    "commercelayer": "keyturn_commercelayer",
    "generic": "keyturn_generic",
    "norce-commerce": "keyturn_norce.commerce",
    "norce-storm": "keyturn_norce.storm",
    "orocommerce": "keyturn_orocommerce",
}
"""The modules of keyturn's own providers by their names: as the entry points in pyproject.toml."""
_OWN_DISTRIBUTION = "keyturn"
_NAME_PATTERN = r"\w[\w.-]*"
_VERSION_PATTERN = r"(?:\.v([1-9][0-9]{0,3}))?"
_logger = logging.getLogger("keyturn.plugins")


class _BuiltInPoint(NamedTuple):
    """An entry point of keyturn's own, for which no metadata is read."""

    name: str
    group: str
    value: str

    def load(self) -> Any:
        return importlib.import_module(self.value)


@attrs.frozen(eq=False, repr=False)
class Installed:
    """A plugin as its distribution's metadata describe it; it is not imported.

    Args:
        point: Its entry point.
        distribution: The distribution that registers it, its name normalized.
        release: That distribution's version.
        api: The version of the plugin API that it is written for.
    """

    point: EntryPoint | _BuiltInPoint
    distribution: str
    release: str
    api: int

    @property
    def name(self) -> str:
        """The name of its entry point."""
        return self.point.name

    @property
    def is_own(self) -> bool:
        """Whether it comes with keyturn."""
        return self.distribution == _OWN_DISTRIBUTION

    def __str__(self) -> str:
        kind = "provider" if self.point.group.startswith(PROVIDERS_GROUP) else "plugin"
        return f"{kind} {self.name} of distribution {self.distribution}"

    def version_problem(self) -> tuple[str, str]:
        """Return what is wrong with its version of the plugin API, and what to do; or two ""."""
        from keyturn._plugins.hooks import API_VERSION, OLDEST_API_VERSION

        if OLDEST_API_VERSION <= self.api <= API_VERSION:
            return "", ""
        supported = f"this keyturn supports {OLDEST_API_VERSION} to {API_VERSION}"
        outdated = _OWN_DISTRIBUTION if self.api > API_VERSION else self.distribution
        problem = f"it is written for version {self.api} of the plugin API, and {supported}"
        return problem, f"Update {outdated}."


def installed(group: str) -> list[Installed]:
    """Return the plugins of an entry-point group, for any plugin API, sorted by name.

    Args:
        group: The group of version 1 of the plugin API.
    """
    # importlib.metadata takes 40 ms to import: only when plugins are looked for.
    from importlib.metadata import distributions

    found: dict[str, list[Installed]] = {}
    for distribution in distributions():
        try:
            plugins = _plugins_of(distribution, group)
        except Exception as error:  # noqa: BLE001 - anything may be installed
            where = getattr(distribution, "_path", "a distribution")
            _logger.warning("the metadata in %s can't be read (%s)", where, type(error).__name__)
            continue
        if plugins:
            # One distribution may be found twice; as for imports, the first on the path wins.
            found.setdefault(plugins[0].distribution, plugins)
    return sorted(chain(*found.values()), key=lambda plugin: (plugin.name, plugin.distribution))


def built_in(name: str) -> Installed | None:
    """Return the built-in provider of a name, without a look at any distribution's metadata."""
    point = _BuiltInPoint(name, PROVIDERS_GROUP, BUILT_IN.get(name, ""))
    return Installed(point, _OWN_DISTRIBUTION, "", 1) if name in BUILT_IN else None


def installed_providers() -> list[Installed]:
    """Return the installed providers, sorted by name; a built-in name is keyturn's own."""
    every = installed(PROVIDERS_GROUP)
    own = {plugin.name for plugin in every if plugin.is_own}
    hidden = [plugin for plugin in every if plugin.name in own and not plugin.is_own]
    for plugin in hidden:
        _logger.warning(
            "distribution %s registers the built-in provider name %s and is ignored. "
            "Uninstall it, or report it to its authors.",
            plugin.distribution,
            plugin.name,
        )
    return [plugin for plugin in every if plugin not in hidden]


def is_disabled(plugin: Installed) -> bool:
    """Return whether `KEYTURN_PLUGINS` disables a plugin; keyturn's own never are.

    Raises:
        keyturn.errors.ConfigurationError: The variable can't be understood.
    """
    choice = os.environ.get(CHOICE_VARIABLE, "").strip()
    names = [name.strip() for name in choice.split(",")] if choice else []
    disabled = [name[1:] for name in names if name.startswith("-")]
    is_valid = all(re.fullmatch(_NAME_PATTERN, name) for name in disabled or names)
    if len(disabled) not in {0, len(names)} or not is_valid:
        raise errors.ConfigurationError(
            f"the environment variable {CHOICE_VARIABLE} can't be understood.",
            hint="Set it to the names of the plugins to disable, such as -acme,-vault, or of the "
            "only ones to enable, such as acme,vault, or to none to enable none.",
        )
    if plugin.is_own or disabled:
        return plugin.name in disabled and not plugin.is_own
    return bool(names) and (names == ["none"] or plugin.name not in names)


def _plugins_of(distribution: Distribution, group: str) -> list[Installed]:
    # Most distributions have no such group: their other files need not be opened.
    if f"[{group}" not in (distribution.read_text("entry_points.txt") or ""):
        return []
    owner = re.sub(r"[-_.]+", "-", distribution.name).lower()
    plugins = [
        Installed(point, owner, distribution.version, int(match[1] or 1))
        for point in distribution.entry_points
        if (match := re.fullmatch(re.escape(group) + _VERSION_PATTERN, point.group))
    ]
    # Of a name that is registered for several versions, the newest supported one comes last.
    plugins.sort(key=lambda plugin: (not any(plugin.version_problem()), plugin.api))
    return list({plugin.name: plugin for plugin in plugins}.values())
