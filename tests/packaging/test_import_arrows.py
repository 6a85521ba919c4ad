"""The house as designed: which module may import which."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path
from typing import TYPE_CHECKING

import keyturn

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
CORE = REPOSITORY / "core" / "keyturn"
PROVIDERS = REPOSITORY / "providers"

# From the ground up. A module may import its own room's and those below; a package counts as one.
ROOMS = (
    {"errors", "secret", "token", "urls", "clock"},
    {"computed", "request", "response"},
    {"lifetime", "rate_limit"},
    {"shape", "schema", "settings"},
    {"templates", "authentication", "_provider", "asking", "provider_data", "description"},
    {"once", "hooks", "entry_points", "plugins", "events"},
    {"stores", "keyreading", "keyfile"},
    {"transport", "rate_limiter", "negative_cache", "exchange", "flights", "renewal", "shared"},
    {"held", "keeper", "connection", "explanation", "opening"},
    {"config", "integrations", "testing", "cli"},
)
# The package itself only forwards names, when they are first used.
ROOF = "__init__"

PURE = set().union(*ROOMS[:5]) - {"clock"}
WORLD = {
    "asyncio",
    "httpx",
    "os",
    "pathlib",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
}

PUBLIC_MODULES = {f"keyturn.{name}" for name in ("errors", "integrations", "stores", "testing")}


def imports(path: Path, *, typing_too: bool = False) -> Iterator[str]:
    """Yield what a module imports, at its top or later, as dotted names.

    What only the type checker imports is left out by default: types may be those of upper rooms.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only and not typing_too:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    """Return the dotted name of a core module, without the leading `keyturn`."""
    return ".".join(path.relative_to(CORE).with_suffix("").parts).removesuffix(f".{ROOF}")


def core_imports() -> dict[str, set[str]]:
    """Return for each core module the core modules that it imports, the roof left out."""
    paths = {module_name(path): path for path in CORE.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        dotted = {i.removeprefix("keyturn.") for i in imports(path) if i.startswith("keyturn.")}
        # `from keyturn.token import Token` names something within a module.
        modules = {i if i in paths else i.rpartition(".")[0] for i in dotted}
        graph[name] = modules - {name, ROOF, ""}
    del graph[ROOF]
    return graph


def provider_modules() -> list[Path]:
    """Return the files of all built-in providers."""
    return sorted(PROVIDERS.rglob("*.py"))


def attributes_of_keyturn(path: Path) -> Iterator[str]:
    """Yield `keyturn.name` for each such use in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "keyturn":
            yield f"keyturn.{node.attr}"


def test_every_module_has_its_room() -> None:
    """A module that nobody placed would escape the rule of the arrows."""
    modules = {name.partition(".")[0] for name in core_imports()}

    assert modules <= set().union(*ROOMS)


def test_imports_point_downwards() -> None:
    """A lower room that needs an upper one can't be understood or tested without it."""
    height = {module: level for level, room in enumerate(ROOMS) for module in room}
    upwards = [
        f"{importer} imports {imported}"
        for importer, importeds in core_imports().items()
        for imported in importeds
        if height[imported.partition(".")[0]] > height[importer.partition(".")[0]]
    ]

    assert upwards == []


def test_imports_make_no_circle() -> None:
    """Two modules that import each other are one module in two files."""
    graphlib.TopologicalSorter(core_imports()).prepare()


def test_what_decides_touches_nothing_outside() -> None:
    """A decision that reads a clock, a file or a socket can't be tested with given values."""
    touching = [
        f"{module} imports {imported}"
        for module in sorted(PURE)
        for imported in imports(CORE / f"{module}.py")
        if imported.partition(".")[0] in WORLD
    ]

    assert touching == []


def test_core_knows_no_provider() -> None:
    """A core that imports a provider can't do without it, and a stranger's can't do the same."""
    importing = [
        f"{path}: {name}"
        for path in CORE.rglob("*.py")
        for name in imports(path, typing_too=True)
        if name.startswith("keyturn_")
    ]

    assert importing == []


def test_providers_know_keyturn_by_its_public_names_only() -> None:
    """A built-in provider that needs a private name can't be copied by a stranger."""
    public = {f"keyturn.{name}" for name in keyturn.__all__} | {"keyturn", *PUBLIC_MODULES}
    private = [
        f"{path}: {name}"
        for path in provider_modules()
        for name in (*imports(path, typing_too=True), *attributes_of_keyturn(path))
        if name.partition(".")[0] == "keyturn"
        and name not in public
        and name.rpartition(".")[0] not in PUBLIC_MODULES
    ]

    assert private == []


def test_providers_know_no_other_provider() -> None:
    """Two providers tied together can't be understood, or left out, one by one."""
    tied = [
        f"{path}: {name}"
        for path in provider_modules()
        for name in imports(path, typing_too=True)
        if name.startswith("keyturn_")
        and name.partition(".")[0] != path.relative_to(PROVIDERS).parts[0]
    ]

    assert tied == []
