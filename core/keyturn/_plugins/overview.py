"""The installed plugins and their states, without importing them."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn._plugins import discovery
from keyturn._plugins.discovery import BUILT_IN, OWN_PROVIDERS, Installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

_KINDS = {
    "keyturn_store": "store",
    "keyturn_secret": "secret source",
    "keyturn_event": "listener",
}


class PluginState(NamedTuple):
    """The state of an installed plugin.

    Args:
        kind: `provider`; or `store`, `secret source`, `listener` or several of them; or `plugin`,
            if it is unknown.
        name: The name of its entry point.
        distribution: The distribution that registers it.
        version: That distribution's version.
        api: The version of the plugin API that it is written for.
        state: `ok`, `conflict`, `ignored`, `disabled`, `too new`, `too old` or `failed`.
        detail: What to do if the state is not `ok`, or an empty string.
    """

    kind: str
    name: str
    distribution: str
    version: str
    api: int
    state: str
    detail: str


def plugin_states() -> list[PluginState]:
    """Return all plugins, including keyturn's own providers, without importing them.

    Raises:
        keyturn.errors.ConfigurationError: `KEYTURN_PLUGINS` is invalid.
    """
    release = discovery.own_release()
    own = [plugin._replace(release=release) for plugin in OWN_PROVIDERS.values()]
    others = [
        plugin for plugin in discovery.installed(discovery.PROVIDERS_GROUP) if not plugin.is_own
    ]
    providers = sorted([*own, *others], key=lambda plugin: (plugin.name, plugin.distribution))
    return [
        *(_state("provider", plugin, providers) for plugin in providers),
        *(_state("", plugin, []) for plugin in discovery.installed(discovery.PLUGINS_GROUP)),
    ]


def _state(kind: str, plugin: Installed, providers: list[Installed]) -> PluginState:
    source, failure = (None, "") if plugin.is_own else _source(plugin.value.partition(":")[0])
    state, detail = _known_state(plugin, providers)
    if state == "ok" and failure:
        state, detail = "failed", failure
    return PluginState(
        kind or ", ".join(_kinds(source)) or "plugin",
        plugin.name,
        plugin.distribution,
        plugin.release,
        plugin.api,
        state,
        detail,
    )


def _known_state(plugin: Installed, providers: list[Installed]) -> tuple[str, str]:
    """Return a plugin's state, from its metadata and the environment."""
    if plugin in providers and not plugin.is_own and plugin.name in BUILT_IN:
        return "ignored", "the name is built in: uninstall it, or report it to its authors"
    problem, advice = plugin.version_problem()
    if problem:
        is_new = advice.endswith(f"Update {discovery.OWN_DISTRIBUTION}.")
        return f"too {'new' if is_new else 'old'}", f"{problem}. {advice}"
    if discovery.is_disabled(plugin):
        return "disabled", f"change {discovery.CHOICE_VARIABLE} to enable it"
    is_shared = sum(other.name == plugin.name for other in providers) > 1
    if is_shared and not plugin.is_own:
        return "conflict", "two distributions register the name: uninstall all but one"
    return "ok", ""


def _kinds(source: str | None) -> Iterator[str]:
    """Yield the kinds of a plugin of group `keyturn.plugins`, by the hooks in its source."""
    names = set[str]()
    for node in ast.walk(ast.parse(source or "")):
        if isinstance(node, (ast.FunctionDef, ast.alias, ast.Name)):
            names |= {node.id} if isinstance(node, ast.Name) else {node.name}
        if isinstance(node, ast.alias) and node.asname:
            names.add(node.asname)
    yield from (kind for hook, kind in _KINDS.items() if hook in names)


def _source(module: str) -> tuple[str | None, str]:
    """Return the source of a module without importing it, and a problem or an empty string."""
    try:
        spec = _spec(module)
        if spec is None:
            return None, f"the module {module} does not exist: reinstall the distribution"
        read: Any = getattr(spec.loader, "get_source", None)
        source: str | None = read(module) if read else None
        ast.parse(source or "")
    except Exception as error:  # noqa: BLE001 - a finder or a file may do anything
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        return None, f"the module {module} can't be read: {type(error).__name__}{line}"
    return source, ""


def _spec(module: str) -> ModuleSpec | None:
    """Return the path of a module; `importlib.util.find_spec` would import its packages."""
    spec, path = None, None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        found = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next(filter(None, found), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec
