"""Adapters are imported by name, and only when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import keyturn

PROGRAM = """
import sys
import keyturn
libraries = {"aiohttp", "httpx", "httpx2", "opentelemetry", "requests", "urllib3"}
keyturn.integrations
assert not libraries & set(sys.modules)
assert libraries <= set(dir(keyturn.integrations))
assert getattr(keyturn.integrations, sys.argv[1]).__name__.endswith(sys.argv[1])
print(*sorted(libraries & set(sys.modules)))
"""


@pytest.mark.parametrize("library", ["aiohttp", "httpx", "httpx2", "requests", "urllib3"])
def test_adapter_is_imported_when_it_is_named(library: str) -> None:
    """A program that uses one client would need all others installed."""
    command = [sys.executable, "-c", PROGRAM, library]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    needed = "requests urllib3" if library == "requests" else library
    assert (done.stdout, done.stderr) == (f"{needed}\n", "")


def test_unknown_adapter_is_an_attribute_error() -> None:
    """`hasattr` and tab completion would fail."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        keyturn.integrations.nothing  # type: ignore[attr-defined]  # noqa: B018
