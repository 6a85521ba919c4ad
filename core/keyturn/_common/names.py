"""Names: lazy imports of a package, suggestions for misspelled names, and escaping."""

from __future__ import annotations

import importlib
import sys

_MAX_MISSPELT = 100
# `typing` takes 15 ms to import, half of the time that `import keyturn` would take.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


def lazy_names(package: str, sources: Mapping[str, str]) -> tuple[Callable[[str], Any], Any]:
    """Return `__getattr__` and `__dir__` of a package (PEP 562).

    Args:
        package: The package's name.
        sources: Each name, and the module that defines it; a module's own name maps to itself.
    """
    namespace = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in sources:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(sources[name])
        value = module if sources[name] == f"{package}.{name}" else getattr(module, name)
        namespace[name] = value
        # The import has loaded other classes too: `connect` returns a `Connection`.
        loaded = ((sys.modules.get(source), each) for each, source in sources.items())
        publish(package, [getattr(module, each, None) for module, each in loaded])
        return value

    def names() -> list[str]:
        return sorted({*namespace, *sources})

    return get, names


def publish(module: str, values: Iterable[object]) -> None:
    """Set the module of classes and functions to the public one from which users import them."""
    for value in values:
        if str(getattr(value, "__module__", "")).startswith("keyturn._"):
            value.__module__ = module


def shown(self: Any) -> str:
    """Return the `repr` of an instance of an attrs class.

    attrs would compile a method for each class, which takes a fifth of Python's own start.
    """
    fields = [each.name for each in self.__attrs_attrs__ if each.repr]
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in fields)
    return f"{type(self).__name__}({values})"


def did_you_mean(name: str, known: Iterable[str], *, similarity: float = 0.6) -> str:
    """Return a question after the known name nearest to `name`, or an empty string.

    Args:
        name: The written name.
        known: The known names.
        similarity: How similar it must be, from 0 to 1 (`difflib.SequenceMatcher.ratio`).
    """
    import difflib

    if len(name) > _MAX_MISSPELT:  # the search would take seconds
        return ""
    spelt = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), spelt, n=1, cutoff=similarity)
    return f" Did you mean {spelt[near[0]]}?" if near else ""


def escaped(text: str) -> str:
    """Return a string as one line, with all but visible characters and spaces escaped.

    So it can't control a terminal, forge a line, or change the order in which it is shown.
    """
    if text.isprintable():
        return text
    shown = [each if each.isprintable() else ascii(each)[1:-1] for each in text]
    return "".join(shown)


def in_one_line(error: BaseException) -> str:
    """Return an error's message with its problems, as a part of another message."""
    what, *problems = str(error).split("\n  - ")
    return f"{what} {'; '.join(problems)}".rstrip()
