"""Chains of token requests: endpoints that settings change, mistakes, and what `explain` shows."""

from __future__ import annotations

from typing import Any

import pytest

import keyturn
from keyturn.errors import ConfigurationError, KeyturnError

SETTINGS = {"client_id": "made-up", "client_secret": "s3cret-for-tests"}
USUAL = {
    "name": "acme",
    "token_url": "https://acme.example/token",
    "parameters": {"session": "{previous.access_token}"},
    "previous": {"token_url": "https://acme.example/login"},
}


@pytest.mark.parametrize(
    ("data", "url"),
    [
        ({}, "https://staging.example/login"),
        ({"previous": {"token_url": "https://login.example/"}}, "https://login.example/"),
        (
            {
                "token_url": "https://{tenant}.acme.example/token",
                "settings": {"tenant": {"kind": "label", "title": "Tenant", "optional": True}},
            },
            "https://acme.example/login",
        ),
    ],
    ids=["own origin", "elsewhere", "unknown origin"],
)
def test_step_moves_with_the_origin_of_the_token_url(data: dict[str, Any], url: str) -> None:
    """A staging secret would be sent to production, or another system's secret to staging."""
    provider = keyturn.plugins.provider_from_data(USUAL | data)
    settings = SETTINGS | {"token_url": "https://staging.example/token"}
    with keyturn.connect(provider, settings) as connection:
        request = connection.token_request()

    assert request.url == "https://staging.example/token"
    assert [(name, step.url) for name, step in request.steps] == [("previous", url)]


class Last(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
    """A provider of a third party."""

    name = "last"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/token"


def chain(length: int, first: Any = None) -> Any:
    """Return a provider with as many steps before its token request."""
    for _ in range(length):
        first = type("Step", (Last,), {"previous": first})()
    return type("Step", (Last,), {"previous": first})()


@pytest.mark.parametrize(
    ("provider", "problem"),
    [
        (chain(0, "x"), "previous: must be a provider"),
        (type("Step", (Last,), {"discovery": 5})(), "discovery: must be a Discovery"),
        (chain(1, "x"), "previous: is one of more than 4 steps, or of another type"),
        (chain(6), "previous: is one of more than 4 steps"),
    ],
    ids=["previous", "discovery", "type of a step", "length"],
)
def test_wrong_step_is_reported(provider: Any, problem: str) -> None:
    """A mistake in a third-party provider would be a raw Python error at the first request."""
    with pytest.raises(KeyturnError) as caught:
        keyturn.connect(provider, SETTINGS)

    assert problem in str(caught.value)


def test_domains_of_a_step_are_those_of_its_addresses() -> None:
    """An address in the first response could send the next request to any host."""
    step = USUAL["previous"] | {"domains": ["acme.example"]}  # type: ignore[operator]
    provider = keyturn.plugins.provider_from_data(USUAL | {"previous": step})

    assert provider.previous is not None
    assert provider.previous.domains == ("acme.example",)


def test_wrong_table_of_a_value_is_reported_once() -> None:
    """One mistake would be reported twice, and an author would look for two."""
    data = {"values": {"made": {"template": 7}}, "parameters": {"a": "{made}"}}
    with pytest.raises(ConfigurationError) as caught:
        keyturn.plugins.provider_from_data({"name": "x", "token_url": "https://x.example"} | data)

    assert len(caught.value.problems) == 1
