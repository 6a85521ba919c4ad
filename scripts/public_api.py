#!/usr/bin/env python3
"""Write keyturn's public API, names and signatures, to tests/api/public_api.txt.

Run `python scripts/public_api.py` after an intended change, and review the file's diff.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SNAPSHOT = Path(__file__).resolve().parents[1] / "tests" / "api" / "public_api.txt"
MODULES = (
    "keyturn",
    "keyturn.errors",
    "keyturn.plugins",
    "keyturn.stores",
    "keyturn.integrations",
    "keyturn.integrations.aiohttp",
    "keyturn.integrations.httpx",
    "keyturn.integrations.httpx2",
    "keyturn.integrations.opentelemetry",
    "keyturn.integrations.requests",
    "keyturn.integrations.urllib3",
    "keyturn.testing",
    "keyturn.testing.emulator",
    "keyturn.testing.provider_kit",
    "keyturn.testing.store_kit",
)
# Their libraries are installed in their own environments.
_NOT_INSTALLED = {
    "airbyte",
    "django",
    "dlt",
    "httpie",
    "airflow",
    "dagster",
    "niquests",
    "prefect",
    "scrapy",
    "singer",
}
_PLAIN = (bool, int, float, str, bytes, type(None))


def public_names(module: Any) -> list[str]:
    """Return the names that a module offers: `__all__`, or else those that it defines."""
    if hasattr(module, "__all__"):
        return sorted({*module.__all__} - _NOT_INSTALLED)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    )


def public_objects() -> Iterator[tuple[str, str, Any]]:
    """Yield module, name and value of each public object, in the module that defines it first."""
    seen: list[Any] = []
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in public_names(module):
            value = getattr(module, name)
            if inspect.ismodule(value) or any(value is other for other in seen):
                continue
            seen.append(value)
            yield module_name, name, value


def members(cls: type) -> dict[str, Any]:
    """Return a class's public attributes, including those of its private bases."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        is_part = base.__module__.startswith("keyturn.testing.store_kit._")
        is_own = base is cls or is_part or base.__name__.startswith("_")
        if is_own and base.__module__.startswith("keyturn"):
            found |= dict.fromkeys(inspect.get_annotations(base), inspect.Parameter.empty)
            found |= dict(vars(base))
    return {name: value for name, value in sorted(found.items()) if not name.startswith("_")}


def annotation(value: Any) -> str:
    """Return an annotation as it is written in the source."""
    if isinstance(value, str):
        return value.strip("'\"")
    return value.__name__ if isinstance(value, type) else str(value).replace("typing.", "")


def annotations(cls: type) -> dict[str, str]:
    """Return the annotations of a class's attributes by name."""
    return {
        name: annotation(value)
        for base in reversed(cls.__mro__)
        for name, value in inspect.get_annotations(base).items()
    }


def signature(function: Any) -> str:
    """Return a signature with annotations; a default that is no literal is shown as `...`."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    empty = inspect.Parameter.empty
    shown: list[str] = []
    before = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for parameter in [*found.parameters.values(), None]:
        kind = parameter.kind if parameter else inspect.Parameter.VAR_KEYWORD
        if before is inspect.Parameter.POSITIONAL_ONLY and kind is not before:
            shown.append("/")
        if parameter is None:
            break
        if kind is kind.KEYWORD_ONLY and before not in {kind.KEYWORD_ONLY, kind.VAR_POSITIONAL}:
            shown.append("*")
        stars = {kind.VAR_POSITIONAL: "*", kind.VAR_KEYWORD: "**"}.get(kind, "")
        kinds = "" if parameter.annotation is empty else f": {annotation(parameter.annotation)}"
        default = "" if parameter.default is empty else f" = {literal(parameter.default)}"
        shown.append(f"{stars}{parameter.name}{kinds}{default}")
        before = kind
    returns = found.return_annotation
    return f"({', '.join(shown)})" + ("" if returns is empty else f" -> {annotation(returns)}")


def literal(value: Any) -> str:
    """Return a default as it is written, if it is a literal."""
    is_plain = isinstance(value, _PLAIN) or value in ((), frozenset())
    return repr(value) if is_plain else "..."


def _lines(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        yield f"class {name}({bases})" if bases else f"class {name}"
        if value.__init__ is not object.__init__ and not getattr(value, "_is_protocol", False):
            yield f"    {name}{signature(value)}"
        known = annotations(value)
        for member, attribute in members(value).items():
            yield f"    {_member(member, attribute, known)}"
    elif inspect.isroutine(value):
        yield f"{name}{signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def _member(name: str, value: Any, known: dict[str, str]) -> str:
    if isinstance(value, (staticmethod, classmethod)):
        return f"@{type(value).__name__} {name}{signature(value.__func__)}"
    if isinstance(value, property):
        returns = inspect.signature(value.fget).return_annotation if value.fget else ""
        return f"{name}: {annotation(returns)} (property)"
    if inspect.isfunction(value):
        prefix = "async " if inspect.iscoroutinefunction(value) else ""
        return f"{prefix}{name}{signature(value)}"
    has_literal = isinstance(value, _PLAIN)
    default = f" = {value!r}" if has_literal else ""
    return f"{name}: {known.get(name, type(value).__name__)}{default}"


def public_api() -> str:
    """Return the whole public API, one name a line."""
    lines: list[str] = []
    defined: dict[int, str] = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        lines += ["", f"# {module_name}", ""]
        for name in public_names(module):
            value = getattr(module, name)
            if inspect.ismodule(value):
                lines.append(f"module {name}")
            elif inspect.isclass(value) and id(value) in defined:
                lines.append(f"{name} = {defined[id(value)]}")
            else:
                defined[id(value)] = f"{module_name}.{name}"
                lines += _lines(name, value)
    return "\n".join(lines[1:]) + "\n"


if __name__ == "__main__":
    SNAPSHOT.parent.mkdir(parents=True, exist_ok=True)
    SNAPSHOT.write_text(public_api(), encoding="utf-8")
