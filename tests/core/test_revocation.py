"""The revocation endpoint when settings change the token endpoint or the revocation endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn.errors import ConfigurationError
from keyturn.plugins import Response

if TYPE_CHECKING:
    from tests.conftest import World

STAGING = "https://auth.staging.example"
NEEDED: dict[str, dict[str, Any]] = {
    "norce-commerce": {"client": "acme", "environment": "stage"},
    "norce-storm": {"scope": "lab"},
    "orocommerce": {"url": "https://shop.example"},
    "commercelayer": {"kind": "integration", "organization": "acme"},
    "generic": {"token_url": "https://acme.example/token"},
}


def data(token_url: str, revocation_url: str, **settings: Any) -> keyturn.plugins.Provider[Any]:
    """Return a provider, described by data, that has a revocation endpoint."""
    description = {"token_url": token_url, "revocation_url": revocation_url, "settings": settings}
    return keyturn.plugins.provider_from_data(description, name="acme")


def revoked_at(world: World, provider: Any, **settings: Any) -> str:
    """Revoke a token and return the URL, after checking that only `token_url` got a request."""
    connection = world.connect(provider, **settings)
    connection.token()
    world.endpoint.responses.append(Response(200))
    connection.revoke()
    first, second = world.endpoint.requests
    assert first.url == settings.get("token_url", first.url)
    assert b"token-1" in second.body
    return second.url


@pytest.mark.parametrize("provider", NEEDED)
def test_revocation_url_can_be_set(world: World, provider: str) -> None:
    """Secret and token would be sent to another endpoint than the one that the user set."""
    chosen = {**NEEDED[provider], "revocation_url": "https://revoke.example/r"}
    assert revoked_at(world, provider, **chosen) == "https://revoke.example/r"


@pytest.mark.parametrize("provider", ["commercelayer", "generic"])
def test_revocation_url_is_used_beside_a_changed_token_url(world: World, provider: str) -> None:
    """The user's URL would be replaced by one that is derived from the token URL."""
    chosen = {"token_url": f"{STAGING}/t", "revocation_url": "https://revoke.example/r"}
    where = revoked_at(world, provider, **{**NEEDED[provider], **chosen})
    assert where == "https://revoke.example/r"


@pytest.mark.parametrize("provider", ["norce-commerce", "norce-storm", "orocommerce", "generic"])
def test_changed_token_url_adds_no_revocation_endpoint(world: World, provider: str) -> None:
    """A token would be sent to an endpoint that may not exist."""
    settings: dict[str, Any] = {**NEEDED[provider], "token_url": f"{STAGING}/token"}
    connection = world.connect(provider, **settings)
    connection.token()
    with pytest.raises(ConfigurationError, match="does not support revocation of tokens"):
        connection.revoke()
    assert [request.url for request in world.endpoint.requests] == [f"{STAGING}/token"]


def test_token_is_revoked_in_a_body_even_if_it_was_requested_with_get(world: World) -> None:
    """RFC 7009 section 2.1 requires a POST with a form; a token in a URL may be logged."""
    description = {"token_url": "https://a.example/t", "revocation_url": "https://a.example/r"}
    provider = keyturn.plugins.provider_from_data(description | {"method": "GET"}, name="acme")
    revoked_at(world, provider)
    first, second = world.endpoint.requests

    assert (first.method, first.body, second.method, second.query) == ("GET", b"", "POST", "")


