"""The examples in docstrings work."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import for_each

if TYPE_CHECKING:
    from types import ModuleType

PACKAGES = [
    "keyturn",
    "keyturn_norce",
    "keyturn_orocommerce",
    "keyturn_commercelayer",
    "keyturn_generic",
]
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Finder(doctest.DocTestFinder):
    """Finds the examples of all classes and functions that a module defines.

    The `__module__` of a public name is the module that users import it from, so doctest's own
    finder would look for its examples there.
    """

    def _from_module(self, module: ModuleType | None, object: Any) -> bool:  # noqa: A002 - doctest's
        if module is not None and inspect.isclass(object):
            return object.__name__ in {node.name for node in definitions(module)}
        if module is not None and inspect.isfunction(object):
            return object.__globals__ is vars(module)
        if hasattr(object, "__wrapped__"):  # another name for a function
            return False
        return super()._from_module(module, object)  # type: ignore[misc,no-any-return]


@functools.cache
def definitions(module: ModuleType) -> list[Definition]:
    """Return all classes and functions that a module defines, nested ones included."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def modules() -> list[str]:
    """Return the names of all modules of core and providers, except programs."""
    names = list(PACKAGES)
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        names += [info.name for info in pkgutil.walk_packages(path, f"{package}.")]
    # Modules of platforms that are not installed; PyInstaller imports its hooks by itself.
    elsewhere = (
        r"airbyte|airflow|dagster|django(\.apps)?|dlt|_?httpie|niquests|prefect|scrapy|singer"
    )
    programs = re.compile(rf"\.__main__$|\.hook-|\.({elsewhere})$")
    return [name for name in names if not programs.search(name)]


@for_each("name", modules)  # which imports all of them
def test_examples_in_docstrings_work(name: str) -> None:
    """`help()` would show an example that fails, or that no test runs."""
    module = importlib.import_module(name)
    found = [test for test in Finder().find(module, name) if test.examples]
    documents = [ast.get_docstring(node) or "" for node in definitions(module)]
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in found:
        runner.run(test)

    assert len(found) == sum(">>> " in document for document in documents)
    assert runner.summarize(verbose=False).failed == 0
