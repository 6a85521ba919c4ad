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


@pytest.mark.sweep
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


def test_settings_with_patterns_are_generated() -> None:
    """An author of strict settings would have to invent a value for each before any check runs."""
    hexadecimal = {"pattern": "[a-f0-9]{24}"}
    patterned = {
        "account": {"format": "uuid"},
        "user": {"format": "email"},
        "region": {"pattern": "[a-z]{2}-[a-z]+-[1-9]", "description": "Such as eu-west-1."},
        "partner": {"pattern": "(?:P|Q)[0-9]+", "min_length": 5},
        "day": {"format": "date"},
        "page": {"format": "uri"},
    }
    description = {
        "token_url": "https://login.acme.example/{region}/token",
        "parameters": {name: f"{{{name}}}" for name in patterned},
        "settings": {"client_id": hexadecimal, "client_secret": hexadecimal, **patterned},
    }
    provider = keyturn.plugins.provider_from_data(description, name="acme")
    report = run(provider, {}, Examples())

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


WITHOUT_SETTINGS = {
    "values of patterns and formats": """
token_url = "https://login.acme.example/{key_id}/token"
parameters = { user = "{user}", application = "{application}", since = "{since}" }
token_headers.X-Key = "{key}"
settings.key_id.pattern = "[A-F0-9]{64}"
settings.client_id.pattern = "[A-Z0-9]{32}"
settings.client_secret.pattern = "[A-Z0-9]{32}"
settings.key = { kind = "secret", pattern = "[a-z0-9]+" }
settings.user.format = "email"
settings.application.format = "uuid"
settings.since.format = "date"
""",
    "a secret without hyphens": """
token_url = "https://login.acme.example/token"
settings.client_secret.pattern = "[a-z0-9]+"
""",
    "a scope that only the first step sends": """
token_url = "https://acme.example/session"
client_secret_name = ""
grant_type = ""
scope_name = ""
token_headers.Authorization = "Bearer {previous.access_token}"
settings.scope.title = "Scope"
[previous]
token_url = "https://login.acme.example/token"
""",
    "an API at an address that only the first step has": """
token_url = "{previous.endpoint}/token"
api_url = "{previous.endpoint}/v1"
[previous]
token_url = "https://acme.example/servers"
method = "GET"
client_id_name = ""
client_secret_name = ""
grant_type = ""
token_field = "endpoint"
token_type = ""
missing_lifetime = 86400
""",
}


@pytest.mark.parametrize("text", WITHOUT_SETTINGS.values(), ids=WITHOUT_SETTINGS)
def test_description_conforms_without_given_settings(text: str) -> None:
    """An author would have to give settings, or to correct what is right."""
    provider = keyturn.plugins.provider_from_data(tomllib.loads(text), name="acme")
    report = run(provider, {}, Examples())

    assert {check: str(failure) for check, failure in report.failures.items()} == {}
