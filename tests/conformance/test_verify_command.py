"""`keyturn verify`: the conformance kit for authors who write no tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from keyturn._cli import main
from keyturn.testing.provider_kit._run import CHECKS

if TYPE_CHECKING:
    from pathlib import Path

ACME = """
title = "Acme"
token_url = "https://{tenant}.acme.example/oauth/token"
api_url = "https://{tenant}.acme.example/api"
client_authentication = "client_secret_basic"
rate_limit = { per_minute = 30, burst = 5 }
api_headers = { X-Number = "{number}" }

[settings.tenant]
kind = "label"
title = "Tenant"

[settings.number]
kind = "integer"
title = "Number"
optional = true
"""


@pytest.fixture
def acme(tmp_path: Path) -> str:
    """Return the path of a provider's description."""
    path = tmp_path / "acme.toml"
    path.write_text(ACME, encoding="utf-8")
    return str(path)


def test_description_is_verified(acme: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An author who does not use Python could not check a description."""
    assert main(["verify", acme, "tenant=blue", "client_id=made-up"]) == 0
    output, errors = capsys.readouterr()

    lines = output.splitlines()
    assert lines[0].split() == ["check", "outcome"]
    assert [line.split() for line in lines[1 : len(CHECKS) + 1]] == [
        [name, "passed"] for name in CHECKS
    ]
    assert "- these settings do not change the token request: number." in output
    assert "  POST https://blue.acme.example/oauth/token" in lines
    assert "  Authorization: REDACTED" in lines
    assert "  grant_type=client_credentials" in lines
    assert errors == ""


def test_failure_is_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An author would see that a check fails, but not what to change."""
    broken = tmp_path / "broken.toml"
    revocation = 'revocation_url = "https://acme.example/revoke"'
    text = ACME.partition("[settings.number]")[0].replace("{number}", "7")
    broken.write_text(f"max_margin = 86400\n{revocation}\n{text}", encoding="utf-8")

    assert main(["verify", str(broken)]) == 1
    output = capsys.readouterr().out
    assert ["margin", "FAILED"] in [line.split() for line in output.splitlines()]
    assert "margin: max_margin is 86400 s, but a token is valid for 3600 s." in output
    assert "To fix: set max_margin to" in output
    assert "At: the key max_margin of the description" in output
    assert "notes:" not in output


def test_json_has_the_same_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program would have to parse a table."""
    path = tmp_path / "acme.toml"
    data = 'token_url = "https://acme.example/token"\nbody_format = "query"\nmethod = "GET"\n'
    path.write_text(f"max_margin = 86400\n{data}", encoding="utf-8")

    assert main(["verify", str(path), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    checks = {each["check"]: each for each in found["checks"]}

    assert found["provider"] == "acme"
    assert list(checks) == list(CHECKS)
    assert checks["data"] == {"check": "data", "outcome": "passed"}
    assert checks["margin"]["outcome"] == "failed"
    assert {"what", "fix", "at"} <= checks["margin"].keys()
    assert found["notes"]
    assert found["request"]["method"] == "GET"
    assert "client_secret=REDACTED" in found["request"]["url"]


def test_settings_have_the_types_of_the_schema(
    acme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A number could not be given on the command line."""
    assert main(["verify", acme, "number=7", "-v"]) == 0
    capsys.readouterr()
    assert main(["verify", acme, "number=seven"]) == 2
    assert "number: must be an integer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unknown"], "no provider is named 'unknown'"),
        (
            ["missing.toml"],
            "missing.toml can't be read: No such file or directory",
        ),
        (["orocommerce", "url"], "Give it as SETTING=VALUE"),
        (["orocommerce", "sight=storefront"], "sight: is not known."),
        (["orocommerce", "side=nowhere"], "side: must be one of"),
    ],
)
def test_wrong_usage_is_reported(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script could not distinguish a wrong provider from a wrong command line."""
    assert main(["verify", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_invalid_toml_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A syntax error in the file would look like a mistake of the provider."""
    path = tmp_path / "acme.toml"
    path.write_text("title = ", encoding="utf-8")

    assert main(["verify", str(path)]) == 2
    assert "is not TOML: the end, line 1: Invalid value" in capsys.readouterr().err


def test_request_that_cannot_be_made_is_omitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command would fail before it prints the rest of the table."""
    path = tmp_path / "acme.toml"
    data = 'token_url = "https://{tenant}.example/token"\n[settings.tenant]\ntitle = "Tenant"\n'
    path.write_text(data, encoding="utf-8")

    assert main(["verify", str(path), "tenant=no host"]) == 1
    output = capsys.readouterr().out
    assert "compare it with" not in output
    assert "must be a URL" in output
