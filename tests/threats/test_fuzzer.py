"""The fuzzer finds defects, and the threat model names tests that exist."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest
from hypothesis import strategies as st
from tests.conftest import for_each
from tests.fuzz.__main__ import fuzz, main
from tests.fuzz.targets import TARGETS, ours, shown

from keyturn import errors

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| .* \| \[`(\w+)`\]\(([\w/.]+)\) \|$",
    (ROOT / "SECURITY.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_fuzzer_finds_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fuzzer that finds nothing would prove nothing."""

    def target(number: int) -> None:
        with ours():
            if number > 100:
                raise ValueError("defect")
            raise errors.KeyturnError("ours")

    monkeypatch.setitem(TARGETS, "defect", (target, (st.integers(),)))
    count, failure = fuzz(target, (st.integers(),), 7, 0)

    assert count > 0
    assert isinstance(failure, ValueError)
    assert failure.__notes__[-1] == "with --seed 7"
    assert main(["defect", "--seed", "7", "--seconds", "0"]) == 1


@pytest.mark.parametrize("text", ["s3cret-for-tests", "t0ken-of-the-fuzzer", "a\x1b", "\u202e"])
def test_fuzzer_detects_a_shown_secret(text: str) -> None:
    """A secret in an error message would go unnoticed by the fuzzer."""
    with pytest.raises(AssertionError):
        shown(text)


@pytest.mark.parametrize("name", TARGETS)
def test_parser_raises_only_errors_of_keyturn(name: str) -> None:
    """The caller would get an error that is not keyturn's; `make fuzz` tries more inputs."""
    target, given = TARGETS[name]
    count, failure = fuzz(target, given, 1, 0, batch=5)

    assert failure is None
    assert count >= 5


@functools.cache
def names_in(path: str) -> set[str]:
    """Return the names of a file's tests."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


@for_each(("name", "path"), ROWS)
def test_each_attempt_of_the_threat_model_has_its_test(name: str, path: str) -> None:
    """SECURITY.md would name a test that does not exist."""
    assert name in names_in(path)


def test_threat_model_lists_attempts_of_each_attacker() -> None:
    """The table could not be parsed, and the test above would check nothing."""
    assert len(ROWS) >= 30
