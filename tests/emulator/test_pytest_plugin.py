"""The fixture `keyturn_emulator` in tests of applications, each run in its own process."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

PLUGIN = "keyturn.testing._pytest_plugin"
# `coverage`, if it measures this process, imports none of these.
TESTS = """
import sys

import pytest

import keyturn

BEFORE = {"httpx", "keyturn.testing.emulator"} & set(sys.modules)
CLIENTS = set()

def test_nothing_slow_was_imported(request):
    assert request.config.pluginmanager.has_plugin("keyturn.testing._pytest_plugin")
    assert BEFORE == set()

@pytest.mark.parametrize("test", [1, 2])
def test_application(keyturn_emulator, test):
    settings = keyturn_emulator.settings("orocommerce")
    assert settings["client_id"] not in CLIENTS
    CLIENTS.add(settings["client_id"])
    assert keyturn_emulator.token_requests("orocommerce") == 0
    with keyturn.connect(
        "orocommerce", store="memory://", policy=keyturn_emulator.policy, **settings
    ) as connection:
        first = connection.token()
        keyturn_emulator.revoke_tokens("orocommerce")
        assert connection.token(first).access_token != first.access_token
    assert keyturn_emulator.token_requests("orocommerce") == 2
"""


def test_pytest_finds_the_plugin() -> None:
    """The tests of an application would need a line of configuration for the fixture."""
    (point,) = importlib.metadata.entry_points(group="pytest11", name="keyturn")

    assert point.value == PLUGIN


def test_each_test_has_its_own_emulator(
    python: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """One test would see another's tokens and faults, or pytest would start slowly."""
    (tmp_path / "test_application.py").write_text(TESTS, encoding="utf-8")
    code = "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
    plugins = ["-p", "no:cacheprovider", "-p", "xdist", "-p", PLUGIN]
    options = ["-q", "-n", "1", "-W", "error", "--rootdir", tmp_path, "-c", "/dev/null"]
    process = python(code, *plugins, *options, tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    output, problem = process.communicate(timeout=40)

    assert process.returncode == 0, output + problem
    assert "3 passed" in output
