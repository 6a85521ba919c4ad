"""What a provider's author wrote: the classes, the files and lines, and the names and strings."""

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

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEYTURN = "keyturn"
# Data whose names are words of most messages.
_COMMON = {"settings", "name", "title", "method", "scope"}
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


def location(provider: Provider[Any], text: str) -> str:
    """Return what to change of what a message names: member, file and line; empty if unknown.

    Methods come first: an overridden method decides, whatever the data say.
    """
    words = dict.fromkeys(_WORD_REGEX.findall(text))
    own = {name: cls for cls in reversed(own_classes(provider)) for name in vars(cls)}
    overridden = [
        name
        for name in words
        if name in own and issubclass(own[name], Provider) and callable(getattr(Provider, name, 0))
    ]
    settings = [
        name for name in _SETTING_REGEX.findall(text) if name in own or _key(provider, name)
    ]
    data = [name for name in words if name in own and name not in _COMMON and name[0] != "_"]
    for name in (*overridden, *settings, *data):
        line = _line(own[name], name) if name in own else ""
        if line:
            return f"{name}, {line}"
    keys = [name for name in words if _key(provider, name)]
    return next((f"the key {name} of the description" for name in (*settings, *keys)), "")


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


def own_names(provider: Provider[Any]) -> set[str]:
    """Return every name and string that the provider's own functions use."""
    found: set[str] = set()
    for code in _codes(provider):
        found |= {*code.co_names, *code.co_varnames, *code.co_freevars}
        found |= {each for each in code.co_consts if isinstance(each, str)}
    return found


def is_data_alone(provider: Provider[Any]) -> bool:
    """Return whether a provider has no code of its own."""
    return not own_classes(provider)


def _key(provider: Provider[Any], name: str) -> bool:
    """Return whether a description, which has no lines here, gives a datum or a setting."""
    cls = type(provider)
    if cls.__name__ != "DescribedProvider":
        return False
    return name in vars(cls) or name in vars(provider.settings)


def _root(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _line(cls: type, name: str) -> str:
    """Return the file and the line where a class defines a name."""
    value: Any = inspect.unwrap(getattr(vars(cls)[name], "fget", None) or vars(cls)[name])
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
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):  # pragma: no cover - it has been imported
        return found
    for cls in (each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)):
        for statement in cls.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    found[cls.name, target.id] = statement.lineno
    return found


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
