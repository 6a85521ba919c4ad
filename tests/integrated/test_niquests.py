"""The adapters for niquests, in their own environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integrated.conftest import HERE
from tests.integrated.environments import version
from tests.integrated.results import lines_of, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integrated.shops import Shop


@pytest.mark.timeout(300)
def test_niquests_does_what_all_adapters_do(adapter_tests: Callable[[str], None]) -> None:
    """niquests would leak a token in a redirect, or the adapters would have untested code."""
    adapter_tests("niquests")


@pytest.mark.timeout(120)
def test_parallel_calls_survive_a_revocation(shop: Shop) -> None:
    """A program with niquests would get a 401, or each call would request a token."""
    program = HERE / "niquests_program.py"
    output = shop.run("niquests", "python", program)
    lines = [line for line in output.splitlines() if line.startswith("200 ")]
    assert lines == [" ".join(["200"] * 8)] * 2
    assert shop.token_requests == 2
    assert shop.leaks(output) == []
    record(
        platform="niquests",
        version=version("niquests", "niquests"),
        extension_point="`session.auth`",
        lines=lines_of(program),
        healed=True,
        parallel=8,
        secrets="environment; searched: output, log at DEBUG",
    )
