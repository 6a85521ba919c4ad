"""Real platforms, declared as data with their documented examples, pass every check."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import keyturn
from keyturn.testing.provider_kit._examples import Examples
from keyturn.testing.provider_kit._run import run

PLATFORMS = Path(__file__).parents[1] / "platforms"
# One for each kind of authentication, body and response.
NAMES = (
    "abn-amro",
    "auth0",
    "commercetools",
    "lark",
    "okta",
    "salesforce",
    "salesforce-data-cloud",
    "smart-backend-services",
    "wechat",
    "zoom",
)


@pytest.mark.parametrize("name", NAMES)
def test_platform_conforms(name: str) -> None:
    """The kit would reject what real platforms require."""
    platform = tomllib.loads((PLATFORMS / f"{name}.toml").read_text(encoding="utf-8"))
    example = platform["example"]
    # Keys and certificates are generated: the examples have placeholders for them.
    given = example["settings"].items()
    settings = {key: value for key, value in given if str(value)[0] != "{"}
    report = run(
        keyturn.plugins.provider_from_data(platform["provider"], name=name),
        settings,
        Examples(
            request=example["request"],
            response=example["response"],
            lifetime=example["token"]["lifetime"],
            errors=tuple(example["errors"]),
            api={key: example["api"][key] for key in example["api"].keys() & {"url", "headers"}},
        ),
    )

    assert {check: str(failure) for check, failure in report.failures.items()} == {}


def test_platform_without_a_lifetime_conforms() -> None:
    """A token endpoint whose responses have no lifetime could not be declared and checked."""
    description = {
        "token_url": "https://login.acme.example/token",
        "lifetime_field": "",
        "missing_lifetime": 600,
    }
    provider = keyturn.plugins.provider_from_data(description, name="acme")
    report = run(provider, {"client_id": "a", "client_secret": "made-up-s3cret"}, Examples())

    assert {check: str(failure) for check, failure in report.failures.items()} == {}
