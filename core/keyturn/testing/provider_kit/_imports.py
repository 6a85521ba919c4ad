"""Statements at the top level of a provider's modules that change what is not the provider's."""

from __future__ import annotations

import ast
import builtins
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn.testing.provider_kit._source import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Of these, calls whose result is not used are common, and change nothing.
_HARMLESS = {"importlib", "typing"}


def acting_statements(files: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield what each such statement in some files does, and its file and line."""
    for file in files:
        body = getattr(tree(file), "body", [])
        imported = _imported(body)
        for node in _statements(body):
            for what in _acts(node, imported):
                yield what, f"{Path(file).name}:{node.lineno}"


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that an import runs, those in blocks too."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With, ast.For)):
            blocks = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
            blocks += [each.body for each in getattr(node, "handlers", [])]
            for block in blocks:
                yield from _statements(block)


def _imported(body: list[ast.stmt]) -> dict[str, str]:
    """Return the module of each name that is imported from elsewhere."""
    found: dict[str, str] = {}
    for node in _statements(body):
        if isinstance(node, ast.Import):
            for each in node.names:
                found[each.asname or each.name.partition(".")[0]] = each.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {each.asname or each.name: node.module for each in node.names}
    return found


def _acts(node: ast.stmt, imported: dict[str, str]) -> Iterator[str]:
    targets: list[ast.expr] = []
    if isinstance(node, (ast.Assign, ast.Delete)):
        targets = node.targets
    elif isinstance(node, ast.AugAssign):
        targets = [node.target]
    for each in targets:
        if _root(each) in imported and not isinstance(each, ast.Name) and not _names_own(each):
            yield f"changes {ast.unparse(each)}"
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Call) and _is_of_python(imported.get(_root(call.func), "")):
        names = {each.id for each in ast.walk(call) if isinstance(each, ast.Name)}
        # What is called for something of the module's own is about that alone.
        if names <= imported.keys() | vars(builtins).keys() and "getLogger" not in ast.unparse(
            call.func
        ):
            yield f"calls {ast.unparse(call.func)}"


def _root(node: ast.expr) -> str:
    """Return the name with which an expression such as `a.b[c].d()` begins."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _names_own(node: ast.expr) -> bool:
    """Return whether the module itself is meant, as by `sys.modules[__name__]`."""
    return "__name__" in ast.unparse(node)


def _is_of_python(module: str) -> bool:
    root = module.partition(".")[0]
    return root in sys.stdlib_module_names and root not in _HARMLESS
