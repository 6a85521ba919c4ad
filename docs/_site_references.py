"""Resolves the names in annotations and docstrings, as the code writes them.

An annotation may name a class by its short name, or by the private module that defines it: both
lead to the public name. Names of other distributions have no page here, and get no link.
"""

from __future__ import annotations

import builtins
import collections.abc
import importlib.util
import re
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, Final

import attrs
from docutils import nodes
from sphinx import addnodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_DEFAULT_REGEX: Final = re.compile(r"attr_dict\['(?P<name>\w+)'\]\.default")
_KNOWN: Final = (builtins, typing, collections.abc, types)


def _public_name(env: BuildEnvironment, target: str) -> str | None:
    """Return the full name of a documented class or function, found by its short name."""
    short = target.rpartition(".")[2]
    if "." in target and not target.startswith("keyturn."):
        return None
    found = [
        name
        for name, each in env.domains["py"].data["objects"].items()
        if name.rpartition(".")[2] == short and each.objtype in {"class", "exception", "function"}
    ]
    return min(found, key=lambda name: (name.count("."), name), default=None)


def _is_foreign(app: Sphinx, target: str) -> bool:
    """Return whether a name belongs to Python or to another distribution."""
    root, _, rest = target.partition(".")
    if not rest:
        return any(hasattr(module, target) for module in _KNOWN)
    mocked = root in app.config.autodoc_mock_imports
    return root != "keyturn" and (
        mocked or root in sys.stdlib_module_names or importlib.util.find_spec(root) is not None
    )


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.Node | None:
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].removeprefix("~")
    if public := _public_name(env, target):
        python = env.domains["py"]
        return python.resolve_xref(env, node["refdoc"], app.builder, "obj", public, node, content)
    return content if _is_foreign(app, target) else None


def _qualify(
    _app: Sphinx, _kind: str, _name: str, value: object, _options: object, *given: str | None
) -> tuple[str | None, str | None]:
    """Show a record's defaults, and name in full the class that a function returns.

    The source of a record's `__init__` has a default only as a look-up.
    """
    signature, returned = given
    if isinstance(value, type) and attrs.has(value) and signature:
        defaults = {each.alias: each.default for each in attrs.fields(value)}
        signature = _DEFAULT_REGEX.sub(lambda match: _shown(defaults[match["name"]]), signature)
    found = getattr(value, "__globals__", {}).get(returned)
    if isinstance(found, type) and found.__module__.startswith("keyturn."):
        return signature, f"~{found.__module__}.{found.__qualname__}"
    return signature, returned


def _shown(default: object) -> str:
    return "..." if isinstance(default, attrs.Factory) else repr(default)  # type: ignore[arg-type]


def _link_code(app: Sphinx, document: nodes.document, name: str) -> None:
    """Link the full names of public objects that stand as code in pages and docstrings."""
    env = app.env
    python = env.domains["py"]
    for code in list(document.findall(nodes.literal)):
        target = code.astext().partition("(")[0]
        if target.startswith("keyturn.") and not isinstance(code.parent, nodes.reference):
            made = python.resolve_xref(
                env, name, app.builder, "obj", target, addnodes.pending_xref(), code.deepcopy()
            )
            if made is not None:
                code.replace_self(made)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("missing-reference", _resolve)
    app.connect("autodoc-process-signature", _qualify)
    app.connect("doctree-resolved", _link_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
