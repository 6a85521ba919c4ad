"""`import keyturn` is fast, and has every public name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.conftest import for_each

import keyturn

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW = [
    "asyncio",
    "attrs",
    "attr",
    "authlib",
    "cattrs",
    "diskcache",
    "httpx",
    "importlib.metadata",
    "platformdirs",
    "pluggy",
    "sqlite3",
    "ssl",
]


def test_import_imports_nothing_slow(run_new_python: Callable[..., str]) -> None:
    """Every command would start slowly, whether it needs a token or not."""
    code = f"""
import sys
before = set(sys.modules)  # what measures the tests' coverage imports some of them
import keyturn
print(sorted(set({SLOW}) & (set(sys.modules) - before)))
"""
    assert run_new_python(code) == "[]"


def test_hit_in_memory_needs_no_http_library(run_new_python: Callable[..., str]) -> None:
    """Opening a connection would import modules that only a token request needs."""
    code = """
import sys
before = set(sys.modules)
import keyturn
connection = keyturn.connect(
    "orocommerce", url="https://shop.example", client_id="c", client_secret="s")
connection.token_request()
print({"httpx", "authlib", "ssl", "sqlite3", "asyncio"} & (set(sys.modules) - before))
"""
    assert run_new_python(code) == "set()"


@for_each("name", keyturn.__all__)
def test_every_public_name_exists(name: str) -> None:
    """A public name would be missing."""
    value = getattr(keyturn, name)

    assert value is getattr(keyturn, name)
    assert getattr(value, "__doc__", "")


def test_names_are_listed() -> None:
    """An interactive user could not list the public names."""
    assert set(keyturn.__all__) <= set(dir(keyturn))


def test_unknown_name_is_an_attribute_error() -> None:
    """`hasattr` would fail, or a typo would not be reported."""
    with pytest.raises(AttributeError, match="module 'keyturn' has no attribute 'tokn'"):
        _ = keyturn.tokn
    assert not hasattr(keyturn, "__path_to_nowhere__")