@pytest.mark.parametrize(
    ("own", "revocation", "moved", "expected"),
    [
        # In the same directory as the token endpoint.
        ("/oauth/token", "/oauth/revoke", f"{STAGING}/oauth/token", "/oauth/revoke"),
        ("/oauth/token", "/oauth/revoke", f"{STAGING}/mock/oauth/token", "/mock/oauth/revoke"),
        ("/oauth/token", "/oauth/v2/revoke", f"{STAGING}:8443/token", ":8443/v2/revoke"),
        # At another path of the same host.
        ("/oauth/token", "/api/revoke/", f"{STAGING}/oauth/token", "/api/revoke/"),
        ("/oauth/token", "", f"{STAGING}/oauth/token", ""),
        ("", "/revoke", STAGING, "/revoke"),
    ],
)
@pytest.mark.parametrize("host", ["https://auth.acme.example", "https://revoke.acme.example"])
def test_revocation_follows_a_changed_token_url(
    world: World, host: str, own: str, revocation: str, moved: str, expected: str
) -> None:
    """Secret and token of a staging system would be sent to production."""
    provider = data(f"https://auth.acme.example{own}", f"{host}{revocation}")
    assert revoked_at(world, provider, token_url=moved) == f"{STAGING}{expected}"


def test_revocation_url_is_kept_for_an_equivalent_token_url(world: World) -> None:
    """A token URL with the same origin in another notation would change the revocation URL."""
    provider = data("https://acme.example/token", "https://revoke.acme.example/r")
    where = revoked_at(world, provider, token_url="https://ACME.example:443/v2/token")
    assert where == "https://revoke.acme.example/r"


@pytest.mark.parametrize(
    ("revocation", "expected"),
    [
        ("https://acme.example/revoke", f"{STAGING}/revoke"),
        ("https://{tenant}.acme.example/revoke", "the setting tenant"),
    ],
)
def test_settings_of_the_replaced_token_url_may_be_absent(
    world: World, revocation: str, expected: str
) -> None:
    """A token URL that lacks a setting would count as unchanged, and production get the token."""
    tenant = {"kind": "label", "title": "Tenant", "optional": True}
    provider = data("https://{tenant}.acme.example/token", revocation, tenant=tenant)
    try:
        where = revoked_at(world, provider, token_url=f"{STAGING}/oauth/token")
    except ConfigurationError as error:
        where = str(error)
        assert len(world.endpoint.requests) == 1
    assert expected in where


class Fixed(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
    """A provider whose code has a fixed revocation endpoint."""

    name = "fixed"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/token"

    def revocation_request(self, settings: Any, token: Any) -> keyturn.plugins.TokenRequest:
        """Return a request to production."""
        return self.revocation_to("https://acme.example/revoke", settings, token)


@pytest.mark.parametrize(
    ("moved", "hint"),
    [
        ({"token_url": f"{STAGING}/token"}, "Set revocation_url."),
        (
            {"revocation_url": f"{STAGING}/revoke"},
            "fixed doesn't revoke tokens at revocation_url",
        ),
    ],
)
def test_fixed_revocation_of_a_plugin_is_not_sent_elsewhere(
    world: World, moved: dict[str, Any], hint: str
) -> None:
    """A plugin that ignores these settings would send a staging secret to production."""
    connection = world.connect(Fixed(), **moved)
    connection.token()
    with pytest.raises(ConfigurationError) as caught:
        connection.revoke()
    assert f"revokes tokens at https://acme.example, but {next(iter(moved))} is at" in str(
        caught.value
    )
    assert hint in str(caught.value)
    assert len(world.endpoint.requests) == 1


def test_fixed_revocation_of_a_plugin_is_sent(world: World) -> None:
    """A plugin's own endpoint would be refused, although no setting changes the token URL."""
    assert revoked_at(world, Fixed()) == "https://acme.example/revoke"


def test_forbidden_revocation_host_is_reported_with_its_setting() -> None:
    """A tenant could cause a request to the private network when a token is revoked."""
    form = {"client_id": "x", "client_secret": "x", "revocation_url": "https://10.0.0.1/r"}
    form["url"] = "https://shop.example"
    with keyturn.Connections(
        store="memory://", policy=keyturn.NetworkPolicy(address_settings=True)
    ) as connections:
        (problem,) = connections.problems("orocommerce", form)
    assert problem.path == "revocation_url"
    assert "the revocation endpoint's host 10.0.0.1 is a private" in problem.message
