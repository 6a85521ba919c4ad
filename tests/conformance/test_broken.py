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
    """Return the module of the broken providers, under a unique name."""
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
    """Return a test case for a provider: the usual examples and the given ones."""
    usual = {"settings": BROKEN.SETTINGS, "request": BROKEN.GOLDEN, "context": {"side"}}
    namespace = {"provider": provider, **usual, **examples}
    tests: ProviderConformance = type("Case", (ProviderConformance,), namespace)()
    return tests


@pytest.mark.sweep(kind=lambda row: row["broken"].check)
@pytest.mark.parametrize("broken", BROKEN.BROKEN, ids=lambda each: each.what.replace(" ", "-"))
def test_broken_provider_is_caught(broken: Any) -> None:
    """An author could publish this broken provider without a warning."""
    tests = case(broken.provider, **broken.examples)
    with pytest.raises(AssertionError, match=re.escape(broken.message)):
        getattr(tests, f"test_{broken.check}")()


@pytest.mark.parametrize("check", CHECKS)
def test_correct_provider_passes(check: str) -> None:
    """The test above would prove nothing if the provider that it varies were broken itself."""
    getattr(case(ACME), check)()
