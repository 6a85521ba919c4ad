"""The source of a provider: its classes, files and lines, and its names and strings."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import re
import sys
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from keyturn._providers.provider import Provider
from keyturn._providers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEYTURN = "keyturn"
# Data whose names occur in most messages.
_COMMON = {"settings", "name", "title", "method", "scope"}
# The method that uses each datum.
MADE_OF = (
    ("token_headers", "token_request"),
    ("parameters", "token_request"),
    ("token_url", "token_request"),
    ("api_url", "api_url_for"),
    ("api_headers", "api_request_headers"),
    ("revocation_url", "revocation_request"),
)
_SHORT_WORD = 3
_WORD_REGEX = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SETTING_REGEX = re.compile(r"\bsettings? ([a-z][a-z0-9_]*)")


def own_classes(provider: Provider[Any]) -> list[type]:
    """Return the classes of a provider and of its settings that keyturn does not define."""
    settings: Any = getattr(provider, "settings", None)
    bases = settings.__mro__ if isinstance(settings, type) else ()
    found = dict.fromkeys((*type(provider).__mro__, *bases))
    return [each for each in found if _root(each) not in {_KEYTURN, "builtins", "typing", "abc"}]


def own_places(provider: Provider[Any]) -> tuple[str, ...]:
    """Return the files, and the directories of packages, with the provider's own code."""
    found: dict[str, None] = {}
    for cls in own_classes(provider):
        module = sys.modules.get(cls.__module__)
        file = getattr(module, "__file__", None)
        package = getattr(module, "__package__", None)
        root = sys.modules.get((package or "").partition(".")[0])
        directories = list(getattr(root, "__path__", ())) if package else []
        for each in directories or ([file] if file else []):
            found[str(each)] = None
    return tuple(found)


def own_files(provider: Provider[Any]) -> list[str]:
    """Return the files in which a provider's own classes are."""
    modules = (sys.modules.get(cls.__module__) for cls in own_classes(provider))
    files = (getattr(module, "__file__", None) for module in modules)
    return [file for file in dict.fromkeys(files) if file]


def location(provider: Provider[Any], text: str) -> str:
    """Return the place that a message names: member, file and line; empty if unknown.

    Methods come first, because an overridden method takes precedence over the data.
    """
    words = dict.fromkeys(_WORD_REGEX.findall(text))
    own = {name: cls for cls in reversed(own_classes(provider)) for name in vars(cls)}
    overridden = [
        name
        for name in words
        if name in own and issubclass(own[name], Provider) and callable(getattr(Provider, name, 0))
    ]
    settings = _SETTING_REGEX.findall(text)
    data = [name for name in words if name in own and name not in _COMMON and name[0] != "_"]
    first = [name for name in data if text.startswith(name)]
    for name in (*overridden, *first, *settings, *data):
        line = _line(own[name], name) if name in own else _setting_line(provider, name)
        if line:
            return f"{name}, {line}"
    for cls in own_classes(provider):
        if cls.__name__ in words and (line := _line(cls, "")):
            return f"{cls.__name__}, {line}"
    keys = [name for name in (*settings, *words) if _key(provider, name)]
    return next((f"the key {name} of the description" for name in keys), "")


def datum_location(provider: Provider[Any], text: str) -> str:
    """Return the provider's own datum that a method named in a message uses."""
    words = _WORD_REGEX.findall(text)
    own = {name: cls for cls in reversed(own_classes(provider)) for name in vars(cls)}
    found = (name for name, method in MADE_OF if method in words and name in own)
    return next((f"{name}, {_line(own[name], name)}" for name in found), "")


def statement(provider: Provider[Any], effect: str) -> str:
    """Return the file and line of the statement at a module's top level that has an effect."""
    words = [each.lower()[:4] for each in _WORD_REGEX.findall(effect) if len(each) > _SHORT_WORD]
    found: dict[str, str] = {}
    for file in own_files(provider):
        for node in getattr(tree(file), "body", ()):
            is_string = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            targets = getattr(node, "targets", ())
            acts = isinstance(node, (ast.Expr, ast.For, ast.With, ast.If, ast.Try)) or any(
                isinstance(each, (ast.Attribute, ast.Subscript)) for each in targets
            )
            if acts and not is_string:
                found[f"{Path(file).name}:{node.lineno}"] = ast.unparse(node).lower()
    fitting = (place for place, code in found.items() if any(word in code for word in words))
    return next(fitting, next(iter(found), ""))


