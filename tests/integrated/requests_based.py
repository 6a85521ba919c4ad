"""The tests of all adapters, for one that requests uses; and programs in its environment."""

from __future__ import annotations

import inspect
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integrations import (
    conftest,
    test_attach,
    test_four_providers,
    test_network_policy,
    test_redirect_targets,
    test_redirects,
    test_refused_token,
    test_request_auth,
    walkers,
)

if TYPE_CHECKING:
    import keyturn

MODULES = (
    *(conftest, test_attach, test_four_providers, test_network_policy, test_redirect_targets),
    *(test_redirects, test_refused_token, test_request_auth),
)
ROOT = Path(__file__).parents[2]


def shared_tests() -> dict[str, Any]:
    """Return the fixtures, and the tests that are for each client."""
    return {
        name: value
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, type(conftest.api))
        or (
            name.startswith("test_")
            and {"client_class", "walker"} & inspect.signature(value).parameters.keys()
        )
    }


def client(auth: Any) -> type[conftest.Client]:
    """Return a client that uses a class of authentication with `requests.Session`."""

    class Client(conftest.Requests):
        def __init__(self, connection: keyturn.Connection | str) -> None:
            self.auth = auth(connection)

    return Client


def walker(auth: Any) -> walkers.Walker:
    """Return a walker that uses a class of authentication with `requests.Session`."""

    class Walked(walkers.Requests):
        def auth(self, connection: keyturn.Connection) -> Any:
            return auth(connection)

    return Walked()


def in_environment(
    name: str, directory: Path, *command: Any, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a Python module in an environment, and return what it prints.

    Args:
        name: The environment's name.
        directory: Its home and working directory.
        command: The module and its arguments.
        variables: Further environment variables.
    """
    python = ROOT / f".cache/integrated-{name}/bin/python"
    usual = {"HOME": str(directory), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-m", *command],
        check=False,
        capture_output=True,
        text=True,
        cwd=directory,
        env=usual | variables,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def version(name: str, distribution: str) -> str:
    """Return the version of a distribution in an environment."""
    code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    python = ROOT / f".cache/integrated-{name}/bin/python"
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
