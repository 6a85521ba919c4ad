"""Adapters are imported by name, and only when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import keyturn

# Each library is imported in a process of its own, forked from one that has imported keyturn.
PROGRAM = """
import os
import sys
import keyturn
libraries = {"aiohttp", "httpx", "httpx2", "opentelemetry", "requests", "urllib3"}
keyturn.integrations
assert not libraries & set(sys.modules)
assert libraries <= set(dir(keyturn.integrations))
for library in sys.argv[1:]:
    child = os.fork()
    if not child:
        assert getattr(keyturn.integrations, library).__name__.endswith(library)
        print(library, "needs", *sorted(libraries & set(sys.modules)), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_adapter_is_imported_when_it_is_named() -> None:
    """A program that uses one client would need all others installed."""
    needed = {each: each for each in ("aiohttp", "httpx", "httpx2", "requests", "urllib3")}
    needed["requests"] = "requests urllib3"
    command = [sys.executable, "-c", PROGRAM, *needed]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{each} needs {libraries}" for each, libraries in needed.items()
    ]


def test_unknown_adapter_is_an_attribute_error() -> None:
    """`hasattr` and tab completion would fail."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        keyturn.integrations.nothing  # type: ignore[attr-defined]  # noqa: B018