def own_strings(provider: Provider[Any]) -> list[str]:
    """Return the strings in the provider's own code, such as names of claims and fields."""
    strings = (each for code in _codes(provider) for each in code.co_consts)
    plain = [each for each in strings if isinstance(each, str)]
    modules = [sys.modules.get(cls.__module__) for cls in own_classes(provider)]
    holders: list[Any] = [*own_classes(provider), *filter(None, modules)]
    values = [each for holder in holders for each in vars(holder).values()]
    functions: list[Any] = [each for each in values if callable(each)]
    values += [each for own in functions for each in getattr(own, "__defaults__", None) or ()]
    plain += [each for each in values if isinstance(each, str)]
    return [each for each in dict.fromkeys(plain) if len(each) < 64 and "\n" not in each]


def compared(provider: Provider[Any]) -> dict[str, list[Any]]:
    """Return the constants with which the provider's own code compares each attribute."""
    found: dict[str, list[Any]] = {}
    for file in own_files(provider):
        for name, values in _comparisons(file):
            found.setdefault(name, []).extend(values)
    return found


@functools.lru_cache(maxsize=64)
def _comparisons(file: str) -> list[tuple[str, list[Any]]]:
    """Return the attributes in the comparisons of a file, with the constants of each."""
    found: list[tuple[str, list[Any]]] = []
    for node in ast.walk(tree(file)):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        names = [side.attr for side in sides if isinstance(side, ast.Attribute)]
        parts = [part for side in sides for part in getattr(side, "elts", [side])]
        values = [part.value for part in parts if isinstance(part, ast.Constant)]
        found += [(name, [each for each in values if each is not None]) for name in names]
    return found


def own_names(provider: Provider[Any]) -> set[str]:
    """Return every name and string that the provider's own functions use."""
    found: set[str] = set()
    for code in _codes(provider):
        found |= {*code.co_names, *code.co_varnames, *code.co_freevars}
        found |= {each for each in code.co_consts if isinstance(each, str)}
    return found


def is_data_alone(provider: Provider[Any]) -> bool:
    """Return whether a provider has no code."""
    return not own_classes(provider)


def _setting_line(provider: Provider[Any], name: str) -> str:
    """Return where a settings class declares a setting, which is not an attribute of the class."""
    lines = (_line(cls, name) for cls in own_classes(provider) if issubclass(cls, Settings))
    return next(filter(None, lines), "")


def _key(provider: Provider[Any], name: str) -> bool:
    """Return whether a description, whose lines are unknown here, has a datum or a setting."""
    cls = type(provider)
    if cls.__name__ != "DescribedProvider":
        return False
    return name in vars(cls) or name in vars(provider.settings)


def _root(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _line(cls: type, name: str) -> str:
    """Return the file and the line where a class defines a name."""
    found: Any = vars(cls).get(name)
    value: Any = inspect.unwrap(getattr(found, "fget", None) or found)
    value = getattr(value, "__func__", value)
    code = getattr(value, "__code__", None)
    if code is not None:
        return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    number = file and _assignments(file).get((cls.__name__, name))
    return f"{Path(file).name}:{number}" if file and number else ""


@functools.lru_cache(maxsize=64)
def _assignments(file: str) -> dict[tuple[str, str], int]:
    """Return the lines of all assignments in the classes of a file, by class and name."""
    found: dict[tuple[str, str], int] = {}
    for cls in (each for each in ast.walk(tree(file)) if isinstance(each, ast.ClassDef)):
        for statement in cls.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            found[cls.name, ""] = cls.lineno
            for target in targets:
                if isinstance(target, ast.Name):
                    found[cls.name, target.id] = statement.lineno
    return found


@functools.lru_cache(maxsize=64)
def tree(file: str) -> ast.AST:
    """Return the syntax tree of a file."""
    return ast.parse("".join(linecache.getlines(file)))


def _codes(provider: Provider[Any]) -> Iterator[CodeType]:
    """Yield the code of every function in the provider's own modules and classes."""
    seen: set[CodeType] = set()
    modules = {sys.modules.get(cls.__module__) for cls in own_classes(provider)}
    holders: list[Any] = [*modules, *own_classes(provider), provider]
    for value in (each for holder in holders if holder for each in vars(holder).values()):
        function: Any = inspect.unwrap(getattr(value, "fget", None) or value)
        function = getattr(function, "__func__", getattr(function, "func", function))
        pending = [getattr(function, "__code__", None)]
        if isinstance(value, type) and value.__module__ in {
            each.__module__ for each in own_classes(provider)
        }:
            pending += [
                getattr(inspect.unwrap(getattr(each, "fget", None) or each), "__code__", None)
                for each in vars(value).values()
            ]
        while pending:
            code = pending.pop()
            if isinstance(code, CodeType) and code not in seen and code.co_filename[0] != "<":
                seen.add(code)
                yield code
                pending += [each for each in code.co_consts if isinstance(each, CodeType)]
