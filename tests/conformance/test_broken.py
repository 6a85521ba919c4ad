"""The conformance kit catches every broken provider, and says what to change."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from keyturn.testing.provider_kit._examples import Examples
from keyturn.testing.provider_kit._run import CHECKS, check, run
from keyturn.testing.provider_kit._subject import opened


def broken_module() -> Any:
    """Return the module of the broken providers, under a name that nothing else has."""
    name = "broken providers"
    path = Path(__file__).with_name("broken.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BROKEN = broken_module()


def examples(**given: Any) -> Examples:
    """Return the usual examples, and others."""
    usual = {"request": BROKEN.GOLDEN, "context": {"side"}} | given
    frozen = {"context": frozenset(usual["context"]), "errors": tuple(usual.get("errors", ()))}
    return Examples(**(usual | frozen))


@pytest.mark.parametrize("broken", BROKEN.BROKEN, ids=lambda each: each.what.replace(" ", "-"))
def test_broken_provider_is_caught(broken: Any) -> None:
    """An author would publish that provider."""
    with opened(broken.provider, BROKEN.SETTINGS, examples(**broken.examples)) as subject:
        failure = check(broken.check, subject)

    assert failure is not None
    assert broken.message in str(failure)


def test_correct_provider_passes() -> None:
    """The table above would prove nothing if the provider it varies were broken itself."""
    report = run(BROKEN.Acme(), BROKEN.SETTINGS, examples())

    assert {name: str(failure) for name, failure in report.failures.items()} == {}


def test_every_check_catches_something() -> None:
    """A check that never fails is useless."""
    assert set(CHECKS) - {each.check for each in BROKEN.BROKEN} == set()
    assert len(BROKEN.BROKEN) >= 30
