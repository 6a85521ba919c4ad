"""The adapters for niquests, in an environment of their own."""

from __future__ import annotations

import os
import subprocess

import pytest
from tests.integrated.conftest import HERE
from tests.integrated.results import lines_of, record
from tests.integrated.shops import Shop, version

PYTHON = HERE.parents[1] / ".cache/integrated-niquests/bin/python"


@pytest.mark.timeout(300)
def test_niquests_does_what_all_adapters_do() -> None:
    """niquests would leak a token in a redirect, or fail at the first 401."""
    command = [PYTHON, "-m", "pytest", "-q", "-n", "2", HERE / "niquests_adapter.py"]
    # What the tests set for their own processes is for the environment of the tests.
    variables = {name: value for name, value in os.environ.items() if name in {"HOME", "PATH"}}
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
        env=variables,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.timeout(120)
def test_parallel_calls_survive_a_revocation(shop: Shop) -> None:
    """A program with niquests would meet the 401, or each call request a token."""
    program = HERE / "niquests_program.py"
    output = shop.run("niquests", "python", program)
    lines = [line for line in output.splitlines() if line.startswith("200 ")]
    assert lines == [" ".join(["200"] * 8)] * 2
    assert shop.token_requests == 2
    assert shop.leaks(output) == []
    record(
        platform="niquests",
        version=version(shop, "niquests", "niquests"),
        extension_point="`session.auth`",
        lines=lines_of(program),
        healed=True,
        parallel=8,
        secrets="environment; searched: output, log at DEBUG",
    )
