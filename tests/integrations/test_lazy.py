"""Adapters are there by name, and imported only then."""

from __future__ import annotations

import subprocess
import sys

import pytest

import keyturn

PROGRAM = """
import sys
import keyturn
keyturn.integrations
assert "httpx" not in sys.modules and "requests" not in sys.modules
assert "requests" in dir(keyturn.integrations)
print(keyturn.integrations.requests.KeyturnAuth.__name__, "httpx" in sys.modules)
"""


def test_adapter_is_imported_when_it_is_named() -> None:
    """A program that uses requests would have to have httpx's adapter imported, or the reverse."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("KeyturnAuth False\n", "")


def test_unknown_adapter_is_an_attribute_error() -> None:
    """`hasattr` and tab completion would fail."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        keyturn.integrations.nothing  # type: ignore[attr-defined]  # noqa: B018
