"""The base class for the tests of providers, as pytest and unittest run it."""

from __future__ import annotations

import sys
import unittest
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import keyturn
from keyturn.testing import ProviderConformance
from keyturn.testing.provider_kit._run import CHECKS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

TESTS = """
import keyturn
from keyturn.testing import ProviderConformance

class TestAcme(ProviderConformance):
    provider = keyturn.plugins.provider_from_data(
        {"name": "acme", "token_url": "https://acme.example/token"}
    )
    settings = {"client_id": "made-up", "client_secret": "s3cret-for-tests"}
    request = {
        "method": "POST",
        "url": "https://acme.example/token",
        "body": "grant_type=client_credentials&client_id=made-up&client_secret=s3cret-for-tests",
    }

class TestOther(TestAcme):
    request = TestAcme.request | {"url": "https://other.example/token"}
"""


def test_pytest_runs_every_check_and_reports_failures_briefly(
    python: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """A check would not be collected, or a failure would show the kit's code instead."""
    (tmp_path / "test_acme.py").write_text(TESTS, encoding="utf-8")
    code = "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "-c", "/dev/null"]
    process = python(code, *options, tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    output, _ = process.communicate(timeout=40)

    assert process.returncode == 1, output
    assert f"1 failed, {2 * len(CHECKS) - 1} passed" in output
    assert "the token request's url is not the documented one" in output
    assert "documented: https://other.example/token" in output
    assert "sent:       https://acme.example/token" in output
    assert "raise failure" not in output
    assert "s3cret-for-tests" not in output
    assert len(output.splitlines()) < 25


def test_unittest_runs_every_check() -> None:
    """An author without pytest could not use the kit."""
    provider = keyturn.plugins.provider_from_data(
        {"token_url": "https://acme.example/token"}, name="acme"
    )
    request = {"method": "POST", "url": "https://other.example/token"}
    namespace = {"provider": provider, "request": request}
    case = type("Acme", (ProviderConformance, unittest.TestCase), namespace)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TestResult()
    suite.run(result)

    assert result.testsRun == len(CHECKS)
    assert [str(failed[0]).partition(" ")[0] for failed in result.failures] == [
        "test_golden_request"
    ]
    assert result.errors == []


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "`provider` of Acme is not given"),
        ({"provider": keyturn.plugins.Provider}, "is Provider, which is not a provider"),
        ({"provider": 7}, "is int, which is not a provider"),
    ],
)
def test_missing_provider_is_reported(attributes: dict[str, Any], message: str) -> None:
    """An author would see an AttributeError from inside the kit."""
    case: Any = type("Acme", (ProviderConformance,), attributes)()
    with pytest.raises(AssertionError, match=message):
        case.test_data()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("setings", "settings"), ("reqest", "request"), ("test_api_adress", "test_api_address")],
)
def test_misspelt_attribute_is_reported(name: str, meant: str) -> None:
    """A misspelt example would never be checked, and the test would still pass."""
    with pytest.raises(TypeError, match=f"Did you mean {meant}"):
        type("Acme", (ProviderConformance,), {"helper": 1, name: None})


def test_core_works_without_pytest(run_new_python: Callable[..., str]) -> None:
    """A program that uses the emulator would need pytest."""
    names = run_new_python(
        "import keyturn.testing, sys; keyturn.testing.ProviderConformance; "
        "print('pytest' in sys.modules, 'unittest.case' in sys.modules)"
    )

    assert names == "False False"
    assert "pytest" in sys.modules


WITHOUT_SECRET = {"grant_type": "client_credentials", "client_id": "a"}
WHOLE = {"client_secret": "b", **WITHOUT_SECRET}


@pytest.mark.parametrize(
    ("body_format", "body", "failed"),
    [("json", WHOLE, False), ("json", WITHOUT_SECRET, True), ("form", WHOLE, True)],
)
def test_documented_body_may_be_a_table_of_json(
    body_format: str, body: dict[str, Any], *, failed: bool
) -> None:
    """An author would have to write JSON as a string, with the members in keyturn's order."""
    provider = keyturn.plugins.provider_from_data(
        {"token_url": "https://acme.example/token", "body_format": body_format}, name="acme"
    )
    attributes = {
        "provider": provider,
        "settings": {"client_id": "a", "client_secret": "b"},
        "request": {"method": "POST", "url": "https://acme.example/token", "body": body},
    }
    case: Any = type("Acme", (ProviderConformance,), attributes)()
    if failed:
        with pytest.raises(AssertionError, match="the token request's body is not the documented"):
            case.test_golden_request()
    else:
        case.test_golden_request()


class Unread(keyturn.plugins.Provider[Any]):
    """A provider whose read_token raises."""

    name = "acme"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/token"

    def read_token(self, settings: Any, response: Any, request: Any) -> keyturn.Token:
        """Raise an exception that keyturn does not know."""
        raise ZeroDivisionError


def test_one_cause_fails_one_test() -> None:
    """An author would read the same message twenty times."""

    class Tests(ProviderConformance):
        provider = Unread()
        settings: ClassVar = {"client_id": "made-up", "client_secret": "s3cret-for-tests"}

    tests: Any = Tests()
    with pytest.raises(AssertionError, match=r"At: read_token, test_conformance_class\.py:\d+"):
        tests.test_lifetime()
    with pytest.raises(unittest.SkipTest, match="test_lifetime has failed for the same cause"):
        tests.test_margin()
    with pytest.raises(AssertionError):
        tests.test_lifetime()  # once more, by itself
