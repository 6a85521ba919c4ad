"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import importlib
import sys

# `typing` takes 15 ms to import, half of all that `import keyturn` would cost.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lazy_names(package: str, sources: Mapping[str, str]) -> tuple[Callable[[str], Any], Any]:
    """Return `__getattr__` and `__dir__` of a package (PEP 562).

    Args:
        package: The package's name.
        sources: Each name, and the module that defines it; a module itself stands for its own.
    """
    namespace = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in sources:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        module = importlib.import_module(sources[name])
        value = module if sources[name] == f"{package}.{name}" else getattr(module, name)
        namespace[name] = value
        return value

    def names() -> list[str]:
        return sorted({*namespace, *sources})

    return get, names
