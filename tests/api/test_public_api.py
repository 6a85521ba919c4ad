"""The public API: its names, signatures and conventions."""

from __future__ import annotations

import builtins
import collections.abc
import importlib.util
import inspect
import re
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

SCRIPT = Path(__file__).parents[2] / "scripts" / "public_api.py"
# Types of the standard library and of HTTP clients that annotations name without a module.
OTHER_TYPES = {"AbstractContextManager", "AbstractSet", "Path", "TracebackType"}
OTHER_TYPES |= {
    "BaseHTTPResponse",
    "MeterProvider",
    "ProxyConfig",
    "Retry",
    "TracerProvider",
    "Url",
}
OTHER_TYPES |= {"_PoolManager"}
# Aliases of Literal, Callable and tuple: a caller writes the value itself.
ALIASES = {
    "BodyFormat", "Check", "ClientAuthentication", "Dialect", "Kind", "LifetimeFormat", "Listener",
    "Pairs", "Reason", "State", "Style", "Value",
}  # fmt: skip


def load_script() -> ModuleType:
    """Return the script that writes the snapshot."""
    spec = importlib.util.spec_from_file_location("public_api", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


api = load_script()


def public_callables() -> Iterator[tuple[str, Any]]:
    """Yield each public class, function, method and property by its dotted name."""
    for module, name, value in api.public_objects():
        if not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        yield f"{module}.{name}", value
        for member, attribute in api.members(value).items() if inspect.isclass(value) else ():
            plain = getattr(attribute, "__func__", attribute)
            if inspect.isfunction(plain) or isinstance(plain, property):
                yield f"{module}.{name}.{member}", plain


def annotations_of(value: Any) -> dict[str, Any]:
    """Return the annotations of a function, a property, or a class with its constructor."""
    if isinstance(value, property):
        return annotations_of(value.fget)
    if not inspect.isclass(value):
        return inspect.get_annotations(value)
    public = api.annotations(value)
    fields = {name: kind for name, kind in public.items() if not name.startswith("_")}
    constructor = value.__init__
    return fields | (
        inspect.get_annotations(constructor) if inspect.isfunction(constructor) else {}
    )


def test_public_api_matches_the_snapshot() -> None:
    """A change of the API would not be noticed; `python scripts/public_api.py` accepts a change."""
    assert api.public_api().splitlines() == api.SNAPSHOT.read_text(encoding="utf-8").splitlines()


def test_everything_public_has_a_docstring() -> None:
    """`help()` would show a name without a description."""
    assert [name for name, value in public_callables() if not inspect.getdoc(value)] == []


def test_annotations_name_public_types_only() -> None:
    """A caller could not import or look up the type of an argument or a result."""
    public = {name for _, name, _ in api.public_objects()}
    libraries = {"aiohttp", "httpx", "httpx2", "keyturn", "redis", "requests", "urllib3"}
    known = public | libraries | sys.stdlib_module_names | OTHER_TYPES | ALIASES
    known |= {*dir(builtins), *typing.__all__}
    known |= {*collections.abc.__all__}
    unknown = set()
    for where, value in public_callables():
        for argument, kind in annotations_of(value).items():
            written = re.sub(r"Literal\[[^\]]*\]|'[^']*'", "", api.annotation(kind))
            for name in re.findall(r"(?<![\w.])[A-Za-z_]\w*", written):
                is_type_variable = len(name.removeprefix("_")) == 1
                if name not in known and not is_type_variable:
                    unknown.add(f"{where}: {argument}: {name}")

    assert unknown == set()


def test_public_classes_and_functions_show_their_public_module() -> None:
    """A traceback or `help()` would show a private module instead of the name to import."""
    private = [
        f"{module}.{name}: {value.__module__}"
        for module, name, value in api.public_objects()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and any(part.startswith("_") for part in value.__module__.split("."))
    ]

    assert private == []
