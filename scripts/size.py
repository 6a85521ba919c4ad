#!/usr/bin/env python3
"""Print how large keyturn is: entries at the root of its package, modules, and AST statements.

`scripts/size.py [REVISION ...]` counts the working tree, and each given revision of git.
`testing` is counted separately: it is for tests, and no application imports it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "core/keyturn"


def size(sources: dict[str, str]) -> dict[str, int]:
    """Return the counts of a package.

    Args:
        sources: The source of each module, by its path within the package.
    """
    entries = {PurePosixPath(path).parts[0] for path in sources}
    counts = {"entries": len(entries), "public entries": 0, "modules": 0, "statements": 0}
    counts["public entries"] = sum(not each.startswith("_") for each in entries)
    counts["statements of testing"] = 0
    for path, source in sources.items():
        is_testing = path.startswith("testing/")
        found = sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(source)))
        counts["modules"] += not is_testing
        counts["statements of testing" if is_testing else "statements"] += found
    return counts


def _sources(revision: str | None) -> dict[str, str]:
    if revision is None:
        root = REPOSITORY / PACKAGE
        found = sorted(root.rglob("*.py"))
        return {each.relative_to(root).as_posix(): each.read_text("utf-8") for each in found}
    listed = _git("ls-tree", "-r", "--name-only", revision, PACKAGE).splitlines()
    paths = [path for path in listed if path.endswith(".py")]
    start = len(PACKAGE) + 1
    return {path[start:]: _git("show", f"{revision}:{path}") for path in paths}


def _git(*arguments: str) -> str:
    command = ("git", "-C", str(REPOSITORY), *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - git


def main() -> None:
    """Print the counts."""
    for revision in (*sys.argv[1:], None):
        counts = size(_sources(revision))
        shown = ", ".join(f"{number} {name}" for name, number in counts.items())
        sys.stdout.write(f"{revision or 'working tree'}: {shown}\n")


if __name__ == "__main__":
    main()
