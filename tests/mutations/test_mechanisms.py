"""The table of `make mutants` is true of the code as it is, and so is the page that came of it."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "scripts" / "mutants.py"


def load() -> ModuleType:
    """Return the script."""
    spec = importlib.util.spec_from_file_location("mutants", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # attrs resolves annotations there
    spec.loader.exec_module(module)
    return module


mutants = load()
PROMISES, MECHANISMS = mutants.read_table()


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda mechanism: mechanism.name)
def test_mechanism_can_be_taken_out(mechanism: Any) -> None:
    """The run would stop at a row that is older than the code, or take nothing out."""
    assert mechanism.problem() == ""
    code = (REPOSITORY / mechanism.file).read_text("utf-8")
    ast.parse(code.replace(mechanism.text, mechanism.replacement))
    assert mechanism.text.strip() != mechanism.replacement.strip()


def test_named_tests_are_there() -> None:
    """The run would stop at a test that has another name by now."""
    named = {test for mechanism in MECHANISMS for test in mechanism.tests}
    missing = []
    for test in named:
        file, *classes, function = test.split("::")
        path = REPOSITORY / file
        definition = f"class {classes[0]}" if classes else f"def {function}("
        if not path.is_file() or definition not in path.read_text("utf-8"):
            missing.append(test)

    assert missing == []


def test_every_promise_has_mechanisms_and_no_two_have_one_name() -> None:
    """A promise without a mechanism in the table is one that no run has tried."""
    names = [mechanism.name for mechanism in MECHANISMS]

    assert {mechanism.promise for mechanism in MECHANISMS} == set(range(1, len(PROMISES) + 1))
    assert len(set(names)) == len(names) >= 60


def test_page_is_that_of_the_table() -> None:
    """A page that is older than the table tells of tests that nobody ran."""
    text = mutants.PAGE.read_text("utf-8")
    rows = re.findall(
        r"^\| (.+?) \| \[`.+?`\]\(.+?\) \| \[`(.+?)`\]\(../../(.+?)\) \|$", text, re.MULTILINE
    )
    verdicts = []
    for mechanism, (name, test, file) in zip(by_promise(), rows, strict=True):
        assert mechanism.name == name
        assert f"{file}::{test}" in mechanism.tests
        verdicts.append(mutants.Verdict(mechanism, f"{file}::{test}", "", 0.0))

    assert mutants.page(PROMISES, verdicts) == text


def by_promise() -> list[Any]:
    """Return the mechanisms in the order of the page."""
    return sorted(MECHANISMS, key=lambda mechanism: mechanism.promise)
