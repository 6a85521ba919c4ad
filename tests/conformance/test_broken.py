"""The conformance kit catches every broken provider, and says what to change."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from keyturn.testing import ProviderConformance


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


ACME = BROKEN.Acme()
CHECKS = [name for name in vars(ProviderConformance) if name.startswith("test_")]


def case(provider: Any, **examples: Any) -> ProviderConformance:
    """Return the tests of a provider, with the usual examples and others."""
    usual = {"settings": BROKEN.SETTINGS, "request": BROKEN.GOLDEN, "context": {"side"}}
    namespace = {"provider": provider, **usual, **examples}
    tests: ProviderConformance = type("Case", (ProviderConformance,), namespace)()
    return tests


@pytest.mark.parametrize("broken", BROKEN.BROKEN, ids=lambda each: each.what.replace(" ", "-"))
def test_broken_provider_is_caught(broken: Any) -> None:
    """An author would publish that provider."""
    tests = case(broken.provider, **broken.examples)
    with pytest.raises(AssertionError, match=re.escape(broken.message)):
        getattr(tests, f"test_{broken.check}")()


@pytest.mark.parametrize("check", CHECKS)
def test_correct_provider_passes(check: str) -> None:
    """The table above would prove nothing if the provider it varies were broken itself."""
    getattr(case(ACME), check)()
